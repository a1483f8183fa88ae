"""From the YAML file to a typed configuration; every problem is found at once."""

from exporter.configuration.azure import Azure
from exporter.configuration.credentials import Credential, NamedCredential
from exporter.configuration.errors import ConfigurationError
from exporter.configuration.loading import load
from exporter.configuration.scale_sets import Discovery, ScaleSet
from exporter.configuration.settings import (
    Configuration,
    Metrics,
    Model,
    Polling,
    ResourceGraph,
    Web,
)

__all__ = [
    "Azure",
    "Configuration",
    "ConfigurationError",
    "Credential",
    "Discovery",
    "Metrics",
    "Model",
    "NamedCredential",
    "Polling",
    "ResourceGraph",
    "ScaleSet",
    "Web",
    "load",
]
