"""Writing the text formats: label values, numbers, header lines.

Text 0.0.4 and OpenMetrics 1.0.0 agree in every sample line that the catalogue makes, so the
lines are written once and kept once; only the page's end and counters' headers differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite

_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})


def escape(value: str) -> str:
    """Escape a label value: backslash, newline and quote, as both formats ask."""
    # Looking first is twenty times faster, and hardly any value has something to escape.
    if '"' in value or "\\" in value or "\n" in value:
        return value.translate(_ESCAPES)
    return value


def label_pairs(names: Iterable[str], values: Iterable[str]) -> str:
    """Write `name="value",…` without braces; names and values must be of one length."""
    return ",".join(f'{name}="{escape(value)}"' for name, value in zip(names, values, strict=True))


def number(value: float) -> str:
    """Write a sample's value, which is finite: whole numbers without a point."""
    if value.__class__ is int:
        return str(value)
    return str(int(value)) if value == int(value) else repr(value)


def header(name: str, kind: str, help_text: str) -> str:
    """Write the HELP and TYPE lines of a family; the help holds nothing to be escaped."""
    return f"# HELP {name} {help_text}\n# TYPE {name} {kind}\n"


class SampleWriter:
    """Writes the samples of one family: all that is the same in each is put together once.

    Args:
        name: the family's name.
        labels: its own labels, in the order in which their values come.
    """

    def __init__(self, name: str, labels: Iterable[str]) -> None:
        self._begin = name + "{"
        self._keys = tuple(f',{label}="' for label in labels)

    def write(self, identity: str, rows: Iterable[tuple[tuple[str, ...], float]]) -> str:
        """Write one line a row; a value that is no finite number has no line.

        Args:
            identity: the label pairs of the identity, as `label_pairs` writes them.
            rows: the values of the own labels, and the sample's value.
        """
        begin = self._begin + identity
        lines = []
        for values, value in rows:
            if not isfinite(value):
                continue
            if values:
                pairs = zip(self._keys, values, strict=True)
                own = '"'.join([key + escape(text) for key, text in pairs])
                lines.append(f'{begin}{own}"}} {number(value)}\n')
            else:
                lines.append(f"{begin}}} {number(value)}\n")
        return "".join(lines)
