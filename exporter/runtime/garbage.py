"""Keeps the garbage collector away from work that makes many values at a time."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collections() -> Iterator[None]:
    """Keep the garbage collector away from what is being made.

    It would look through the growing mass of values again and again, which takes two thirds of
    the time, and at a reload stops the event loop meanwhile.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
