"""Writing the text formats: label values, numbers, header lines.

Text 0.0.4 and OpenMetrics 1.0.0 agree in every sample line that the catalogue makes, so the
lines are written once and kept once; only the page's end and counters' headers differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from math import isfinite

LONGEST_VALUE = 256
"""Bytes of a label value, the `…` of one that was cut included."""

_Row = tuple[tuple[str, ...], float | str]
_MARK = "…"
_SURELY_FITS = LONGEST_VALUE // 4
"""Characters that fit whatever they are: UTF-8 has at most four bytes for one."""

_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})


def escape(value: str) -> str:
    """Escape a label value: backslash, newline and quote, as both formats ask."""
    # Looking first is twenty times faster, and hardly any value has something to escape.
    if '"' in value or "\\" in value or "\n" in value:
        return value.translate(_ESCAPES)
    return value


def cut(value: str) -> str:
    """Cut a text of Azure's that is too long for a label value, between two characters."""
    length = len(value)
    if length <= _SURELY_FITS or (length <= LONGEST_VALUE and value.isascii()):
        return value
    raw = value[: LONGEST_VALUE + 1].encode(errors="replace")
    if len(raw) <= LONGEST_VALUE:
        return value
    return raw[: LONGEST_VALUE - len(_MARK.encode())].decode(errors="ignore") + _MARK


def cut_id(value: str) -> str:
    """Cut an identifier: two that differ in the end only stay two."""
    if cut(value) == value:
        return value
    digest = hashlib.sha256(value.encode(errors="replace")).hexdigest()[:16]
    raw = value[:LONGEST_VALUE].encode(errors="replace")
    kept = raw[: LONGEST_VALUE - len(_MARK.encode()) - len(digest)].decode(errors="ignore")
    return kept + digest + _MARK


def _escaped(values: tuple[str, ...], whole: Collection[int]) -> Iterable[str]:
    # One look at all values together, as above.
    together = "".join(values)
    length = len(together)
    if length > LONGEST_VALUE or (length > _SURELY_FITS and not together.isascii()):
        values = tuple(
            [v if len(v) <= _SURELY_FITS or n in whole else cut(v) for n, v in enumerate(values)]
        )
    if '"' in together or "\\" in together or "\n" in together:
        return [escape(value) for value in values]
    return values


def label_pairs(names: Iterable[str], values: Iterable[str]) -> str:
    """Write `name="value",…` without braces; names and values must be of one length."""
    return ",".join(f'{name}="{escape(value)}"' for name, value in zip(names, values, strict=True))


def number(value: float | str) -> str:
    """Write a sample's value, which is finite: whole numbers without a point."""
    if not isinstance(value, float):
        return str(value)
    return str(int(value)) if value == int(value) else repr(value)


def header(name: str, kind: str, help_text: str, *, openmetrics: bool = False) -> str:
    """Write the HELP and TYPE lines of a family; the help holds nothing to be escaped.

    OpenMetrics names a counter's family without the `_total` of its samples.
    """
    if openmetrics and kind == "counter":
        name = name.removesuffix("_total")
    return f"# HELP {name} {help_text}\n# TYPE {name} {kind}\n"


class SampleWriter:
    """Writes the samples of one family: all that is the same in each is put together once.

    A row is the values of the own labels, and the sample's value, or the text of it; one whose
    value is not a finite number has no line.

    Args:
        name: the family's name.
        labels: its own labels, in the order in which their values come.
        whole: those of them whose values are never cut.
    """

    def __init__(self, name: str, labels: Sequence[str], *, whole: Collection[str] = ()) -> None:
        self._whole = frozenset(labels.index(label) for label in whole)
        self._begin = name + "{"
        self._tail = "".join(f',{label}="%s"' for label in labels) + "} %s\n"
        self._line = self._begin + "%s" + self._tail

    def write(self, identified: Iterable[tuple[str, Iterable[_Row]]]) -> str:
        """Write one line a row.

        Args:
            identified: rows, each time with the label pairs of their identity, as `label_pairs`
                writes them.
        """
        line, whole = self._line, self._whole
        return "".join(
            [
                line % (identity, *_escaped(values, whole), number(value))
                for identity, rows in identified
                for values, value in rows
                if not isinstance(value, float) or isfinite(value)
            ]
        )

    def chunks(self, rows: Iterable[_Row]) -> tuple[str, ...]:
        """The lines without their identity: `identity.join(chunks)` is the text.

        Empty where there is no line. One call puts an identity into all lines of the family.
        """
        tails = [
            self._tail % (*_escaped(values, self._whole), number(value))
            for values, value in rows
            if not isinstance(value, float) or isfinite(value)
        ]
        return (self._begin, *(tail + self._begin for tail in tails[:-1]), *tails[-1:])
