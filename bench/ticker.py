"""The event loop's pauses while a set is polled: `python -m bench.ticker --config.file=FILE`.

A process of its own: the real client, poller and mapper, wired by the daemon, on the event loop
of `asyncio`, and beside them a task that wakes every millisecond and looks how late it is. What
it found is printed as one line of JSON, with the fields of `Pauses`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import math
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.limits import believe_in_wide_limits
from exporter import assembly
from exporter.configuration import load
from exporter.metrics.catalogue import RESERVED_LABELS
from exporter.process import Process

TICK = 0.001
"""Seconds between two looks."""


@dataclass(frozen=True)
class Pauses:
    """What the ticker found. All times are seconds.

    Attributes:
        worst: the longest pause.
        busy: the longest one counted in processor time of the event loop's thread, which leaves
            out what the kernel gave to others.
        p99: the pause that one tick in a hundred exceeds.
        ticks: how often it looked.
        polls: the polls in that time.
        poll: the median duration of one.
        collection: the longest garbage collection in that time.
        collections: how many there were, by generation.
        full_collection: how long a full collection takes after the polls.
    """

    worst: float
    busy: float
    p99: float
    ticks: int
    polls: int
    poll: float
    collection: float
    collections: list[int]
    full_collection: float


@dataclass
class Collections:
    """Garbage collections since this was added to `gc.callbacks`."""

    longest: float = 0.0
    counts: list[int] = field(default_factory=lambda: [0, 0, 0])
    begun: float = 0.0

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        """Called by the interpreter before and after each."""
        if phase == "start":
            self.begun = time.perf_counter()
        else:
            self.longest = max(self.longest, time.perf_counter() - self.begun)
            self.counts[info["generation"]] += 1


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least that share of all does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


async def watch(text: str, polls: int) -> Pauses:
    """Poll every set of a configuration that often, and look at the pauses.

    Args:
        text: the configuration file's content.
        polls: how often each set is polled.

    Raises:
        RuntimeError: where a poll failed.
    """
    configuration = load(text, environment=os.environ, reserved_labels=RESERVED_LABELS)
    process = Process(version="bench", python_version="3")
    collections = Collections()
    async with assembly.build(configuration, process) as exporter:
        gc.freeze()  # as the daemon does once it runs
        pauses: list[float] = []
        busy: list[float] = []
        durations: list[float] = []
        ticking = asyncio.create_task(_tick(pauses, busy))
        gc.callbacks.append(collections)
        try:
            for _ in range(polls):
                begun = time.perf_counter()
                await exporter.scheduler.run_once()
                durations.append(time.perf_counter() - begun)
        finally:
            gc.callbacks.remove(collections)
            ticking.cancel()
        for state in exporter.targets:
            if not state.data.poll.up:
                raise RuntimeError(f"{state.target.scale_set}: {state.data.poll.message}")
        begun = time.perf_counter()
        gc.collect()
        full_collection = time.perf_counter() - begun
    return Pauses(
        worst=max(pauses),
        busy=max(busy),
        p99=quantile(pauses, 0.99),
        ticks=len(pauses),
        polls=polls,
        poll=statistics.median(durations),
        collection=collections.longest,
        collections=collections.counts,
        full_collection=full_collection,
    )


async def _tick(pauses: list[float], busy: list[float]) -> None:
    last, used_before = time.perf_counter(), time.thread_time()
    while True:
        await asyncio.sleep(TICK)
        now, used = time.perf_counter(), time.thread_time()
        pause = max(0.0, now - last - TICK)
        pauses.append(pause)
        busy.append(min(pause, used - used_before))
        last, used_before = now, used


def main() -> None:
    """Watch, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m bench.ticker", description=__doc__)
    parser.add_argument("--config.file", dest="file", type=Path, required=True)
    parser.add_argument("--polls", type=int, default=20)
    flags = parser.parse_args()
    believe_in_wide_limits()
    found = asyncio.run(watch(flags.file.read_text("utf-8"), flags.polls))
    print(json.dumps(asdict(found)), flush=True)  # noqa: T201 - the command's answer


if __name__ == "__main__":
    main()
