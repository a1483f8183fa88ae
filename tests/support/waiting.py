"""Waiting for other processes: the one place where a test may let real time pass."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def eventually(look: Callable[[], Value | None], *, seconds: float) -> Value:
    """Look until there is something to see; what another process does cannot be waited for."""
    end = time.monotonic() + seconds
    failure: Exception | None = None
    while time.monotonic() < end:
        try:
            if (seen := look()) is not None:
                return seen
        except (OSError, ValueError) as error:
            failure = error
        threading.Event().wait(0.05)
    raise AssertionError(f"not seen within {seconds} s; last failure: {failure!r}")
