"""When state files are read and written: all at the start, each after every good poll."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import get_args

import structlog

from exporter.model.scale_set import Target
from exporter.persistence.directory import StateDirectory
from exporter.persistence.state_file import Reason, Refused, decode, encode
from exporter.polling.saved import Saved
from exporter.polling.target_state import TargetState
from exporter.polling.targets import Observer
from exporter.runtime.clock import Clock
from exporter.telemetry import Telemetry

AT_A_TIME = 32
"""Files that one call of a thread reads or writes."""

FLUSH_LIMIT = 1.5
"""Seconds that the end waits for the last files; it must leave time for the scrapes."""

_FAULT = "a fault of the exporter ({})"

_DIRECTORY = "directory"
"""In the place of a file's name: a removal that failed. The set is gone, and nothing will ever
show that its own file is well again."""

_log = structlog.get_logger(__name__)


class StateStore(Observer):
    """Saves what is known of each target on disk.

    A write that fails is not repeated: the set's next good poll writes anew.

    Args:
        azures: the address of the Azure that has the sets of each credential, by its name: ids are
            unique in one Azure only.
        form: what rendered lines depend on, as `form_of` tells.
        telemetry: the exporter's own metrics.
    """

    def __init__(
        self,
        folder: StateDirectory,
        *,
        azures: Mapping[str, str],
        form: str,
        telemetry: Telemetry,
        clock: Clock,
    ) -> None:
        self._folder = folder
        self._azures = azures
        self._form = form
        self._telemetry = telemetry
        self._clock = clock
        self._pending: dict[str, TargetState | None] = {}
        self._failing: set[str] = set()
        self._wake = asyncio.Event()
        self._ending = False
        telemetry.counter("state_write_failures_total")
        for reason in get_args(Reason):
            telemetry.counter("state_refused_total", reason=reason)

    def save(self, state: TargetState) -> None:
        """Write the file of a target soon; however often it is asked for until then, once."""
        self._pending[self._name(state.target)] = state
        self._wake.set()

    def removed(self, state: TargetState) -> None:
        """Remove the file of a target soon: it is not polled any more."""
        self._pending[self._name(state.target)] = None
        self._wake.set()

    async def saved(
        self, states: Iterable[TargetState], *, clean: bool = True
    ) -> AsyncGenerator[tuple[TargetState, Saved], None]:
        """What the files hold of the targets; then all other state files are removed, if wanted.

        Invalid files are ignored, logged and counted. After a reload the files of
        sets that stay are not read: their states know better.
        """
        waiting = iter(states)
        names: set[str] = set()
        found = 0
        complaints: Counter[Reason] = Counter()
        examples: dict[Reason, str] = {}
        while batch := list(islice(waiting, AT_A_TIME)):
            names.update(self._name(state.target) for state in batch)
            new = [state for state in batch if state.is_new]
            read = await asyncio.to_thread(self._read, new, self._clock.now())
            for state, saved, refused in read:
                if refused is not None:
                    complaints[refused.reason] += 1
                    example = f"{state.target.scale_set}: {refused}"
                    examples.setdefault(refused.reason, example)
                if saved is not None:
                    found += 1
                    yield state, saved
                    await asyncio.sleep(0)
        for reason, count in complaints.items():
            self._telemetry.counter("state_refused_total", reason=reason).inc(count)
            _log.warning(
                "state file rejected", reason=reason, files=count, example=examples[reason]
            )
        _log.info("state restored", directory=str(self._folder.path), scale_sets=found)
        if clean:
            await self._clean(names)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Write what is kept; at the end wait a moment until the last of it is written."""
        self._ending = False
        writer = asyncio.create_task(self._write(), name="state writer")
        try:
            yield
        finally:
            self._ending = True
            self._wake.set()
            await asyncio.wait({writer}, timeout=FLUSH_LIMIT)
            if not writer.done():
                _log.warning("state not written in time", scale_sets=len(self._pending))
                writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            self._folder.close()

    async def _write(self) -> None:
        """Write until the end, one batch at a time."""
        while not self._ending or self._pending:
            if not self._pending:
                self._wake.clear()
                await self._wake.wait()
                continue
            names = list(islice(self._pending, AT_A_TIME))
            states = {name: self._pending.pop(name) for name in names}
            try:
                batch = {
                    name: (state.target, Saved.of(state)) if state else None
                    for name, state in states.items()
                }
                failures = await asyncio.to_thread(self._write_batch, batch)
            except Exception as error:  # noqa: BLE001 - no thread is to be had, or a fault
                failures = dict.fromkeys(names, _FAULT.format(type(error).__name__))
            self._tell(
                names, {name if states[name] else _DIRECTORY: failures[name] for name in failures}
            )

    async def _clean(self, names: set[str]) -> None:
        try:
            removed = await asyncio.to_thread(self._folder.clean, names)
        except OSError as error:
            self._tell([_DIRECTORY], {_DIRECTORY: error.strerror or str(error)})
        else:
            if removed:
                _log.info("state of other scale sets removed", files=removed)

    def _tell(self, names: Sequence[str], failures: dict[str, str]) -> None:
        """Count the failures; log the first, and the recovery."""
        was_failing = bool(self._failing)
        # The directory itself is well as soon as any file was written.
        self._failing.difference_update(names, {_DIRECTORY})
        self._failing.update(failures)
        self._telemetry.counter("state_write_failures_total").inc(len(failures))
        if failures and not was_failing:
            error = next(iter(failures.values()))
            _log.warning("state not written", directory=str(self._folder.path), error=error)
        elif was_failing and not self._failing:
            _log.info("state written again", directory=str(self._folder.path))

    def _read(
        self, states: Sequence[TargetState], now: float
    ) -> list[tuple[TargetState, Saved | None, Refused | None]]:
        return [(state, *self._read_one(state, now)) for state in states]

    def _read_one(self, state: TargetState, now: float) -> tuple[Saved | None, Refused | None]:
        target = state.target
        try:
            data = self._folder.read(self._name(target))
            if data is None:
                return None, None
            identity = self._identity(target)
            saved, other_form = decode(
                data, scale_set=identity, form=self._form, target=target, now=now
            )
        except OSError as error:
            return None, Refused("unreadable", error.strerror or str(error))
        except Refused as refused:
            return None, refused
        except Exception as error:  # noqa: BLE001 - one odd file must not cost the others theirs
            return None, Refused("damaged", _FAULT.format(type(error).__name__))
        if other_form:
            return saved, Refused("configuration", "the instances are in another form")
        return saved, None

    def _write_batch(self, batch: dict[str, tuple[Target, Saved] | None]) -> dict[str, str]:
        """Write some files, or remove them; the result is what went wrong, by the file's name."""
        failures: dict[str, str] = {}
        for name, known in batch.items():
            try:
                if known is None:
                    self._folder.remove(name)
                else:
                    target, saved = known
                    identity = self._identity(target)
                    data = encode(saved, scale_set=identity, form=self._form, target=target)
                    self._folder.write(name, data)
            except OSError as error:
                failures[name] = error.strerror or str(error)
            except Exception as error:  # noqa: BLE001 - one odd set must not cost the others theirs
                failures[name] = _FAULT.format(type(error).__name__)
        return failures

    def _identity(self, target: Target) -> str:
        return "/".join((self._azures[target.credential], *target.scale_set.key))

    def _name(self, target: Target) -> str:
        return hashlib.sha256(self._identity(target).encode(errors="replace")).hexdigest()
