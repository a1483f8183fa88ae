"""Replaces the configuration of a running process."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack, suppress
from enum import Enum
from functools import partial

import structlog

from exporter.assembly import Exporter, build, record_configuration, staying
from exporter.configuration import Configuration, ConfigurationError
from exporter.persistence.restore import persisted
from exporter.polling.targets import Changes
from exporter.preparation import Prepared, prepare
from exporter.process import Process
from exporter.runtime.files import OffLoop
from exporter.runtime.signals import Signals

RELOAD_LIMIT = 60.0
"""Seconds for reading the configuration again."""

_log = structlog.get_logger(__name__)

Problems = tuple[str, ...]
"""What was wrong with a configuration; nothing where it is in force now."""

Read = Callable[[], tuple[Configuration, str]]
"""Reads the configuration file: the configuration and the text. Raises ConfigurationError."""


class SignalEvents:
    """The signals that the process has received, as events.

    Attributes:
        stop: set by SIGTERM and SIGINT.
        reload: set by SIGHUP, also by one that came before, and by `ask`.
    """

    def __init__(self, signals: Signals) -> None:
        self.stop = asyncio.Event()
        self.reload = asyncio.Event()
        loop = asyncio.get_running_loop()

        def soon(event: asyncio.Event) -> None:
            with suppress(RuntimeError):  # the loop has ended already
                loop.call_soon_threadsafe(event.set)

        signals.hand_to(stop=partial(soon, self.stop), reload=partial(soon, self.reload))
        self._asked: list[asyncio.Future[Problems]] = []
        self._begun: list[asyncio.Future[Problems]] = []

    async def ask(self) -> Problems:
        """Ask for a reload, and wait for its end: what was wrong, or nothing."""
        asked: asyncio.Future[Problems] = asyncio.get_running_loop().create_future()
        self._asked.append(asked)
        self.reload.set()
        return await asked

    def begin(self) -> None:
        """Take up what was asked for: a reload that is asked for from now on is another one."""
        self.reload.clear()
        self._begun += self._asked
        self._asked = []

    def ended(self, problems: Problems = ()) -> None:
        """Tell those who have asked how the reload has ended."""
        begun, self._begun = self._begun, []
        for one in begun:
            if not one.done():
                one.set_result(problems)


class _Effect(Enum):
    """What another configuration changes: nothing, the targets, or the parts that poll them."""

    NOTHING = "nothing"
    TARGETS = "targets"
    PARTS = "parts"


def _effect(prepared: Prepared, before: Prepared) -> _Effect:
    if prepared.is_like(before):
        return _Effect.NOTHING
    return _Effect.TARGETS if prepared.differs_in_targets_only(before) else _Effect.PARTS


class InForce:
    """The exporter of the configuration in force, and what is to be closed when it ends."""

    exporter: Exporter

    def __init__(self, process: Process, stop: asyncio.Event) -> None:
        self._process = process
        self._stop = stop
        self._stack = AsyncExitStack()

    async def begin(self, configuration: Configuration) -> Exporter:
        """Build the first one."""
        self.exporter = await self._stack.enter_async_context(build(configuration, self._process))
        await self._start_store()
        return self.exporter

    async def change_to(self, prepared: Prepared) -> Exporter:
        """Build another one beside it and let it take its place.

        Raises:
            Exception: it cannot be built, for whatever reason; then nothing has changed.
        """
        stack = AsyncExitStack()
        building = build(
            prepared.configuration, self._process, prepared=prepared, carried=self.exporter
        )
        exporter = await stack.enter_async_context(building)
        await self.end()
        self._stack, self.exporter = stack, exporter
        await self._start_store()
        return exporter

    async def end(self) -> None:
        """Close what is in force."""
        try:
            await self._stack.aclose()
        except Exception:  # noqa: BLE001 - what is closed is of no use any more
            _log.exception("closing failed")

    async def _start_store(self) -> None:
        exporter = self.exporter
        keeping = persisted(
            exporter.store,
            exporter.poller,
            exporter.targets,
            self._stop,
            clean=not exporter.configuration.discovery,
        )
        await self._stack.enter_async_context(keeping)


async def poll_until(
    exporter: Exporter, process: Process, signals: SignalEvents, read: Read | None
) -> int | tuple[Prepared, str]:
    """Keep polling until the stop, or until there is another valid configuration.

    Polls under way of sets that are in it too may end first. The garbage collector is
    disabled then: the caller enables it when all poll loops have started.

    Returns:
        The exit code: 1 if the poll loops end by themselves, which they never should. Else the
        prepared configuration, and its text.
    """
    polling = asyncio.create_task(exporter.run(), name="polling")
    stopping = asyncio.create_task(signals.stop.wait(), name="stop")
    reloading = asyncio.create_task(_reloaded(exporter, process, signals, read), name="reload")
    tasks = [polling, stopping, reloading]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if reloading.done() and not polling.done():
            prepared, _ = reloading.result()
            closing = exporter.scheduler.close(staying(exporter, prepared))
            tasks.append(asyncio.create_task(closing, name="closing"))
            others = [task for task in tasks if task is not reloading]
            await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
        if signals.stop.is_set():
            _log.info("stopping")
            return 0
        if polling.done():
            _log.error("polling ended unexpectedly", error=repr(polling.exception()))
            return 1
        return reloading.result()
    finally:
        # While thousands of poll loops end and start, a full collection takes 100 ms and more.
        gc.disable()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


_Found = tuple[Prepared, str, _Effect]


async def _reloaded(
    exporter: Exporter, process: Process, signals: SignalEvents, read: Read | None
) -> tuple[Prepared, str]:
    """Wait for a reload that changes parts. One that fails is logged, and changes nothing.

    One that changes nothing but targets is put in force here: polls go on, those under way
    included.
    """

    def read_anew() -> _Found:
        if read is None:
            raise ConfigurationError(("it is in no file",))
        configuration, text = read()
        prepared = prepare(configuration)
        return prepared, text, _effect(prepared, exporter.prepared)

    # Thousands of sets take a second to read and to check, and a file system may hang.
    file = OffLoop(read_anew, patience=RELOAD_LIMIT)
    while True:
        await signals.reload.wait()
        signals.begin()
        if read is None:
            _log.warning("nothing to reload: the configuration is in no file")
            signals.ended(("nothing to reload: the configuration is in no file",))
            continue
        try:
            prepared, text, effect = await _read_again(file)
            if effect is _Effect.PARTS:
                return prepared, text
            changes = None
            if effect is _Effect.TARGETS:
                changes = await _apply(exporter, prepared)
        except _NotReloadedError as error:
            not_reloaded(process, error.problems)
            signals.ended(error.problems)
            continue
        record_configuration(prepared.configuration, text, process)
        signals.ended()
        counts = changes._asdict() if changes else {"changed": False}
        _log.info("configuration reloaded", scale_sets=len(exporter.targets), **counts)


class _NotReloadedError(Exception):
    """The configuration in force stays, for these reasons."""

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems = problems


async def _apply(exporter: Exporter, prepared: Prepared) -> Changes:
    """Put other targets in force."""
    changes = await exporter.apply(prepared)
    if changes.failed:
        raise _NotReloadedError(
            f"{changes.failed} changes of scale sets have failed; the log says why"
        )
    return changes


async def _read_again(file: OffLoop[_Found]) -> _Found:
    try:
        return await file.read()
    except ConfigurationError as error:
        raise _NotReloadedError(*error.problems) from None
    except OSError as error:
        raise _NotReloadedError(f"cannot be read: {error.strerror}") from None
    except Exception as error:  # noqa: BLE001 - whatever it is, polls go on
        _log.exception("reading the configuration failed")
        raise _NotReloadedError(f"cannot be read ({type(error).__name__})") from None


def not_reloaded(process: Process, problems: Iterable[str]) -> None:
    """Log why the configuration in force stays."""
    process.telemetry.gauge("config_last_reload_successful").set(0)
    for problem in problems:
        _log.error("configuration not reloaded", problem=problem)
