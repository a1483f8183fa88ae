"""The configuration file: read from the disk, checked, with the environment put in."""

from __future__ import annotations

import os
from collections.abc import Sequence

from exporter.configuration import Configuration, ConfigurationError, load
from exporter.metrics.catalogue import RESERVED_LABELS
from exporter.runtime.files import read_file
from exporter.runtime.garbage import without_collections

LARGEST_FILE = 16 * 1024 * 1024
"""Bytes of a configuration; 10,000 scale sets with labels need some two million."""


def read_configuration(path: str) -> tuple[Configuration, str]:
    """The configuration and its text. Thousands of sets take a second: not on the event loop.

    Raises:
        ConfigurationError: the file cannot be read, or something in it is wrong.
    """
    text = _read(path)
    with without_collections():
        return load(text, environment=os.environ, reserved_labels=RESERVED_LABELS), text


def of_subscriptions(subscriptions: Sequence[str]) -> tuple[Configuration, str]:
    """The configuration that `--subscription` stands for, and its text.

    All fields are asked for: they cost no more calls, and tell zones, sizes and model drift.
    """
    text = f"azure: {{detail: full}}\ndiscovery:\n  - subscriptions: [{', '.join(subscriptions)}]\n"
    return load(text, environment={}, reserved_labels=RESERVED_LABELS), text


def _read(path: str) -> str:
    try:
        return read_file(path, at_most=LARGEST_FILE).decode()
    except OSError as error:
        message = (
            f"cannot be read: {error.strerror}; name the file with --config.file, or try --demo"
        )
        raise ConfigurationError((message,)) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError((f"is not UTF-8 text (byte {error.start})",)) from None
