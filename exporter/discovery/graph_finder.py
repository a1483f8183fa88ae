"""A search for scale sets by Resource Graph, checked by lists wherever it may be wrong."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from typing import Protocol

from exporter.azure.decode_scale_sets import ScaleSetPage
from exporter.azure.errors import AzureError, BrokenAnswer, NotSent
from exporter.discovery.finder import Finder, Search, failure_of
from exporter.discovery.selection import Selection
from exporter.runtime.clock import Clock

LISTED_EVERY = 3600.0
"""Seconds after which lists search again: the index was seen to be late by hours."""

LISTED_AGAIN = 600.0
"""Seconds after which they search again where not all could be listed."""

Key = tuple[str, str, str]


class ScaleSetGraph(Protocol):
    """Where the rows come from: the Azure client, or a stand-in of a test."""

    def scale_sets(self, subscriptions: Sequence[str] = ()) -> AsyncGenerator[ScaleSetPage, None]:
        """Find the scale sets of subscriptions, of all for none; raises AzureError."""
        ...


class GraphFinder:
    """Searches for what one selection wants: one query, where that can be had, for all of it.

    Resource Graph is an index, and may be late. So a list is asked before a set that is known
    counts as missing, where a subscription that is named has no set, and of a set that the polls
    do not find any more; all is listed once in an hour. Where a query fails, lists do it all.

    Args:
        finder: searches by lists.
        graph: Resource Graph; None if it is not to be used.
    """

    def __init__(
        self, selection: Selection, finder: Finder, graph: ScaleSetGraph | None, *, clock: Clock
    ) -> None:
        self._selection = selection
        self._finder = finder
        self._graph = graph
        self._clock = clock
        self._listed_at = clock.monotonic()
        # Sets that the index has, and a list has not.
        self._deleted: set[Key] = set()

    async def search(self, known: Collection[Key] = (), gone: Collection[Key] = ()) -> Search:
        """Search once.

        Args:
            known: the sets that were found before.
            gone: those of them of which the polls say that they do not exist.
        """
        if self._graph is None:
            return await self._by_lists("resource_graph.mode is off")
        now = self._clock.monotonic()
        if now - self._listed_at >= LISTED_EVERY:
            search = await self._by_lists("they check Resource Graph once in an hour")
            self._listed_at = now - (LISTED_EVERY - LISTED_AGAIN if search.failures else 0.0)
            self._deleted -= search.found.keys()
            return search
        try:
            search = await self._queried(self._graph)
        except (AzureError, NotSent) as error:
            search = await self._by_lists("Resource Graph has failed")
            search.graph_failure = failure_of("resource_graph", error)
            return search
        self._deleted.intersection_update(search.found)
        for key in self._deleted:
            del search.found[key]
        if not search.found:
            return await self._by_lists("Resource Graph has no scale set")
        await self._check(search, known, gone)
        return search

    async def _by_lists(self, because: str) -> Search:
        search = await self._finder.search(self._selection)
        search.because = because
        return search

    async def _queried(self, graph: ScaleSetGraph) -> Search:
        selection, search = self._selection, Search(way="resource_graph")
        wanted = () if selection.everywhere else selection.subscriptions
        async with aclosing(graph.scale_sets(wanted)) as pages:
            async for page in pages:
                if page.lost:
                    raise BrokenAnswer(f"{page.lost} rows have no scale set's id")
                search.found.update(
                    {one.scale_set.key: one for one in page.found if selection.wants(one)}
                )
        return search

    async def _check(self, search: Search, known: Collection[Key], gone: Collection[Key]) -> None:
        """List the subscriptions of which the answer may be wrong."""
        found = search.found.keys()
        doubted = {key[0] for key in known if key not in found}
        doubted |= {key[0] for key in gone if key in found}
        if not self._selection.everywhere:
            having = {key[0] for key in found}
            doubted |= {name.casefold() for name in self._selection.subscriptions} - having
        if doubted and self._selection.everywhere:
            # One that the identity does not see any more has no list: its sets are missing.
            try:
                seen = {name.casefold() for name in await self._finder.subscriptions()}
            except (AzureError, NotSent) as error:
                search.failures.append(failure_of("subscriptions", error))
                return
            doubted &= seen
        if not doubted:
            return
        search.because = f"lists have checked {len(doubted)} subscriptions"
        listed = await self._finder.search_in(self._spelled(doubted), self._selection)
        search.failures += listed.failures
        if not listed.failures:
            # A list may miss a set of AKS: without the polls' word nothing is held against a row.
            refuted = {key for key in gone if key in found} - listed.found.keys()
            self._deleted |= refuted
            for key in refuted:
                del search.found[key]
        search.found.update(listed.found)
        search.listed |= listed.listed

    def _spelled(self, subscriptions: Collection[str]) -> list[str]:
        spelled = {name.casefold(): name for name in self._selection.subscriptions}
        return [spelled.get(name, name) for name in sorted(subscriptions)]
