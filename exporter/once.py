"""`--once` and `--estimate`: every scale set is polled once, and the result is printed."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from exporter.assembly import Exporter, build, record_configuration
from exporter.azure.auth.token_cache import TokenSource
from exporter.azure.denials import Denials
from exporter.configuration import Configuration
from exporter.daemon import Options
from exporter.estimate import report
from exporter.exposition.content_type import TEXT
from exporter.failures_once import has_failed, lines_of_failures
from exporter.printing import print_error, print_line, print_page
from exporter.runtime.clock import Clock
from exporter.web.bodies import PAGE_CHUNK

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
    async with _polled_once(configuration, text, options, tokens) as (exporter, denials):
        page = await exporter.metrics_page.render(TEXT)
        printed = print_page(page.plain_chunks(PAGE_CHUNK))
        if configuration.discovery:
            for line in report(exporter):
                print_error(line)
        return int(not printed or _print_failures(exporter, denials))


async def run_estimate(configuration: Configuration, text: str, options: Options) -> int:
    """Poll every scale set once and print what the fleet costs; 1 if any set failed."""
    async with _polled_once(configuration, text, options, None) as (exporter, denials):
        printed = all(print_line(line) for line in report(exporter))
        return int(not printed or _print_failures(exporter, denials))


@asynccontextmanager
async def _polled_once(
    configuration: Configuration, text: str, options: Options, tokens: TokenSource | None
) -> AsyncIterator[tuple[Exporter, Denials]]:
    """Find and poll every scale set once, with the progress on stderr."""
    process = options.process(tokens, lasting=False)
    denials = process.denials = Denials()
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
        yield exporter, denials


async def _tell_progress(exporter: Exporter, clock: Clock) -> None:
    """Print how far the polls are, each few seconds."""
    while True:
        await clock.sleep(PROGRESS)
        done = sum(state.data.poll.tried for state in exporter.targets)
        print_error(f"polled {done} of {len(exporter.targets)} scale sets")


def _print_failures(exporter: Exporter, denials: Denials) -> bool:
    """Print each failure on stderr; whether there is any that counts."""
    for line in lines_of_failures(exporter, denials):
        print_error(line)
    return has_failed(exporter)


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
