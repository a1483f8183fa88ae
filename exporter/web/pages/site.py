"""What the pages need to know of the site."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from exporter.discovery.discovery import SearchStatus
from exporter.model.quota import QuotaUse
from exporter.polling.targets import Targets
from exporter.runtime.clock import Clock
from exporter.runtime.cooperative import CooperativeScheduler


class PagesSite(Protocol):
    """The part of the site that is shown to people; see `Site`, whose attributes these are."""

    targets: Targets
    clock: Clock
    version: str
    telemetry_path: str
    messages: bool
    tags: tuple[str, ...]
    grafana_url: str
    portal_url: str
    cooperative: CooperativeScheduler

    @property
    def searches(self) -> Callable[[], Iterable[SearchStatus]]:
        """How the searches for scale sets stand."""
        ...

    @property
    def quotas(self) -> Callable[[], Iterable[QuotaUse]]:
        """How much is spent of Azure's limits."""
        ...
