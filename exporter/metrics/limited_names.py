"""Which names and codes of Azure's have series of their own: their number is bounded.

Extensions, handlers and disks are named by people, failure codes by the failing service. A set has
a limited number of each; any further one is `other`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TypeVar

from exporter.exposition.text_format import LONGEST_VALUE, cut

OTHER = "other"

MOST_NAMES = 64
"""Different extensions, handlers and disks, each, that have series of their own in a set."""

MOST_CODES = 100
"""Different failure codes that have series of their own in a set, beside `unspecified`."""


_Value = TypeVar("_Value")


def limited_rows(
    rows: Iterable[tuple[tuple[str, ...], _Value]], merge: Callable[[_Value, _Value], _Value]
) -> list[tuple[tuple[str, ...], _Value]]:
    """Rows of one answer, at most `MOST_NAMES` and one: it stands for the rest, as `other`.

    Of labels that differ in letter case only, or only where they are cut, one row is made. The
    rows are chosen by their names, for Azure's order may be another each time.

    Args:
        rows: the values of the labels, and that of the sample.
        merge: what two values come to in one row.
    """
    found: dict[tuple[str, ...], tuple[tuple[str, ...], _Value]] = {}
    folded = ((tuple(cut(text).casefold() for text in labels), labels, v) for labels, v in rows)
    for name, labels, value in sorted(folded, key=lambda row: row[0]):
        key, shown = name, tuple(map(cut, labels))
        if key not in found and len(found) >= MOST_NAMES:
            key = shown = (OTHER,) * len(labels)
        before = found.get(key)
        found[key] = (shown, value) if before is None else (before[0], merge(before[1], value))
    return list(found.values())


class LimitedNames(dict[str, str]):
    """The label value of each name in one walk: a dictionary whose entries are made on demand.

    Args:
        kept: the names that keep their place, whatever else comes.
        most: the number of places.
        free: names that need no place, as `other` needs none.

    Attributes:
        used: the names that have appeared in this walk and have a place.
    """

    def __init__(
        self, kept: Collection[str] = (), *, most: int = MOST_NAMES, free: Collection[str] = ()
    ) -> None:
        super().__init__()
        self._most = most
        self._free = {OTHER, *free}
        self._taken = set(kept) - self._free
        self.used: set[str] = set()

    @property
    def taken(self) -> set[str]:
        """The names that have a place, whether they have appeared in this walk or not."""
        return self._taken

    def __missing__(self, name: str) -> str:
        shown = cut(name)
        if shown in self._free:
            return shown
        if shown not in self._taken:
            if len(self._taken) >= self._most:
                # Not remembered: there may be very many.
                return OTHER
            self._taken.add(shown)
        self.used.add(shown)
        if len(name) <= LONGEST_VALUE:
            self[name] = shown
        return shown
