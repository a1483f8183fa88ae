"""`/sd`: every instance as a target, for Prometheus's HTTP service discovery.

A list that misses an instance deletes its target, and with it every series: so there is no list
before every set was tried, or while nothing is known of any. Of a set whose data are too old the
last targets stay, until it is known that it is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import msgspec
from isal import isal_zlib

from exporter.exposition.text_format import cut
from exporter.metrics.catalogue.model import tag_label
from exporter.metrics.instance_state import InstanceState
from exporter.model.scale_set import ScaleSetModel, short_region
from exporter.polling.confirmation import NOT_FOUND_ANSWERS
from exporter.polling.target_state import TargetState
from exporter.polling.targets import Targets
from exporter.redaction import plain
from exporter.runtime.cooperative import CooperativeScheduler

PREFIX = "__meta_azure_vmss_"
AT_A_TIME = 20
"""Instances that are read in one go: some milliseconds of work."""

_encoder = msgspec.json.Encoder()


class DiscoverySite(Protocol):
    """The part of the site that is served; see `Site`, whose attributes these are."""

    targets: Targets
    tags: tuple[str, ...]
    cooperative: CooperativeScheduler


@dataclass(frozen=True, slots=True)
class _Groups:
    """The target groups of a set, as they were made from one walk.

    Attributes:
        made_from: when the walk ended, and what else they were made from.
        text: the JSON objects with commas in between, compressed.
    """

    made_from: tuple[object, ...]
    text: bytes


class ServiceDiscovery:
    """Makes target groups from the last good walk of each set, when they are asked for."""

    def __init__(self, site: DiscoverySite) -> None:
        self._site = site
        self._groups: dict[TargetState, _Groups] = {}
        self._making = asyncio.Lock()

    @property
    def has_any(self) -> bool:
        """Whether anything is known of any set, or there is no set at all."""
        states = list(self._site.targets)
        return not states or any(
            state.data.snapshot is not None or state in self._groups for state in states
        )

    async def chunks(self) -> AsyncIterator[bytes]:
        """The JSON list, in chunks."""
        yield b"["
        separator = b""
        states = list(self._site.targets)
        self._groups = {state: self._groups[state] for state in states if state in self._groups}
        for state in states:
            async with self._making:
                await self._refresh(state)
            groups = self._groups.get(state)
            if groups and (text := isal_zlib.decompress(groups.text)):
                yield separator + text
                separator = b","
            await asyncio.sleep(0)
        yield b"]\n"

    async def _refresh(self, state: TargetState) -> None:
        data = state.data
        if data.snapshot is None:
            if data.confirmation.not_found >= NOT_FOUND_ANSWERS:
                self._groups.pop(state, None)
            return
        model = data.model.model if data.model else None
        # The walk itself is not held: the next poll's takes its place.
        made_from = (data.snapshot.since, model, state.target, self._site.tags)
        known = self._groups.get(state)
        if known is not None and known.made_from == made_from:
            return
        about = _about_set(state, model, self._site.tags)
        groups: list[bytes] = []
        await self._site.cooperative.run(_steps(state, about, groups))
        if data is state.data:
            self._groups[state] = _Groups(made_from, isal_zlib.compress(b",".join(groups)))


def _steps(state: TargetState, about: dict[str, str], groups: list[bytes]) -> Iterator[None]:
    """Add the target groups of a set, a few milliseconds' work per step."""
    for number, item in enumerate(state.items(), start=1):
        if item is not None:
            groups.append(_encoder.encode(_group(item.observed, about)))
        if item is None or number % AT_A_TIME == 0:
            yield


def _about_set(
    state: TargetState, model: ScaleSetModel | None, tags: Iterable[str]
) -> dict[str, str]:
    scale_set = state.target.scale_set
    about = {
        "subscription_id": scale_set.subscription_id,
        "resource_group": scale_set.resource_group,
        "scale_set": scale_set.name,
        "orchestration_mode": "flexible" if state.data.is_flexible else "uniform",
    }
    if model is not None:
        about["location"] = short_region(model.location)
        values = model.folded_tags
        about |= {tag_label(tag): values.get(tag.casefold(), "") for tag in tags}
    return {PREFIX + name: _label(value) for name, value in about.items()}


def _group(observed: InstanceState, about: dict[str, str]) -> dict[str, object]:
    computer = _label(observed.view.computer_name)
    placement = observed.placement
    labels = {
        "instance_id": observed.instance_id,
        "instance_name": observed.name,
        "computer_name": computer,
        "power_state": observed.power_state,
        "provisioning_state": observed.provisioning_state,
        "health_state": observed.health_state,
        "availability_zone": placement.zone,
        "fault_domain": placement.fault_domain,
        "vm_size": observed.vm_size,
        "vm_id": observed.properties.vm_id,
    }
    return {
        "targets": [computer or _label(observed.name)],
        "labels": about | {PREFIX + name: _label(value) for name, value in labels.items()},
    }


def _label(value: str | None) -> str:
    return cut(plain(value)) if value else ""
