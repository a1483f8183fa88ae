"""The registry of targets: the scale sets that are polled, which come and go at any time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from exporter.model.scale_set import ScaleSetId, Target
from exporter.polling.target_state import TargetState
from exporter.telemetry import Telemetry

CHANGES_AT_A_TIME = 50
"""Targets that are added or removed before other tasks run: some milliseconds of work."""


class Observer:
    """Holds something of each target, and learns when one comes, changes or goes."""

    def added(self, state: TargetState) -> None:
        """Begin with a target: it is polled from now on."""

    def updated(self, state: TargetState, before: Target) -> None:
        """Continue with a target that has another interval, other labels or another spelling."""

    def removed(self, state: TargetState) -> None:
        """Let go of all that is held of a target: it is not polled any more."""


class Changes(NamedTuple):
    """How many targets were added, updated and removed."""

    added: int
    updated: int
    removed: int


class Targets:
    """The targets of the process, whatever configurations come and go.

    Args:
        telemetry: shows their number.

    Attributes:
        observers: those that hold something of each target, in the order in which they learn of
            a change. A change of the configuration replaces them.
    """

    def __init__(self, *, telemetry: Telemetry) -> None:
        self.observers: tuple[Observer, ...] = ()
        self._telemetry = telemetry
        self._states: dict[tuple[str, str, str], TargetState] = {}
        self._all: tuple[TargetState, ...] | None = ()

    def __iter__(self) -> Iterator[TargetState]:
        """Iterate over the targets of this moment, whatever changes meanwhile."""
        if self._all is None:
            self._all = tuple(self._states.values())
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._states)

    def find(self, scale_set: ScaleSetId) -> TargetState | None:
        """The state of a scale set, named in any letter case; None if it is not polled here."""
        return self._states.get(scale_set.key)

    def add(self, target: Target) -> TargetState:
        """Poll a scale set from now on.

        Raises:
            ValueError: it is a target already.
        """
        key = target.scale_set.key
        if key in self._states:
            raise ValueError(f"{target.scale_set} is a target already")
        state = self._states[key] = TargetState.of(target)
        self._changed()
        for observer in self.observers:
            observer.added(state)
        return state

    def update(self, target: Target) -> None:
        """Give a scale set another interval, other labels or another spelling.

        Raises:
            KeyError: it is not a target.
        """
        state = self._states[target.scale_set.key]
        before, state.target = state.target, target
        for observer in self.observers:
            observer.updated(state, before)

    def remove(self, scale_set: ScaleSetId) -> None:
        """Poll a scale set no more, and let go of all that is known of it.

        Raises:
            KeyError: it is not a target.
        """
        state = self._states.pop(scale_set.key)
        self._changed()
        for observer in self.observers:
            observer.removed(state)

    async def apply(self, wanted: Iterable[Target]) -> Changes:
        """Add, update and remove until exactly the wanted targets are polled.

        Other tasks run in between: thousands of targets are seconds of work.
        """
        by_key = {target.scale_set.key: target for target in wanted}
        added = updated = removed = 0
        for key in [key for key in self._states if key not in by_key]:
            self.remove(self._states[key].target.scale_set)
            removed += 1
            await _yield(removed)
        for number, (key, target) in enumerate(by_key.items(), start=1):
            state = self._states.get(key)
            if state is None:
                self.add(target)
                added += 1
            elif state.target != target:
                self.update(target)
                updated += 1
            await _yield(number)
        return Changes(added, updated, removed)

    def _changed(self) -> None:
        self._all = None
        self._telemetry.gauge("targets").set(len(self._states))


async def _yield(number: int) -> None:
    if number % CHANGES_AT_A_TIME == 0:
        await asyncio.sleep(0)
