"""The calls about scale sets: one method each, from the address to the decoded answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Literal

import structlog
from yarl import URL

from exporter.azure.decode import decode_instance_page, decode_virtual_machine
from exporter.azure.decode_scale_sets import decode_scale_set
from exporter.azure.errors import NotFound, Rejected
from exporter.azure.operation import (
    GET_SCALE_SET,
    GET_VIRTUAL_MACHINE,
    LIST_INSTANCES,
    LIST_VIRTUAL_MACHINES,
    Operation,
    Scope,
)
from exporter.azure.paging import PAGE_LIMIT, Paging
from exporter.azure.ratelimit.usage import Reservation
from exporter.azure.transport import Transport
from exporter.azure.urls import (
    instances_url,
    scale_set_url,
    virtual_machine_url,
    virtual_machines_url,
)
from exporter.model.instance_view import Instance, InstancePage, Problem
from exporter.model.scale_set import ScaleSetId, ScaleSetModel
from exporter.runtime.cooperative import CooperativeScheduler

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Restart:
    """Comes between the pages of a walk that begins again: forget the pages so far.

    Azure gives out a `nextLink` and sometimes declines it later. The pages of the second start
    are complete in themselves.
    """


RESTART = Restart()


class ScaleSetClient:
    """Asks the Azure Resource Manager about scale sets.

    Every method raises AzureError and NotSent only, and CancelledError.

    Args:
        api_version: of `Microsoft.Compute`.
        detail: `full` for all fields of the instances, else their instance view only.
        deadline: seconds for a call with all its requests.
        page_limit: pages of one walk.
        cooperative: where decoding yields to other tasks.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        api_version: str,
        detail: Literal["instance_view", "full"],
        deadline: float,
        page_limit: int = PAGE_LIMIT,
        cooperative: CooperativeScheduler | None = None,
    ) -> None:
        self._transport = transport
        self._endpoints = transport.endpoints
        self._budget = transport.budget
        self._api_version = api_version
        self._full = detail == "full"
        self._deadline = deadline
        self._page_limit = page_limit
        self._cooperative = cooperative or CooperativeScheduler()

    def instance_pages(
        self,
        scale_set: ScaleSetId,
        *,
        location: str = "",
        reservation: Reservation | None = None,
    ) -> AsyncGenerator[InstancePage | Restart, None]:
        """Walk over a Uniform set's instances (`VirtualMachineScaleSetVMs_List`), page by page.

        The walk is complete only when it ends without an exception: a walk that fails on page
        three says nothing about the instances that were not on the first two. A walk whose
        `nextLink` Azure no longer knows begins anew once. Close it with `contextlib.aclosing`. The
        time that the caller takes between pages counts to the deadline.

        Args:
            scale_set: whose instances.
            location: the set's region where known; the limits are counted by it.
            reservation: what the walk may spend, which is closed at its end; if None, each request
                waits for the budget.

        Yields:
            The pages in Azure's order; at most once RESTART, after which the pages begin anew.

        Raises:
            AzureError: the walk failed.
            NotSent: Azure has asked to wait.
        """
        first = instances_url(
            self._endpoints, scale_set, api_version=self._api_version, full=self._full
        )
        reserved = reservation or self._unreserved(LIST_INSTANCES, scale_set, location)
        return self._walk(first, scale_set, reserved)

    def virtual_machine_pages(
        self,
        scale_set: ScaleSetId,
        *,
        location: str = "",
        reservation: Reservation | None = None,
    ) -> AsyncGenerator[InstancePage | Restart, None]:
        """Walk over a Flexible set's instances (`VirtualMachines_List`), as `instance_pages` does.

        Of a set that does not exist the list is empty.
        """
        first = virtual_machines_url(self._endpoints, scale_set, api_version=self._api_version)
        reserved = reservation or self._unreserved(LIST_VIRTUAL_MACHINES, scale_set, location)
        return self._walk(first, scale_set, reserved)

    async def _walk(
        self, first: URL, scale_set: ScaleSetId, reserved: Reservation
    ) -> AsyncGenerator[InstancePage | Restart, None]:
        until = self._until()
        paging, restarted, complete = self._paging(first), False, False
        try:
            while not complete:
                try:
                    body = await self._transport.ask(paging.url, reserved, until=until)
                except Rejected as error:
                    if restarted or paging.url == first or not error.stale_link:
                        raise
                    _log.debug("walk restarted", scale_set=str(scale_set))
                    paging, restarted = self._paging(first), True
                    yield RESTART
                    continue
                complete = True
                chunks = decode_instance_page(body, scale_set=scale_set)
                while page := await self._cooperative.next(chunks):
                    complete = not paging.goes_on(page.next_link)
                    yield page
        finally:
            self._budget.close(reserved, complete=complete)

    async def virtual_machine(
        self, scale_set: ScaleSetId, name: str, *, location: str = ""
    ) -> Instance | None:
        """Get a virtual machine that is not in its set any more; None where there is none.

        Raises:
            AzureError: the request failed.
            NotSent: Azure has asked to wait.
        """
        reserved = self._unreserved(GET_VIRTUAL_MACHINE, scale_set, location)
        url = virtual_machine_url(self._endpoints, scale_set, name, api_version=self._api_version)
        try:
            body = await self._transport.ask(url, reserved, until=self._until())
        except NotFound:
            return None
        finally:
            self._budget.close(reserved)
        return decode_virtual_machine(body)

    async def scale_set_model(
        self,
        scale_set: ScaleSetId,
        *,
        location: str = "",
        reservation: Reservation | None = None,
    ) -> tuple[ScaleSetModel, list[Problem]]:
        """Get the set itself (`VirtualMachineScaleSets_Get`): its model, and what was left out.

        Args:
            location: its region where known; the limits are counted by it.
            reservation: what the call may spend, which is closed at its end; if None, it waits for
                the budget.

        Raises:
            AzureError: the request failed.
            NotSent: Azure has asked to wait.
        """
        reserved = reservation or self._unreserved(GET_SCALE_SET, scale_set, location)
        url = scale_set_url(self._endpoints, scale_set, api_version=self._api_version)
        try:
            body = await self._transport.ask(url, reserved, until=self._until())
        finally:
            self._budget.close(reserved)
        return decode_scale_set(body, scale_set=scale_set)

    def _unreserved(
        self, operation: Operation, scale_set: ScaleSetId, location: str
    ) -> Reservation:
        return self._budget.unreserved(
            operation, Scope.of(scale_set, location, self._transport.credential)
        )

    def _paging(self, first: URL) -> Paging:
        return Paging(
            first, self._endpoints, api_version=self._api_version, page_limit=self._page_limit
        )

    def _until(self) -> float:
        return asyncio.get_running_loop().time() + self._deadline
