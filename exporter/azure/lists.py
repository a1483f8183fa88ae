"""The calls that tell which scale sets there are: one method each, from address to answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from yarl import URL

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
from exporter.azure.paging import Paging, whole_list
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
        paging = self._paging(first, self._api_version)
        get, goes_on = self._getting(LIST_SCALE_SETS, self._scope(subscription_id)), True
        while goes_on:
            pieces, goes_on = decode_scale_sets(await get(paging.url)), False
            while piece := await self._cooperative.next(pieces):
                goes_on = paging.goes_on(piece.next_link)
                yield piece

    async def subscriptions(self) -> list[str]:
        """List the ids of all subscriptions in use that the identity may see."""
        first = subscriptions_url(self._transport.endpoints)
        paging = self._paging(first, RESOURCES_VERSION)
        get = self._getting(LIST_SUBSCRIPTIONS, self._scope(""))
        return await whole_list(paging, get, decode_subscriptions, self._cooperative)

    async def resource_groups(self, subscription_id: str) -> list[ResourceGroup]:
        """List the resource groups of a subscription."""
        first = resource_groups_url(self._transport.endpoints, subscription_id)
        paging = self._paging(first, RESOURCES_VERSION)
        get = self._getting(LIST_RESOURCE_GROUPS, self._scope(subscription_id))
        return await whole_list(paging, get, decode_resource_groups, self._cooperative)

    def _paging(self, first: URL, api_version: str) -> Paging:
        return Paging(first, self._transport.endpoints, api_version=api_version)

    def _getting(self, operation: Operation, scope: Scope) -> Callable[[URL], Awaitable[bytes]]:
        """What reads the pages of one list, until its deadline."""
        budget = self._transport.budget
        until = asyncio.get_running_loop().time() + self._deadline

        async def get(url: URL) -> bytes:
            reservation = budget.unreserved(operation, scope)
            try:
                return await self._transport.ask(url, reservation, until=until)
            finally:
                budget.close(reservation)

        return get

    def _scope(self, subscription_id: str) -> Scope:
        return Scope(subscription_id, credential=self._transport.credential)
