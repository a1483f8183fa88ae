"""Prometheus exporter for the state of every VM in Azure virtual machine scale sets."""

__version__ = "0.1.0"
