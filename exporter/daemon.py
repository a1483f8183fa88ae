"""The daemon: start, serve and poll, reload, stop."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import structlog

from exporter.assembly import Exporter, record_configuration
from exporter.auto_reload import AutoReload, Watched
from exporter.azure.auth.token_cache import TokenSource
from exporter.configuration import Configuration
from exporter.process import Process
from exporter.reloading import InForce, Read, SignalEvents, not_reloaded, poll_until
from exporter.runtime.loop_errors import LoopErrors
from exporter.runtime.signals import Signals
from exporter.web.addresses import ListenAddress, url_of
from exporter.web.application import Site, make_application
from exporter.web.connections import ConnectionLimits
from exporter.web.listening import listening_sockets
from exporter.web.pages.links import PORTALS
from exporter.web.scrapes import MAX_REQUESTS
from exporter.web.server import running

SEARCH_LIMIT = 30.0
"""Seconds for the first search, until the garbage collector is enabled all the same."""

FREEZE_INTERVAL = 5.0
"""Seconds between two times when what the first polls have left is taken out of collections."""

SHUTDOWN_TIMEOUT = 2.0
"""Seconds for scrapes under way at the end."""

_log = structlog.get_logger(__name__)


class StartError(Exception):
    """Something asked for on the command line cannot be had; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asks for, beside the configuration.

    Attributes:
        lifecycle: whether whoever can reach the exporter may reload the configuration.
        auto_reload: the file that is reloaded when its content changes; None for none.
    """

    listen: tuple[ListenAddress, ...]
    telemetry_path: str
    max_requests: int = MAX_REQUESTS
    lifecycle: bool = False
    auto_reload: Watched | None = None
    version: str
    python_version: str

    def process(self, tokens: TokenSource | None = None, *, lasting: bool = True) -> Process:
        """What the process has once; one that does not last tells nothing of itself."""
        return Process(
            version=self.version,
            python_version=self.python_version,
            tokens={"": tokens} if tokens else None,
            own_process=lasting,
        )


async def run(
    configuration: Configuration,
    text: str,
    options: Options,
    *,
    signals: Signals,
    read: Read | None = None,
    tokens: TokenSource | None = None,
) -> int:
    """Poll and serve until SIGTERM or SIGINT; the result is the exit code.

    SIGHUP reads the configuration again: it is taken whole, or not at all. Sets that stay as they
    are keep their data and their schedule, others start anew, and those that are gone vanish.

    Args:
        configuration: what to poll, and how.
        text: the configuration file's content.
        options: the command line's part.
        read: how to read the configuration again; None if there is no file.
        tokens: the source of tokens in place of the configured credential.

    Raises:
        StartError: an address cannot be listened on.
    """
    events = SignalEvents(signals)
    process = options.process(tokens)
    asyncio.get_running_loop().set_exception_handler(LoopErrors().handle)
    in_force = InForce(process, events.stop)
    tasks = [asyncio.create_task(process.watch.run(), name="loop watch")]
    async with AsyncExitStack() as stack:
        try:
            exporter = await in_force.begin(configuration)
            record_configuration(configuration, text, process)
            site = _site(exporter, process, options)
            site.reload = events.ask if options.lifecycle else None
            if options.auto_reload is not None:
                tasks.append(_auto_reload(options.auto_reload, text, in_force, process, events))
            addresses = await stack.enter_async_context(serving(site, options.listen))
            _log_start(exporter, options, addresses)
            while True:
                now = in_force.exporter
                with collecting(now.scheduler.begun, now.discovery.searched, site.ready):
                    ended = await poll_until(in_force.exporter, process, events, read)
                if isinstance(ended, int):
                    return ended
                prepared, text = ended
                try:
                    exporter = await in_force.change_to(prepared)
                except Exception as error:  # noqa: BLE001 - it must not end what is in force
                    _log.exception("building the exporter failed")
                    problem = f"cannot be built ({type(error).__name__})"
                    not_reloaded(process, (problem,))
                    events.ended((problem,))
                else:
                    record_configuration(prepared.configuration, text, process)
                    _show(site, exporter)
                    events.ended()
                    _log.info("configuration reloaded", scale_sets=len(exporter.targets))
        finally:
            await in_force.end()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def collecting(
    begun: asyncio.Event, searched: asyncio.Event, ready: Callable[[], bool]
) -> Iterator[None]:
    """Enable the garbage collector once all long-lived objects are there, the poll loops included.

    Those of sets that are searched for are waited for, but not for long.

    Walking over it again and again would cost each full collection 35 ms of the loop's time, with
    thousands of sets 100 ms. What the first polls leave behind stays, too. `poll_until` disables
    the collector before the poll loops end.

    Args:
        begun: set when the poll loops run.
        searched: set when the scale sets were searched for.
        ready: whether all were polled once.
    """

    async def collect() -> None:
        await begun.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(SEARCH_LIMIT):
                await searched.wait()
        gc.freeze()
        gc.enable()
        while not ready():
            await asyncio.sleep(FREEZE_INTERVAL)
            gc.collect(1)  # What is garbage already is not kept.
            gc.freeze()

    task = asyncio.create_task(collect(), name="gc")
    try:
        yield
    finally:
        task.cancel()


@asynccontextmanager
async def serving(site: Site, listen: tuple[ListenAddress, ...]) -> AsyncIterator[tuple[str, ...]]:
    """Serve the site; the value is the addresses to open, with the ports that were taken.

    Raises:
        StartError: an address cannot be listened on.
    """
    async with running(
        make_application(site),
        limits=ConnectionLimits.of_process(),
        shutdown_timeout=SHUTDOWN_TIMEOUT,
    ) as server:
        for address in listen:
            try:
                taken = await listening_sockets(address)
            except (OSError, UnicodeError) as error:
                name = f"{address.host or ''}:{address.port}"
                raise StartError(
                    f"cannot listen on {name}: {_why(error)}; "
                    "choose another with --web.listen-address"
                ) from None
            await server.listen(taken)
        yield tuple(dict.fromkeys(url_of(*address[:2]) for address in server.addresses))


def _auto_reload(
    watched: Watched, text: str, in_force: InForce, process: Process, events: SignalEvents
) -> asyncio.Task[None]:
    watching = AutoReload(
        watched,
        text=text,
        configuration=lambda: in_force.exporter.configuration,
        reload=events.reload.set,
        clock=process.clock,
    )
    return asyncio.create_task(watching.run(), name="auto reload")


def _why(error: OSError | UnicodeError) -> str:
    if isinstance(error, socket.gaierror):
        return error.strerror or "not a host name"
    # Python's own text repeats the address.
    return os.strerror(error.errno or 0) if isinstance(error, OSError) else "not a host name"


def _site(exporter: Exporter, process: Process, options: Options) -> Site:
    ready_at = process.clock.monotonic() + exporter.configuration.polling.deadline

    searched = exporter.discovery.searched

    def ready() -> bool:
        if process.clock.monotonic() >= ready_at:
            return True
        return searched.is_set() and all(state.data.poll.tried for state in process.targets)

    site = Site(
        metrics_page=exporter.metrics_page,
        targets=process.targets,
        clock=process.clock,
        ready=ready,
        version=options.version,
        telemetry_path=options.telemetry_path,
        searches=exporter.discovery.status,
        configuration=process.shown.read,
        max_requests=options.max_requests,
        quotas=process.budget.quotas,
        cooperative=process.cooperative,
    )
    _show(site, exporter)
    return site


def _show(site: Site, exporter: Exporter) -> None:
    """Let the site show another exporter, all of it at once."""
    site.metrics_page = exporter.metrics_page
    site.searches = exporter.discovery.status
    configuration = exporter.configuration
    site.messages = configuration.web.messages
    site.grafana_url = configuration.web.grafana_url
    site.portal_url = PORTALS.get(configuration.azure.cloud, "")
    site.tags = tuple(configuration.metrics.tags)


def _log_start(exporter: Exporter, options: Options, addresses: tuple[str, ...]) -> None:
    _log.info("started", version=options.version, scale_sets=len(exporter.targets))
    for address in addresses:
        _log.info("listening", address=address, metrics=address + options.telemetry_path)
