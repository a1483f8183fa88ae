"""The only place that builds things: it wires the rooms, keeps them running and stops them."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase

import structlog
from aiohttp import web

from exporter.azure import credentials, endpoints
from exporter.azure.client import AzureClient, new_session
from exporter.azure.tokens import TokenSource
from exporter.clock import Clock, SystemClock
from exporter.configuration import Configuration
from exporter.loop_watch import LoopWatch
from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.family import FamilyFilter
from exporter.metrics.mapper import Mapper
from exporter.polling.lanes import Lanes
from exporter.polling.poller import Poller, Retention
from exporter.polling.scheduler import Scheduler
from exporter.polling.state.keeper import StateKeeper
from exporter.polling.state.warm_start import keeper_for, kept
from exporter.telemetry import Telemetry
from exporter.turns import Turns
from exporter.web.addresses import ListenAddress, url_of
from exporter.web.application import CHUNK, Site, make_application
from exporter.web.exposition import Exposition, exposed_name
from exporter.web.formats import TEXT

SHUTDOWN_TIMEOUT = 2.0
"""Seconds for scrapes under way at the end."""

STOP_TIMEOUT = 4.0
"""Seconds for the whole stop, from the signal on; beyond it the process just ends."""

_log = structlog.get_logger(__name__)


class StartError(Exception):
    """Something asked for on the command line cannot be had; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asks for, beside the configuration."""

    listen: tuple[ListenAddress, ...]
    telemetry_path: str
    version: str
    python_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporter:
    """All parts, wired: polling, what shows it, and what keeps it over a restart if asked for."""

    poller: Poller
    keeper: StateKeeper | None
    scheduler: Scheduler
    exposition: Exposition
    site: Site
    watch: LoopWatch


@asynccontextmanager
async def build(
    configuration: Configuration,
    text: str,
    options: Options,
    *,
    clock: Clock,
    tokens: TokenSource | None = None,
) -> AsyncIterator[Exporter]:
    """Wire the rooms from a configuration, and close what they hold open at the end.

    Args:
        configuration: what to poll, and how.
        text: the configuration file's content, for `config_hash`.
        options: the command line's part.
        clock: the time.
        tokens: the source of tokens in place of the configured credential; it is closed too.
    """
    telemetry = Telemetry(version=options.version, python_version=options.python_version)
    _tell_of_configuration(configuration, text, telemetry, clock)
    azure, polling = configuration.azure, configuration.polling
    allowed = FamilyFilter(
        deny=tuple(configuration.metrics.deny), opt_in=tuple(configuration.metrics.opt_in)
    )
    mapper = Mapper(
        families=allowed,
        full=azure.detail == "full",
        state_sets=configuration.metrics.state_sets,
        tags=tuple(configuration.metrics.tags),
        messages=configuration.web.messages,
    )
    turns = Turns()
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(new_session())
        where = endpoints.resolve(azure)
        tokens = tokens or credentials.build(azure.credential, where, clock=clock)
        stack.push_async_callback(tokens.close)
        client = AzureClient(
            session=session,
            endpoints=where,
            tokens=tokens,
            telemetry=telemetry,
            clock=clock,
            api_version=azure.api_version,
            detail=azure.detail,
            timeout=polling.timeout,
            deadline=polling.deadline,
            turns=turns,
        )
        keeper = keeper_for(
            configuration,
            mapper,
            azure=where.resource_manager,
            version=options.version,
            telemetry=telemetry,
            clock=clock,
        )
        poller = Poller(
            source=client,
            mapper=mapper,
            telemetry=telemetry,
            clock=clock,
            retention=Retention(keep_for=polling.keep_for, deadline=polling.deadline),
            max_series=configuration.metrics.max_series,
            turns=turns,
            keeper=keeper,
        )
        records = tuple(poller.new_record(target) for target in configuration.targets())
        scheduler = Scheduler(
            records=records,
            poller=poller,
            waits=client,
            lanes=Lanes(polling.concurrency, clock=clock),
            clock=clock,
        )
        telemetry.gauge("targets").set(len(records))
        telemetry.gauge("poll_lag_seconds").set_function(scheduler.lag)
        watch = LoopWatch(clock)
        telemetry.gauge("event_loop_lag_seconds").set_function(watch.largest)
        exposition = Exposition(
            served=poller.served,
            allowed=allowed,
            telemetry=telemetry,
            clock=clock,
        )
        ready_at = clock.monotonic() + polling.deadline
        site = Site(
            exposition=exposition,
            records=records,
            clock=clock,
            ready=lambda: clock.monotonic() >= ready_at or all(r.poll.tried for r in records),
            version=options.version,
            telemetry_path=options.telemetry_path,
            messages=configuration.web.messages,
            turns=turns,
        )
        yield Exporter(
            poller=poller,
            keeper=keeper,
            scheduler=scheduler,
            exposition=exposition,
            site=site,
            watch=watch,
        )


async def run(
    configuration: Configuration, text: str, options: Options, *, tokens: TokenSource | None = None
) -> int:
    """Poll and serve until SIGTERM or SIGINT; the result is the exit code.

    The arguments are those of `build`.

    Raises:
        StartError: an address cannot be listened on.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # A reload that is sent in good faith must not end the exporter.
    loop.add_signal_handler(signal.SIGHUP, _log.warning, "reload is not supported yet; restart")
    async with (
        build(configuration, text, options, clock=SystemClock(), tokens=tokens) as exporter,
        kept(exporter.keeper, exporter.poller, exporter.scheduler.records, stop),
        serving(exporter.site, options.listen) as addresses,
    ):
        # What is there now stays to the end. Walking over it again and again cost a full garbage
        # collection 35 ms of the loop's time.
        gc.freeze()
        targets = len(exporter.scheduler.records)
        _log.info("started", version=options.version, scale_sets=targets)
        for address in addresses:
            _log.info("listening", address=address, metrics=address + options.telemetry_path)
        return await _poll_until(exporter, stop)


async def run_once(
    configuration: Configuration, text: str, options: Options, *, tokens: TokenSource | None = None
) -> int:
    """Poll every scale set once and print the page; 1 if any set failed, said on stderr.

    The arguments are those of `build`.
    """
    async with build(configuration, text, options, clock=SystemClock(), tokens=tokens) as exporter:
        await exporter.scheduler.poll_once()
        # The format is UTF-8, whatever the terminal's encoding.
        page = await exporter.exposition.page(TEXT)
        for chunk in page.plain_chunks(CHUNK):
            sys.stdout.buffer.write(chunk)
        sys.stdout.flush()
        for record in exporter.scheduler.records:
            if record.poll.up and record.facts_message:
                _say(f"{record.target.scale_set}: facts: {record.facts_message}")
        failed = [record for record in exporter.scheduler.records if not record.poll.up]
        for record in failed:
            poll = record.poll
            said = poll.message or "not polled: Azure asked to wait"
            _say(f"{record.target.scale_set}: {said}")
        return 1 if failed else 0


@asynccontextmanager
async def serving(site: Site, listen: tuple[ListenAddress, ...]) -> AsyncIterator[tuple[str, ...]]:
    """Serve the site; the value is the addresses to open, with the ports that were taken.

    Raises:
        StartError: an address cannot be listened on.
    """
    runner = web.AppRunner(
        make_application(site), access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT
    )
    await runner.setup()
    try:
        for address in listen:
            try:
                await web.TCPSite(runner, address.host, address.port).start()
            except (OSError, UnicodeError) as error:
                name = f"{address.host or ''}:{address.port}"
                reason = getattr(error, "strerror", None) or "not a host name"
                raise StartError(
                    f"cannot listen on {name}: {reason}; choose another with --web.listen-address"
                ) from None
        yield tuple(dict.fromkeys(url_of(*address[:2]) for address in runner.addresses))
    finally:
        await runner.cleanup()


async def _poll_until(exporter: Exporter, stop: asyncio.Event) -> int:
    """Keep the beats going until the stop; 1 if they end before, which they never should."""
    polling = asyncio.create_task(exporter.scheduler.run(), name="scheduler")
    watching = asyncio.create_task(exporter.watch.run(), name="loop watch")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({polling, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            _log.error("polling ended by itself", error=repr(polling.exception()))
            return 1
        _log.info("stopping")
        _end_in_time(0)
        return 0
    finally:
        for task in (polling, watching, stopping):
            task.cancel()
        await asyncio.gather(polling, watching, stopping, return_exceptions=True)


def _tell_of_configuration(
    configuration: Configuration, text: str, telemetry: Telemetry, clock: Clock
) -> None:
    digest = hashlib.sha256(text.encode()).digest()
    telemetry.gauge("config_hash").set(int.from_bytes(digest[:6], "big"))
    telemetry.gauge("config_last_reload_successful").set(1)
    telemetry.gauge("config_last_reload_success_timestamp_seconds").set(clock.now())
    for setting in configuration.inert_settings():
        _log.warning("setting has no effect yet", setting=setting)
    known = {family.name for family in CATALOGUE}
    known.update(exposed_name(metric) for metric in telemetry.registry.collect())
    for setting in ("deny", "opt_in"):
        for pattern in getattr(configuration.metrics, setting):
            if not any(fnmatchcase(name, pattern) for name in known):
                _log.warning(
                    "pattern matches no family", setting=f"metrics.{setting}", pattern=pattern
                )


def _end_in_time(code: int) -> None:
    """Make sure that the process ends within five seconds from now.

    Closing everything takes a moment, but the interpreter waits for threads, and a DNS look-up
    in one of them can neither be cancelled nor be bounded.
    """

    def end() -> None:
        sys.stderr.flush()
        os._exit(code)

    timer = threading.Timer(STOP_TIMEOUT, end)
    timer.daemon = True
    timer.start()


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 - the answer to the one who ran the command
