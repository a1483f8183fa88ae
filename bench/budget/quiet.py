"""Logging for the benches: thousands of lines would take longer than what is measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog


@contextmanager
def quiet_logs(level: int) -> Iterator[None]:
    """Log only what is at least that severe, a level of `logging`, for as long as the context."""
    settings = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level))
    try:
        yield
    finally:
        structlog.configure(**settings)
