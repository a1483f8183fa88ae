"""Writing the text formats: label values, numbers, header lines.

Text 0.0.4 and OpenMetrics 1.0.0 agree in every sample line that the catalogue makes, so the
lines are written once and kept once; only the page's end and counters' headers differ.
"""

from __future__ import annotations

from collections.abc import Iterable

_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})


def escape(value: str) -> str:
    """Escape a label value: backslash, newline and quote, as both formats ask."""
    return value.translate(_ESCAPES)


def label_pairs(names: Iterable[str], values: Iterable[str]) -> str:
    """Write `name="value",…` without braces; names and values must be of one length."""
    return ",".join(f'{name}="{escape(value)}"' for name, value in zip(names, values, strict=True))


def number(value: float) -> str:
    """Write a sample's value: whole numbers without a point."""
    return str(int(value)) if value == int(value) else repr(value)


def header(name: str, kind: str, help_text: str) -> str:
    """Write the HELP and TYPE lines of a family; the help holds nothing to be escaped."""
    return f"# HELP {name} {help_text}\n# TYPE {name} {kind}\n"
