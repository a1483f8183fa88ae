"""What the forms of the pages ask for, and the pages of what is found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlencode

from exporter.redaction import plain

LONGEST_FIELD = 200
"""Characters of a field that are looked at."""

_LAST_PAGE = 100_000
_Item = TypeVar("_Item")


def asked(query: Mapping[str, str], name: str) -> str:
    """A field of a form, as it may be shown in the form again."""
    return plain(query.get(name, "")[:LONGEST_FIELD]).strip()


def page_number(text: str) -> int:
    """The number of a page in an address; 1 for anything that is none."""
    digits = text.isascii() and text.isdecimal()
    return min(max(1, int(text[:9])), _LAST_PAGE) if digits else 1


def query_of(fields: Mapping[str, str], page: int) -> str:
    """The query of an address that asks the same of another page; empty fields are left out."""
    pairs = {name: value for name, value in fields.items() if value}
    if page > 1:
        pairs["page"] = str(page)
    return "?" + urlencode(pairs, errors="replace")


@dataclass(frozen=True, slots=True)
class Page(Generic[_Item]):
    """One page of what was found.

    Attributes:
        items: what stands on it.
        number: which page it is, from 1 on.
        pages: how many there are, one at least.
    """

    items: Sequence[_Item]
    number: int
    pages: int

    @classmethod
    def of(cls, found: Sequence[_Item], wanted: int, *, size: int) -> Page[_Item]:
        """The wanted page, or the last one.

        Args:
            found: what there is on all pages.
            wanted: the number of a page.
            size: how many stand on one.
        """
        pages = max(1, -(-len(found) // size))
        number = min(wanted, pages)
        begin = (number - 1) * size
        return cls(found[begin : begin + size], number, pages)
