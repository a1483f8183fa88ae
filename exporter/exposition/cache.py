"""The exposition cache: every family's blocks, kept up to date at every change, not per scrape."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping
from typing import Literal, Protocol

from exporter.exposition.family_blocks import FamilyBlocks
from exporter.exposition.gzip_block import Block, compressed_block
from exporter.exposition.page import Page
from exporter.exposition.text_format import header


class DescribedFamily(Protocol):
    """What the header of a family is made from."""

    @property
    def name(self) -> str:
        """The name in text 0.0.4."""
        ...

    @property
    def kind(self) -> Literal["gauge", "counter"]:
        """The type."""
        ...

    @property
    def help(self) -> str:
        """The HELP text."""
        ...


class ExpositionCache:
    """Each family's sample lines of every target, ready to be put into a page.

    A target has a place in it, which another one takes over when the target is gone.

    Args:
        families: the families that are served, in the order of the page.
    """

    def __init__(self, families: Iterable[DescribedFamily]) -> None:
        families = tuple(families)
        self._places = 0
        self._free: list[int] = []
        self._blocks = {family.name: FamilyBlocks() for family in families}
        self._headers = {
            openmetrics: {
                family.name: _header(family, openmetrics=openmetrics) for family in families
            }
            for openmetrics in (False, True)
        }

    def add(self) -> int:
        """Take the first free place."""
        if self._free:
            return heapq.heappop(self._free)
        self._places += 1
        return self._places - 1

    def put(self, place: int, lines: Mapping[str, Block]) -> None:
        """Serve these lines at a place, by the family's name, and no others from now on."""
        for name, blocks in self._blocks.items():
            blocks.put(place, lines.get(name))

    def remove(self, place: int) -> None:
        """Serve nothing at a place any more, and leave it to another target."""
        self.put(place, {})
        heapq.heappush(self._free, place)

    @property
    def series(self) -> int:
        """The series that are served."""
        return sum(blocks.lines for blocks in self._blocks.values())

    def page(self, names: Collection[str] = (), *, openmetrics: bool = False) -> Page:
        """The families that have lines, or those of them that are named, headers included."""
        page = Page()
        headers = self._headers[openmetrics]
        for name, blocks in self._blocks.items():
            if blocks.lines and (not names or name in names):
                page.add(headers[name])
                page.add_family(blocks)
        return page


def _header(family: DescribedFamily, *, openmetrics: bool) -> Block:
    text = header(family.name, family.kind, family.help, openmetrics=openmetrics)
    return compressed_block(text.encode())
