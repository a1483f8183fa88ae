"""A search for scale sets by lists: what was found, and what could not be searched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Literal, Protocol

import structlog

from exporter.azure.decode_scale_sets import ResourceGroup, ScaleSetPage
from exporter.azure.errors import AzureError, NotFound, NotSent, Throttled
from exporter.discovery.selection import Selection
from exporter.model.scale_set import FoundScaleSet

Way = Literal["resource_graph", "lists"]
"""How scale sets are searched."""

AT_A_TIME = 4
"""Lists that are read at a time: they share Azure's limits with the polls."""

_log = structlog.get_logger(__name__)


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

    async def resource_groups(self, subscription_id: str) -> list[ResourceGroup]:
        """List the resource groups of a subscription; raises AzureError."""
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
        listed: those of which a list has told the model; by lists, all.
        way: how it was searched.
        because: why not in the other way; empty where there is nothing to say.
        graph_failure: why Resource Graph could not be used, where it is to be.
    """

    found: dict[tuple[str, str, str], FoundScaleSet] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    listed: set[tuple[str, str, str]] = field(default_factory=set)
    way: Way = "lists"
    because: str = ""
    graph_failure: Failure | None = None


class Finder:
    """Searches for scale sets.

    Args:
        lists: the Azure client.
    """

    def __init__(self, lists: ScaleSetLists) -> None:
        self._lists = lists
        self._slots = asyncio.Semaphore(AT_A_TIME)
        self._groups_failed = False

    async def search(self, selection: Selection) -> Search:
        """Find all scale sets that a selection wants; a list that fails costs no other its sets."""
        subscriptions = selection.subscriptions
        if selection.everywhere:
            try:
                subscriptions = tuple(await self.subscriptions())
            except (AzureError, NotSent) as error:
                return Search(failures=[failure_of("subscriptions", error)])
        return await self.search_in(subscriptions, selection)

    async def subscriptions(self) -> list[str]:
        """List the ids of all subscriptions that the identity sees; raises AzureError, NotSent."""
        return await self._lists.subscriptions()

    async def search_in(self, subscriptions: Iterable[str], selection: Selection) -> Search:
        """Find those of some subscriptions."""
        search = Search()
        async with asyncio.TaskGroup() as group:
            for subscription_id in subscriptions:
                if not selection.resource_groups:
                    group.create_task(self._whole(search, selection, subscription_id))
                for resource_group in selection.resource_groups:
                    group.create_task(
                        self._list(search, selection, subscription_id, resource_group)
                    )
        return search

    async def _whole(self, search: Search, selection: Selection, subscription_id: str) -> None:
        """List a subscription, and each resource group of AKS of which its list has no set.

        The list of a subscription was seen to miss sets of AKS for hours.
        """
        seen = await self._list(search, selection, subscription_id, "")
        try:
            async with self._slots:
                groups = await self._lists.resource_groups(subscription_id)
        except (AzureError, NotSent) as error:
            # The right to list them is wanted for this alone.
            if not self._groups_failed:
                _log.warning("resource groups not listed", error=str(error))
            self._groups_failed = True
            return
        self._groups_failed = False
        async with asyncio.TaskGroup() as tasks:
            for found in groups:
                name = found.name.casefold()
                if found.is_of_aks and name not in seen and selection.may_want_of(found.name):
                    tasks.create_task(self._list(search, selection, subscription_id, found.name))

    async def _list(
        self, search: Search, selection: Selection, subscription_id: str, resource_group: str
    ) -> set[str]:
        """Add what a list has; the result is the resource groups of which it has a set."""
        found: dict[tuple[str, str, str], FoundScaleSet] = {}
        groups: set[str] = set()
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
                    groups.update(one.scale_set.key[1] for one in page.found)
                    found.update(
                        {one.scale_set.key: one for one in page.found if selection.wants(one)}
                    )
        except (AzureError, NotSent) as error:
            if not _is_empty(error, resource_group):
                search.failures.append(failure_of(where, error))
        search.found.update(found)
        search.listed.update(found)
        return groups


def _is_empty(error: AzureError | NotSent, resource_group: str) -> bool:
    """Whether the error says that there is no such resource group, and so no set in it."""
    return bool(resource_group) and isinstance(error, NotFound) and error.removes


def failure_of(where: str, error: AzureError | NotSent) -> Failure:
    """The failure that an error of the Azure client is."""
    reason = Throttled.reason if isinstance(error, NotSent) else error.reason
    return Failure(where, reason, str(error))
