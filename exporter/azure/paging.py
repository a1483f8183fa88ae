"""The pages of a list: each one's address is in the one before, and no list may go on for ever."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from yarl import URL

from exporter.azure.endpoints import Endpoints
from exporter.azure.errors import BrokenAnswer
from exporter.azure.urls import next_url
from exporter.runtime.cooperative import CooperativeScheduler

PAGE_LIMIT = 1000
"""Pages of one list: a set has 1000 instances at most, so even one on each page fits."""

_Item = TypeVar("_Item")


class Paging:
    """Where a list goes on.

    Args:
        first: the address of the first page.
        api_version: is added to a link that has none.

    Attributes:
        url: the address of the page to be read.
    """

    def __init__(
        self, first: URL, endpoints: Endpoints, *, api_version: str, page_limit: int = PAGE_LIMIT
    ) -> None:
        self.url = first
        self._endpoints = endpoints
        self._api_version = api_version
        self._page_limit = page_limit
        self._visited = {str(first)}

    def goes_on(self, next_link: str | None) -> bool:
        """Go to the next page; whether there is one.

        Raises:
            BrokenAnswer: the link is not valid, leads back or leads away, or there are too many.
        """
        if next_link is None:
            return False
        url = next_url(next_link, self._endpoints, api_version=self._api_version)
        if str(url) in self._visited:
            raise BrokenAnswer("nextLink leads back to a page that was read")
        if len(self._visited) >= self._page_limit:
            raise BrokenAnswer(f"the list has more than {self._page_limit} pages")
        self._visited.add(str(url))
        self.url = url
        return True


async def whole_list(
    paging: Paging,
    get: Callable[[URL], Awaitable[bytes]],
    decode: Callable[[bytes], Iterator[tuple[list[_Item], str | None]]],
    cooperative: CooperativeScheduler,
) -> list[_Item]:
    """Read a list that is of use only when it is complete.

    Args:
        get: the body of a page.
        decode: its items, some at a time, the last of them with the address of the next page.
        cooperative: where decoding yields to other tasks.
    """
    found: list[_Item] = []
    goes_on = True
    while goes_on:
        pieces, goes_on = decode(await get(paging.url)), False
        while piece := await cooperative.next(pieces):
            items, link = piece
            found += items
            goes_on = paging.goes_on(link)
    return found
