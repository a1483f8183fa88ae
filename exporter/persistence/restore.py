"""The state in the life of the process: read before the first page, written until the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import structlog

from exporter.configuration import Configuration
from exporter.metrics.mapper import Mapper
from exporter.persistence.directory import StateDirectory
from exporter.persistence.state_file import form_of
from exporter.persistence.store import StateStore
from exporter.polling.poller import Poller
from exporter.polling.target_state import TargetState
from exporter.runtime.clock import Clock
from exporter.telemetry import Telemetry

RESTORE_LIMIT = 10.0
"""Seconds for reading the state; beyond it the exporter starts with what it has by then."""

_log = structlog.get_logger(__name__)


def store_for(
    configuration: Configuration,
    mapper: Mapper,
    *,
    azures: Mapping[str, str],
    version: str,
    telemetry: Telemetry,
    clock: Clock,
) -> StateStore | None:
    """The store that the configuration asks for; None without `polling.state_dir`.

    Args:
        mapper: what the lines are written by.
        azures: the address of the Resource Manager of each credential, by its name.
        version: the exporter's version.
        telemetry: the exporter's own metrics.
    """
    if not configuration.polling.state_dir:
        return None
    settings = (
        configuration.azure.detail,
        configuration.metrics.state_sets,
        str(configuration.web.messages),
    )
    return StateStore(
        StateDirectory(Path(configuration.polling.state_dir)),
        azures=azures,
        form=form_of(version=version, families=mapper.families, settings=settings),
        telemetry=telemetry,
        clock=clock,
    )


async def restore_found(store: StateStore, poller: Poller, states: Sequence[TargetState]) -> None:
    """Restore the states of targets that were found later: their files were left where they are."""
    async with aclosing(store.saved(states, clean=False)) as found:
        await poller.restore(found)


@asynccontextmanager
async def persisted(
    store: StateStore | None,
    poller: Poller,
    states: Iterable[TargetState],
    stop: asyncio.Event,
    *,
    clean: bool = True,
) -> AsyncIterator[None]:
    """Restore states from their files, and save them while the context lasts.

    Args:
        store: what reads and writes; None for a cold start.
        stop: set when the process has to end: that does not wait for a slow disk.
        clean: whether files of other targets are removed; those of targets that are yet to be
            found must not be.
    """
    if store is None:
        yield
        return
    await _restore(store, poller, states, stop, clean=clean)
    async with store.writing():
        yield


async def _restore(
    store: StateStore,
    poller: Poller,
    states: Iterable[TargetState],
    stop: asyncio.Event,
    *,
    clean: bool,
) -> None:
    async def restore() -> None:
        async with aclosing(store.saved(states, clean=clean)) as found:
            await poller.restore(found)

    restoring = asyncio.create_task(restore(), name="restore")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait(
            {restoring, stopping}, timeout=RESTORE_LIMIT, return_when=asyncio.FIRST_COMPLETED
        )
        if not restoring.done() and not stop.is_set():
            _log.warning("state not restored in time", seconds=RESTORE_LIMIT)
        elif restoring.done() and (error := restoring.exception()):
            # No state is worth an exporter that does not start.
            _log.error("restoring the state failed", exc_info=error)
    finally:
        restoring.cancel()
        stopping.cancel()
        await asyncio.gather(restoring, stopping, return_exceptions=True)
