"""The calls that tell which scale sets there are: one method each, from address to answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator

from exporter.azure.decode_scale_sets import (
    ResourceGroup,
    ScaleSetPage,
    decode_resource_groups,
    decode_scale_sets,
    decode_subscriptions,
)
from exporter.azure.operation import (
    LIST_RESOURCE_GROUPS,
    LIST_SCALE_SETS,
    LIST_SUBSCRIPTIONS,
    Operation,
    Scope,
)
from exporter.azure.paging import Paging
from exporter.azure.transport import Transport
from exporter.azure.urls import (
    RESOURCES_VERSION,
    resource_groups_url,
    scale_sets_url,
    subscriptions_url,
)
from exporter.runtime.cooperative import CooperativeScheduler


class Lists:
    """Asks the Azure Resource Manager which subscriptions and scale sets there are.

    Every method raises AzureError and NotSent only, and CancelledError.

    Args:
        api_version: of `Microsoft.Compute`.
        deadline: seconds for a list with all its requests.
        cooperative: where decoding yields to other tasks.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        api_version: str,
        deadline: float,
        cooperative: CooperativeScheduler | None = None,
    ) -> None:
        self._transport = transport
        self._api_version = api_version
        self._deadline = deadline
        self._cooperative = cooperative or CooperativeScheduler()

    async def scale_sets(
        self, subscription_id: str, resource_group: str = ""
    ) -> AsyncGenerator[ScaleSetPage, None]:
        """List the scale sets of a subscription, or of one of its resource groups.

        The list is complete only when it ends without an exception. Close it with
        `contextlib.aclosing`.
        """
        first = scale_sets_url(
            self._transport.endpoints,
            subscription_id,
            resource_group,
            api_version=self._api_version,
        )
        paging = Paging(first, self._transport.endpoints, api_version=self._api_version)
        scope, until, goes_on = self._scope(subscription_id), self._until(), True
        while goes_on:
            body = await self._get(paging, LIST_SCALE_SETS, scope, until)
            pieces, goes_on = decode_scale_sets(body), False
            while piece := await self._next(pieces):
                goes_on = paging.goes_on(piece.next_link)
                yield piece

    async def subscriptions(self) -> list[str]:
        """List the ids of all subscriptions in use that the identity may see."""
        endpoints = self._transport.endpoints
        paging = Paging(subscriptions_url(endpoints), endpoints, api_version=RESOURCES_VERSION)
        found: list[str] = []
        until, goes_on = self._until(), True
        while goes_on:
            body = await self._get(paging, LIST_SUBSCRIPTIONS, self._scope(""), until)
            ids, link = decode_subscriptions(body)
            found += ids
            goes_on = paging.goes_on(link)
        return found

    async def resource_groups(self, subscription_id: str) -> list[ResourceGroup]:
        """List the resource groups of a subscription."""
        endpoints = self._transport.endpoints
        first = resource_groups_url(endpoints, subscription_id)
        paging = Paging(first, endpoints, api_version=RESOURCES_VERSION)
        found: list[ResourceGroup] = []
        scope, until, goes_on = self._scope(subscription_id), self._until(), True
        while goes_on:
            body = await self._get(paging, LIST_RESOURCE_GROUPS, scope, until)
            groups, link = decode_resource_groups(body)
            found += groups
            goes_on = paging.goes_on(link)
        return found

    async def _get(self, paging: Paging, operation: Operation, scope: Scope, until: float) -> bytes:
        budget = self._transport.budget
        reservation = budget.unreserved(operation, scope)
        try:
            return await self._transport.ask(paging.url, reservation, until=until)
        finally:
            budget.close(reservation)

    def _scope(self, subscription_id: str) -> Scope:
        return Scope(subscription_id, credential=self._transport.credential)

    def _until(self) -> float:
        return asyncio.get_running_loop().time() + self._deadline

    async def _next(self, pieces: Iterator[ScaleSetPage]) -> ScaleSetPage | None:
        async with self._cooperative.chunk():
            return next(pieces, None)
