"""What a poller needs of others: where answers come from, and where states are saved."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Protocol

from exporter.azure.ratelimit.usage import Reservation
from exporter.azure.scale_sets import Restart
from exporter.model.instance_view import Instance, InstancePage, Problem
from exporter.model.scale_set import ScaleSetId, ScaleSetModel
from exporter.polling.target_state import TargetState


class ScaleSetSource(Protocol):
    """Where the answers come from: the Azure client, or a stand-in of a test."""

    def instance_pages(
        self,
        scale_set: ScaleSetId,
        *,
        location: str = "",
        reservation: Reservation | None = None,
    ) -> AsyncGenerator[InstancePage | Restart, None]:
        """Walk over a Uniform set's instances, page by page; raises AzureError."""
        ...

    def virtual_machine_pages(
        self,
        scale_set: ScaleSetId,
        *,
        location: str = "",
        reservation: Reservation | None = None,
    ) -> AsyncGenerator[InstancePage | Restart, None]:
        """Walk over a Flexible set's instances, page by page; raises AzureError."""
        ...

    async def virtual_machine(
        self, scale_set: ScaleSetId, name: str, *, location: str = ""
    ) -> Instance | None:
        """Get a virtual machine by its name; None where there is none; raises AzureError."""
        ...

    async def scale_set_model(
        self,
        scale_set: ScaleSetId,
        *,
        location: str = "",
        reservation: Reservation | None = None,
    ) -> tuple[ScaleSetModel, list[Problem]]:
        """Get the set model; raises AzureError."""
        ...


Sources = Mapping[str, ScaleSetSource]
"""The sources by the name of the credential that they ask with."""


class TargetStore(Protocol):
    """Where states are saved, so that they outlive a restart."""

    def save(self, state: TargetState) -> None:
        """Save what is known of a target now; does not wait."""
        ...
