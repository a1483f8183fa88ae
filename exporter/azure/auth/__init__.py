"""Tokens: where they come from, how they are kept, and what their failures mean."""
