"""The registry of targets: the scale sets that are polled, which come and go at any time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import NamedTuple, get_args

import structlog

from exporter.model.scale_set import Origin, ScaleSetId, Target
from exporter.polling.target_state import TargetState
from exporter.telemetry import Telemetry

CHANGES_AT_A_TIME = 10
"""Targets that are added or removed before other tasks run: some milliseconds of work."""

_log = structlog.get_logger(__name__)


class Observer:
    """Holds something of each target, and learns when one comes, changes or goes."""

    def added(self, state: TargetState) -> None:
        """Begin with a target: it is polled from now on."""

    def updated(self, state: TargetState, before: Target) -> None:
        """Continue with a target that has another interval, other labels or another spelling."""

    def removed(self, state: TargetState) -> None:
        """Let go of all that is held of a target: it is not polled any more."""

    def settled(self) -> None:
        """Do what is done once for any number of changes: all of them have been told."""


class Changes(NamedTuple):
    """How many targets were added, updated and removed, and how many changes failed."""

    added: int = 0
    updated: int = 0
    removed: int = 0
    failed: int = 0


class Targets:
    """The targets of the process, whatever configurations come and go.

    Attributes:
        observers: those that hold something of each target, in the order in which they learn of
            a change. A change of the configuration replaces them.
    """

    def __init__(self, *, telemetry: Telemetry) -> None:
        self.observers: tuple[Observer, ...] = ()
        self._telemetry = telemetry
        self._states: dict[tuple[str, str, str], TargetState] = {}
        self._all: tuple[TargetState, ...] | None = ()
        self._applying = asyncio.Lock()
        for origin in get_args(Origin):
            telemetry.gauge("targets", origin=origin).set(0)

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
        """Poll a scale set from now on. It is not a target where this raises.

        Raises:
            ValueError: it is a target already.
            Exception: an observer's, after all have learnt of the target and let go of it.
        """
        state = self._add(target)
        self._settle()
        return state

    def update(self, target: Target) -> None:
        """Give a scale set another interval, other labels or another spelling.

        Raises:
            KeyError: it is not a target.
            Exception: an observer's, after all have learnt of the change.
        """
        self._update(target)
        self._settle()

    def remove(self, scale_set: ScaleSetId) -> None:
        """Poll a scale set no more, and let go of all that is known of it.

        Raises:
            KeyError: it is not a target.
            Exception: an observer's, after all have learnt of the change.
        """
        self._remove(scale_set)
        self._settle()

    async def apply(self, wanted: Iterable[Target]) -> Changes:
        """Add, update and remove until exactly the wanted targets are polled.

        Other tasks run in between: thousands of targets are seconds of work. A change that fails
        is logged and counted, and costs no other target its own; the next `apply` tries it again.
        Nothing is raised but a cancellation.
        """
        async with self._applying:
            by_key = {target.scale_set.key: target for target in wanted}
            done = {"added": 0, "updated": 0, "removed": 0, "failed": 0}

            async def change(kind: str, what: ScaleSetId, work: Callable[[], object]) -> None:
                try:
                    work()
                except Exception:  # noqa: BLE001 - one target must not cost the others their change
                    _log.exception("target not changed", scale_set=str(what), change=kind)
                    kind = "failed"
                done[kind] += 1
                if sum(done.values()) % CHANGES_AT_A_TIME == 0:
                    await asyncio.sleep(0)

            for state in self:
                scale_set = state.target.scale_set
                if scale_set.key not in by_key and not state.removed:
                    await change("removed", scale_set, partial(self._remove, scale_set))
            for key, target in by_key.items():
                known = self._states.get(key)
                if known is None:
                    await change("added", target.scale_set, partial(self._add, target))
                elif known.target != target:
                    await change("updated", target.scale_set, partial(self._update, target))
            try:
                self._settle()
            except Exception:  # noqa: BLE001 - the changes are made
                _log.exception("targets not settled")
                done["failed"] += 1
            return Changes(**done)

    def _add(self, target: Target) -> TargetState:
        key = target.scale_set.key
        if key in self._states:
            raise ValueError(f"{target.scale_set} is a target already")
        state = self._states[key] = TargetState.of(target)
        self._count(target, 1)
        try:
            self._tell(lambda observer: observer.added(state))
        except Exception:
            with suppress(Exception):
                self._remove(target.scale_set)
            raise
        return state

    def _update(self, target: Target) -> None:
        state = self._states[target.scale_set.key]
        before, state.target = state.target, target
        try:
            self._tell(lambda observer: observer.updated(state, before))
        except Exception:
            state.target = before
            raise
        self._count(before, -1)
        self._count(target, 1)

    def _remove(self, scale_set: ScaleSetId) -> None:
        state = self._states.pop(scale_set.key)
        state.removed = True
        self._count(state.target, -1)
        self._tell(lambda observer: observer.removed(state))

    def _settle(self) -> None:
        self._tell(lambda observer: observer.settled())

    def _tell(self, tell: Callable[[Observer], None]) -> None:
        """Tell every observer, also after one that fails; then raise what the first one raised."""
        failures: list[Exception] = []
        for observer in self.observers:
            try:
                tell(observer)
            except Exception as error:  # noqa: BLE001 - the others must learn of it too
                failures.append(error)
        if failures:
            raise failures[0]

    def _count(self, target: Target, by: int) -> None:
        self._all = None
        self._telemetry.gauge("targets", origin=target.origin).inc(by)
