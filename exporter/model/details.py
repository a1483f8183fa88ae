"""What Azure tells of a scale set beside its model and its instances, each by a call of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

MOST_OF_A_KIND = 1000
"""Services, events or counts of one set that are kept: Azure has some ten at the most, and writing
very many for the page would hold the loop."""


class Service(NamedTuple):
    """An orchestration service, such as automatic repairs, and its state."""

    name: str
    state: str


class RollingUpgrade(NamedTuple):
    """The latest rolling upgrade: its status, and instances by how far they are."""

    status: str | None
    successful: int | None
    failed: int | None
    in_progress: int | None
    pending: int | None


class LifecycleHook(NamedTuple):
    """An event of a lifecycle hook that waits for an answer; the time is Azure's text."""

    name: str
    type: str
    wait_until: str | None


@dataclass(frozen=True, slots=True)
class StandbyCount:
    """Instances of the set's standby pool by zone and state; no zone is an empty one."""

    zone: str
    state: str
    count: int


class Autoscale(NamedTuple):
    """The limits of the set's autoscale setting."""

    minimum: int | None
    maximum: int | None


@dataclass(frozen=True, slots=True)
class SetDetails:
    """All of it; None for what was not asked for, was not answered, or is not there."""

    services: tuple[Service, ...] | None = None
    rolling_upgrade: RollingUpgrade | None = None
    lifecycle_hooks: tuple[LifecycleHook, ...] | None = None
    standby_pool: tuple[StandbyCount, ...] | None = None
    autoscale: Autoscale | None = None


NO_DETAILS = SetDetails()
