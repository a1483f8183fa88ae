"""How many examples property tests try: few in every run, very many under `make fuzz`."""

from __future__ import annotations

import os

from hypothesis import settings

SCALE = int(os.environ.get("FUZZ", "1"))
"""How many times as many as usual."""


def examples(count: int) -> settings:
    """That many examples of a property in a usual run, however long one takes."""
    return settings(max_examples=count * SCALE, deadline=None)
