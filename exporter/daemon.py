"""The exporter's life: start, serve and poll, reload, stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import structlog

from exporter.assembly import Exporter, Process, build, tell_of_configuration
from exporter.azure.tokens import TokenSource
from exporter.configuration import Configuration, ConfigurationError
from exporter.loop_errors import LoopErrors
from exporter.model.scale_set import ScaleSetId
from exporter.polling.state.warm_start import kept
from exporter.printing import print_page, say
from exporter.signals import Signals
from exporter.web.addresses import ListenAddress, url_of
from exporter.web.application import Site, make_application
from exporter.web.bodies import PAGE_PIECE
from exporter.web.connections import ConnectionLimits
from exporter.web.formats import TEXT
from exporter.web.listening import listening_sockets
from exporter.web.scrapes import MAX_REQUESTS
from exporter.web.server import running

SHUTDOWN_TIMEOUT = 2.0
"""Seconds for scrapes under way at the end."""

_log = structlog.get_logger(__name__)

Read = Callable[[], tuple[Configuration, str]]
"""Reads the configuration file: the configuration and the text. Raises ConfigurationError."""


class StartError(Exception):
    """Something asked for on the command line cannot be had; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asks for, beside the configuration."""

    listen: tuple[ListenAddress, ...]
    telemetry_path: str
    max_requests: int = MAX_REQUESTS
    version: str
    python_version: str

    def process(self, tokens: TokenSource | None = None, *, lasting: bool = True) -> Process:
        """What the process has once; one that does not last tells nothing of itself."""
        return Process(
            version=self.version,
            python_version=self.python_version,
            tokens=tokens,
            own_process=lasting,
        )


class SignalEvents:
    """What the process was told from outside.

    Args:
        signals: who catches the signals.

    Attributes:
        stop: set by SIGTERM and SIGINT.
        reload: set by SIGHUP, also by one that came before.
    """

    def __init__(self, signals: Signals) -> None:
        self.stop = asyncio.Event()
        self.reload = asyncio.Event()
        loop = asyncio.get_running_loop()

        def soon(event: asyncio.Event) -> None:
            with suppress(RuntimeError):  # the loop has ended already
                loop.call_soon_threadsafe(event.set)

        signals.hand_to(stop=partial(soon, self.stop), reload=partial(soon, self.reload))


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
    are keep their data and their beat, others begin anew, and those that are gone vanish.

    Args:
        configuration: what to poll, and how.
        text: the configuration file's content.
        options: the command line's part.
        signals: who catches the signals.
        read: how to read the configuration again; None if there is no file.
        tokens: the source of tokens in place of the configured credential.

    Raises:
        StartError: an address cannot be listened on.
    """
    told = SignalEvents(signals)
    process = options.process(tokens)
    asyncio.get_running_loop().set_exception_handler(LoopErrors(process.clock).handle)
    site: Site | None = None
    exporter: Exporter | None = None
    async with AsyncExitStack() as stack:
        while True:
            async with (
                build(configuration, process, carried=exporter) as exporter,
                kept(exporter.keeper, exporter.poller, exporter.records, told.stop),
            ):
                tell_of_configuration(configuration, text, process)
                if site is None:
                    site = _site(exporter, process, options)
                    addresses = await stack.enter_async_context(serving(site, options.listen))
                    # What is there now stays to the end. Walking over it again and again cost a
                    # full garbage collection 35 ms of the loop's time.
                    gc.freeze()
                    gc.enable()
                    _tell_of_start(exporter, options, addresses)
                else:
                    _show(site, exporter)
                    _log.info("configuration reloaded", scale_sets=len(exporter.records))
                ended = await _poll_until(exporter, process, told, read)
            if isinstance(ended, int):
                return ended
            configuration, text = ended


async def run_once(
    configuration: Configuration,
    text: str,
    options: Options,
    *,
    tokens: TokenSource | None = None,
    failing: Collection[ScaleSetId] = (),
) -> int:
    """Poll every scale set once and print the page; 1 if any set failed, said on stderr.

    Args:
        configuration: what to poll, and how.
        text: the configuration file's content.
        options: the command line's part.
        tokens: the source of tokens in place of the configured credential.
        failing: the sets that are known to fail; all others must succeed, and these must fail.
    """
    process = options.process(tokens, lasting=False)
    async with build(configuration, process) as exporter:
        tell_of_configuration(configuration, text, process)
        gc.enable()
        with _failures_unlogged():
            await exporter.scheduler.poll_once()
        page = await exporter.exposition.page(TEXT)
        printed = print_page(page.plain_chunks(PAGE_PIECE))
        for record in exporter.records:
            if record.poll.up and record.facts_message:
                say(f"{record.target.scale_set}: facts: {record.facts_message}")
        failed = [record for record in exporter.records if not record.poll.up]
        for record in failed:
            poll = record.poll
            said = poll.message or "not polled: Azure asked to wait"
            say(f"{record.target.scale_set}: {said}")
        found = {record.target.scale_set.key for record in failed}
        return int(not printed or found != {scale_set.key for scale_set in failing})


@contextmanager
def _failures_unlogged() -> Iterator[None]:
    """Each failure is a line of the answer: the log would repeat it."""
    polling = logging.getLogger("exporter.polling")
    before = polling.level
    polling.setLevel(logging.ERROR)
    try:
        yield
    finally:
        polling.setLevel(before)


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


def _why(error: OSError | UnicodeError) -> str:
    if isinstance(error, socket.gaierror):
        return error.strerror or "not a host name"
    # Python's own text repeats the address.
    return os.strerror(error.errno or 0) if isinstance(error, OSError) else "not a host name"


async def _poll_until(
    exporter: Exporter, process: Process, told: SignalEvents, read: Read | None
) -> int | tuple[Configuration, str]:
    """Keep the beats going until the stop, or until there is another good configuration.

    Returns:
        The exit code: 1 if the beats end by themselves, which they never should. Else the
        configuration and its text.
    """
    polling = asyncio.create_task(exporter.scheduler.run(), name="scheduler")
    watching = asyncio.create_task(process.watch.run(), name="loop watch")
    stopping = asyncio.create_task(told.stop.wait(), name="stop")
    reloading = asyncio.create_task(_reloaded(process, told, read), name="reload")
    tasks = (polling, watching, stopping, reloading)
    try:
        await asyncio.wait({polling, stopping, reloading}, return_when=asyncio.FIRST_COMPLETED)
        if told.stop.is_set():
            _log.info("stopping")
            return 0
        if polling.done():
            _log.error("polling ended by itself", error=repr(polling.exception()))
            return 1
        return reloading.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _reloaded(
    process: Process, told: SignalEvents, read: Read | None
) -> tuple[Configuration, str]:
    """Wait for a reload that succeeds. One that fails changes nothing, and is said."""
    while True:
        await told.reload.wait()
        told.reload.clear()
        if read is None:
            _log.warning("nothing to reload: the configuration is in no file")
            continue
        try:
            # Thousands of sets take a second to read and to check.
            return await asyncio.to_thread(read)
        except ConfigurationError as error:
            process.telemetry.gauge("config_last_reload_successful").set(0)
            for problem in error.problems:
                _log.error("configuration not reloaded", problem=problem)


def _site(exporter: Exporter, process: Process, options: Options) -> Site:
    ready_at = process.clock.monotonic() + exporter.configuration.polling.deadline

    def ready() -> bool:
        tried = (record.poll.tried for record in site.records)
        return process.clock.monotonic() >= ready_at or all(tried)

    site = Site(
        exposition=exporter.exposition,
        records=exporter.records,
        clock=process.clock,
        ready=ready,
        version=options.version,
        telemetry_path=options.telemetry_path,
        max_requests=options.max_requests,
        messages=exporter.configuration.web.messages,
        turns=process.turns,
    )
    return site


def _show(site: Site, exporter: Exporter) -> None:
    """Let the site show another exporter, all of it at once."""
    site.exposition = exporter.exposition
    site.records = exporter.records
    site.messages = exporter.configuration.web.messages


def _tell_of_start(exporter: Exporter, options: Options, addresses: tuple[str, ...]) -> None:
    _log.info("started", version=options.version, scale_sets=len(exporter.records))
    for address in addresses:
        _log.info("listening", address=address, metrics=address + options.telemetry_path)
