"""Mutation testing: changes one expression at a time and reports which changes no test notices."""
