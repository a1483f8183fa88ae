"""`--once` and `--estimate`: every scale set is polled once, and the result is printed."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from exporter.assembly import Exporter, build, record_configuration
from exporter.azure.auth.token_cache import TokenSource
from exporter.configuration import Configuration
from exporter.daemon import Options
from exporter.estimate import report
from exporter.exposition.content_type import TEXT
from exporter.printing import print_error, print_line, print_page
from exporter.runtime.clock import Clock
from exporter.web.bodies import PAGE_CHUNK

NOTHING_FOUND = (
    "discovery found no scale set; check the patterns, and that the identity may read the "
    "subscriptions"
)

PROGRESS = 5.0
"""Seconds between two lines about how far the polls are."""


async def run_once(
    configuration: Configuration,
    text: str,
    options: Options,
    *,
    tokens: TokenSource | None = None,
) -> int:
    """Poll every scale set once and print the page; 1 if any set failed, reported on stderr.

    Args:
        configuration: what to poll, and how.
        text: the configuration file's content.
        options: the command line's part.
        tokens: the source of tokens in place of the configured credential.
    """
    async with _polled_once(configuration, text, options, tokens) as exporter:
        page = await exporter.metrics_page.render(TEXT)
        printed = print_page(page.plain_chunks(PAGE_CHUNK))
        if configuration.discovery:
            for line in report(exporter):
                print_error(line)
        return int(not printed or _print_failures(exporter))


async def run_estimate(configuration: Configuration, text: str, options: Options) -> int:
    """Poll every scale set once and print what the fleet costs; 1 if any set failed."""
    async with _polled_once(configuration, text, options, None) as exporter:
        printed = all(print_line(line) for line in report(exporter))
        return int(not printed or _print_failures(exporter))


@asynccontextmanager
async def _polled_once(
    configuration: Configuration, text: str, options: Options, tokens: TokenSource | None
) -> AsyncIterator[Exporter]:
    """Find and poll every scale set once, with the progress on stderr."""
    process = options.process(tokens, lasting=False)
    async with build(configuration, process) as exporter:
        record_configuration(configuration, text, process)
        gc.enable()
        with _failures_unlogged():
            await exporter.discovery.refresh()
            telling = asyncio.create_task(_tell_progress(exporter, process.clock))
            try:
                await exporter.scheduler.run_once()
                await exporter.details.poll_all()
            finally:
                telling.cancel()
        yield exporter


async def _tell_progress(exporter: Exporter, clock: Clock) -> None:
    """Print how far the polls are, each few seconds."""
    while True:
        await clock.sleep(PROGRESS)
        done = sum(state.data.poll.tried for state in exporter.targets)
        print_error(f"polled {done} of {len(exporter.targets)} scale sets")


def _print_failures(exporter: Exporter) -> bool:
    """Print each failure on stderr; whether there is any that counts."""
    for state in exporter.targets:
        if state.data.poll.up and state.data.model_message:
            message = state.data.model_message
            print_error(f"{state.target.scale_set}: scale set model: {message}")
    searches = [
        f"discovery[{status.block}]: {failure.where}: {failure.message}"
        for status in exporter.discovery.status()
        for failure in (status.search.failures if status.search else ())
    ]
    for problem in searches:
        print_error(problem)
    if exporter.configuration.discovery and not len(exporter.targets):
        print_error(NOTHING_FOUND)
    failed = [state for state in exporter.targets if not state.data.poll.up]
    for state in failed:
        message = state.data.poll.message or "not polled: Azure asked to wait"
        print_error(f"{state.target.scale_set}: {message}")
    return bool(failed or searches)


@contextmanager
def _failures_unlogged() -> Iterator[None]:
    """Each failure is a line of the answer: the log would repeat it."""
    loggers = [logging.getLogger(f"exporter.{name}") for name in ("polling", "discovery")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
