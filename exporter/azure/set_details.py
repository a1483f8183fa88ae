"""The calls about what a scale set has beside its model and its instances: one method each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, TypeVar

from yarl import URL

from exporter.azure.decode_details import (
    decode_autoscale,
    decode_lifecycle_hooks,
    decode_rolling_upgrade,
    decode_services,
    decode_standby_pool,
    decode_standby_pools,
)
from exporter.azure.errors import AzureError, NoAnswer, NotFound, NotSent
from exporter.azure.operation import (
    GET_ROLLING_UPGRADE,
    GET_SERVICES,
    GET_STANDBY_POOL,
    LIST_AUTOSCALE,
    LIST_LIFECYCLE_HOOKS,
    LIST_STANDBY_POOLS,
    Operation,
    Scope,
)
from exporter.azure.paging import Paging, whole_list
from exporter.azure.transport import Transport
from exporter.azure.urls import of_resource_url, of_scale_set_url, of_subscription_url
from exporter.model.details import (
    MOST_OF_A_KIND,
    Autoscale,
    LifecycleHook,
    RollingUpgrade,
    Service,
    StandbyCount,
)
from exporter.model.scale_set import ScaleSetId
from exporter.runtime.cooperative import CooperativeScheduler

HOOKS_VERSION = "2026-04-01"
"""Of `Microsoft.Compute`, for lifecycle hooks, which older versions do not know."""

STANDBY_VERSION = "2025-10-01"
"""Of `Microsoft.StandbyPool`."""

AUTOSCALE_VERSION = "2022-10-01"
"""Of `Microsoft.Insights`."""

Key = tuple[str, str, str]
_Item = TypeVar("_Item")


class _How(NamedTuple):
    """How a list is asked for, and what it is charged to."""

    operation: Operation
    api_version: str
    scope: Scope


class SetDetailsClient:
    """Asks with one credential. Every method raises AzureError and NotSent only.

    Args:
        api_version: of `Microsoft.Compute`.
        deadline: seconds for one request, with what is tried again of it.
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
        self._cooperative = cooperative or CooperativeScheduler()
        self._api_version = api_version
        self._deadline = deadline

    async def services(self, scale_set: ScaleSetId, location: str) -> tuple[Service, ...]:
        """Get the orchestration services of a Uniform set."""
        url = self._of_set(scale_set, "instanceView", self._api_version)
        return decode_services(await self._get(url, GET_SERVICES, self._scope(scale_set, location)))

    async def rolling_upgrade(self, scale_set: ScaleSetId, location: str) -> RollingUpgrade | None:
        """Get the latest rolling upgrade of a set; None where it never had one."""
        url = self._of_set(scale_set, "rollingUpgrades/latest", self._api_version)
        try:
            body = await self._get(url, GET_ROLLING_UPGRADE, self._scope(scale_set, location))
        except NotFound:
            return None
        return decode_rolling_upgrade(body)

    async def lifecycle_hooks(
        self, scale_set: ScaleSetId, location: str
    ) -> tuple[LifecycleHook, ...]:
        """List the events of a set's lifecycle hooks that wait for an answer."""
        first = self._of_set(scale_set, "lifecycleHookEvents", HOOKS_VERSION)
        scope = self._scope(scale_set, location)
        how = _How(LIST_LIFECYCLE_HOOKS, HOOKS_VERSION, scope)
        found = await self._list(first, decode_lifecycle_hooks, how)
        return tuple(found[:MOST_OF_A_KIND])

    async def standby_pools(
        self, subscription_id: str, wanted: Callable[[ScaleSetId], bool]
    ) -> dict[Key, tuple[StandbyCount, ...] | NoAnswer]:
        """Count the instances of all standby pools of a subscription, by the key of their set.

        Args:
            wanted: whether the pool of a set is to be read.

        Returns:
            Counts, or why those of one pool could not be read: it costs the others nothing.
        """
        first = self._of_subscription(
            subscription_id,
            "providers/Microsoft.StandbyPool/standbyVirtualMachinePools",
            STANDBY_VERSION,
        )
        scope = self._scope_of(subscription_id, "Standby pools")
        how = _How(LIST_STANDBY_POOLS, STANDBY_VERSION, scope)
        pools = await self._list(first, decode_standby_pools, how)
        found: dict[Key, tuple[StandbyCount, ...] | NoAnswer] = {}
        read: set[Key] = set()
        for resource_id, scale_set in pools:
            # A set has one pool: more, in an odd answer, would each cost a call.
            if wanted(scale_set) and scale_set.key not in read:
                read.add(scale_set.key)
                where, version = self._transport.endpoints, STANDBY_VERSION
                url = of_resource_url(
                    where, resource_id, "runtimeViews/latest", api_version=version
                )
                try:
                    body = await self._get(url, GET_STANDBY_POOL, scope)
                    found[scale_set.key] = decode_standby_pool(body)
                except NotFound:
                    continue  # It was deleted since the list.
                except (AzureError, NotSent) as error:
                    found[scale_set.key] = error
        return found

    async def autoscale(self, subscription_id: str) -> dict[Key, Autoscale]:
        """List the limits of all autoscale settings of a subscription, by the key of their set."""
        first = self._of_subscription(
            subscription_id, "providers/Microsoft.Insights/autoscalesettings", AUTOSCALE_VERSION
        )
        scope = self._scope_of(subscription_id, "Insights")
        how = _How(LIST_AUTOSCALE, AUTOSCALE_VERSION, scope)
        found = await self._list(first, decode_autoscale, how)
        return {scale_set.key: limits for scale_set, limits in found}

    async def _list(
        self,
        first: URL,
        decode: Callable[[bytes], Iterator[tuple[list[_Item], str | None]]],
        how: _How,
    ) -> list[_Item]:
        paging = Paging(first, self._transport.endpoints, api_version=how.api_version)
        get = partial(self._get, operation=how.operation, scope=how.scope)
        return await whole_list(paging, get, decode, self._cooperative)

    async def _get(self, url: URL, operation: Operation, scope: Scope) -> bytes:
        budget = self._transport.budget
        # It waits in line with the polls, not before them.
        reservation = await budget.reserve(operation, scope)
        try:
            until = asyncio.get_running_loop().time() + self._deadline
            return await self._transport.ask(url, reservation, until=until)
        finally:
            budget.close(reservation)

    def _scope(self, scale_set: ScaleSetId, location: str) -> Scope:
        return Scope.of(scale_set, location, self._transport.credential)

    def _scope_of(self, subscription_id: str, service: str) -> Scope:
        return Scope(subscription_id, credential=self._transport.credential, service=service)

    def _of_set(self, scale_set: ScaleSetId, what: str, version: str) -> URL:
        return of_scale_set_url(self._transport.endpoints, scale_set, what, api_version=version)

    def _of_subscription(self, subscription_id: str, what: str, version: str) -> URL:
        where = self._transport.endpoints
        return of_subscription_url(where, subscription_id, what, api_version=version)
