"""One search for scale sets by lists: what was found, and what could not be searched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

from exporter.azure.decode_scale_sets import ScaleSetPage
from exporter.azure.errors import AzureError, NotFound, NotSent, Throttled
from exporter.discovery.selection import Selection
from exporter.model.scale_set import FoundScaleSet

AT_A_TIME = 4
"""Lists that are read at a time: they share Azure's limits with the polls."""


class ScaleSetLists(Protocol):
    """Where the lists come from: the Azure client, or a stand-in of a test."""

    def scale_sets(
        self, subscription_id: str, resource_group: str = ""
    ) -> AsyncGenerator[ScaleSetPage, None]:
        """List the sets of a subscription, or of one of its resource groups; raises AzureError."""
        ...

    async def subscriptions(self) -> list[str]:
        """List the ids of all subscriptions that the identity may see; raises AzureError."""
        ...


@dataclass(frozen=True, slots=True)
class Failure:
    """A list that failed: what was listed, the reason as `poll_failures_total` has it, and why."""

    where: str
    reason: str
    message: str


@dataclass(slots=True)
class Search:
    """What a search has found.

    Attributes:
        found: the scale sets that are wanted, by their key.
        failures: what could not be searched. With any, nothing can be said of a set that was not
            found.
    """

    found: dict[tuple[str, str, str], FoundScaleSet] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)


class Finder:
    """Searches for scale sets.

    Args:
        lists: the Azure client.
    """

    def __init__(self, lists: ScaleSetLists) -> None:
        self._lists = lists
        self._slots = asyncio.Semaphore(AT_A_TIME)

    async def search(self, selection: Selection) -> Search:
        """Find all scale sets that a selection wants; a list that fails costs no other its sets."""
        search = Search()
        subscriptions = selection.subscriptions
        if selection.everywhere:
            try:
                subscriptions = tuple(await self._lists.subscriptions())
            except (AzureError, NotSent) as error:
                search.failures.append(_failure("subscriptions", error))
                return search
        async with asyncio.TaskGroup() as group:
            for subscription_id in subscriptions:
                for resource_group in selection.resource_groups or ("",):
                    group.create_task(
                        self._list(search, selection, subscription_id, resource_group)
                    )
        return search

    async def _list(
        self, search: Search, selection: Selection, subscription_id: str, resource_group: str
    ) -> None:
        found: dict[tuple[str, str, str], FoundScaleSet] = {}
        where = f"{subscription_id}/{resource_group}" if resource_group else subscription_id
        try:
            async with (
                self._slots,
                aclosing(self._lists.scale_sets(subscription_id, resource_group)) as pages,
            ):
                async for page in pages:
                    if page.lost:
                        # One of them may be a set that is known.
                        message = f"{page.lost} items have no scale set's id"
                        search.failures.append(Failure(where, "broken_answer", message))
                    found.update(
                        {one.scale_set.key: one for one in page.found if selection.wants(one)}
                    )
        except (AzureError, NotSent) as error:
            if not _is_empty(error, resource_group):
                search.failures.append(_failure(where, error))
        search.found.update(found)


def _is_empty(error: AzureError | NotSent, resource_group: str) -> bool:
    """Whether the error says that there is no such resource group, and so no set in it."""
    return bool(resource_group) and isinstance(error, NotFound) and error.removes


def _failure(where: str, error: AzureError | NotSent) -> Failure:
    reason = Throttled.reason if isinstance(error, NotSent) else error.reason
    return Failure(where, reason, str(error))
