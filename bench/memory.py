"""Part 3: resident bytes per instance, next to the peers' with the same series."""

from __future__ import annotations

import functools
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench import figures, scrape, stage
from bench.client import Client
from bench.process import Memory, print_error
from bench.report import Part, Table
from bench.scale import Scale
from bench.scrape import OURS, SLOW_PEERS

BYTES_WANTED = 1500.0
ALL_WANTED = 2e9
BIG_SET_SIZE = 1000
"""Instances of a scale set in the largest fleet, which Azure allows a thousand of."""

BIG_CONCURRENCY = 4
"""There the simulated Azure is the slow one: with 16 polls in flight each would take so long
that the exporter holds it for a hanging one, cuts it and polls again."""

SETTLE_SECONDS = 1.0
SHORTEST_INTERVAL = 5.0

COLUMNS = (
    "instances",
    "process",
    "start",
    "with all series",
    "peak",
    "peak with a scrape",
    "per instance at rest",
    "per instance at peak",
    "times ours",
)
NOTE = """\
Resident bytes (VmRSS), and the most there ever were (VmHWM), from /proc. The exporter's start is
taken when it listens and its first request is not answered yet. Then every scale set is polled
twice or more, so that both snapshots of a swap count, with all messages, and the page is scraped
once with gzip. A peer's start is its process without series; then it gets those of the exporter's
page, and is scraped once with gzip. Per instance is beyond the start: at rest, and at the peak.
"""


@dataclass(frozen=True)
class Weight:
    """The exporter's memory with one number of instances.

    Attributes:
        size: the number of instances.
        start: before the first answer.
        polled: after two sweeps.
        scraped: the same after a scrape.
    """

    size: int
    start: int
    polled: Memory
    scraped: Memory

    @property
    def resting_bytes(self) -> float:
        """Per instance, beyond the start, after two sweeps."""
        return (self.polled.resident - self.start) / self.size

    @property
    def peak_bytes(self) -> float:
        """Per instance, beyond the start, at the most."""
        return (self.scraped.peak - self.start) / self.size


def measure(scale: Scale) -> Part:
    """Weigh the exporter at every size, and the peers as part 1 weighed them."""
    weights = measured(scale)
    alone = [weigh(scale.alone, set_size=BIG_SET_SIZE)] if scale.alone else []
    largest = weights[-1]
    where = f"at {largest.size:,} instances"
    targets = [
        figures.at_most(
            f"memory, {where}, beyond the start, at the peak",
            BYTES_WANTED,
            largest.peak_bytes,
            "bytes per instance",
        ),
        figures.at_most(
            f"memory, {scale.alone or 1_000_000:,} instances, in all, at the peak",
            ALL_WANTED / 1e6,
            alone[0].scraped.peak / 1e6 if alone else None,
            "MB",
        ),
    ]
    rows: list[tuple[str, ...]] = []
    for weight, at in zip(weights, scrape.measured(scale), strict=True):
        rows.append(_own_row(weight))
        rows += [_peer_row(weight, at, name) for name in SLOW_PEERS]
    rows += [_own_row(weight) for weight in alone]
    return Part([Table("Memory", NOTE.rstrip(), COLUMNS, rows)], targets)


@functools.cache
def measured(scale: Scale) -> list[Weight]:
    """The exporter's memory at every size that has peers, measured once."""
    return [weigh(size) for size in scale.sizes]


def weigh(size: int, *, set_size: int = stage.SET_SIZE) -> Weight:
    """Poll a fleet of `size` instances twice and read the exporter's memory."""
    print_error(f"memory: {size:,} instances")
    sets = size // set_size
    # Shorter than the first polls would spread over: then they begin with their schedule, and the
    # second sweep follows at once.
    interval = max(SHORTEST_INTERVAL, sets * stage.START_SPACING / 2)
    concurrency = BIG_CONCURRENCY if set_size > stage.SET_SIZE else stage.CONCURRENCY
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        with stage.simulator(folder, sets=sets, size=set_size) as fleet:
            fleet.process.pause()
            with stage.exporter(
                folder, fleet, interval=f"{interval:.0f}s", concurrency=concurrency
            ) as exporter:
                time.sleep(SETTLE_SECONDS)
                start = exporter.process.memory().resident
                exporter.process.forget_peak()
                fleet.process.resume()
                exporter.wait_for_sweep(seconds=scrape.SWEEP_SECONDS)
                exporter.wait_for_sweep(seconds=scrape.SWEEP_SECONDS, after=time.time())
                polled = exporter.process.memory()
                Client().scrape(exporter.metrics_url, gzip=True)
                return Weight(size, start, polled, exporter.process.memory())


def _own_row(weight: Weight) -> tuple[str, ...]:
    return (
        f"{weight.size:,}",
        OURS,
        figures.megabytes(weight.start),
        figures.megabytes(weight.polled.resident),
        figures.megabytes(weight.polled.peak),
        figures.megabytes(weight.scraped.peak),
        _bytes(weight.resting_bytes),
        _bytes(weight.peak_bytes),
        "",
    )


def _peer_row(weight: Weight, at: scrape.Figures, name: str) -> tuple[str, ...]:
    found = at.memory.get(name)
    if found is None:
        reason = at.missing.get(name, "not measured").splitlines()[0]
        return (f"{weight.size:,}", name, reason, *[""] * 6)
    resting = (found.loaded - found.empty) / weight.size
    peak = (found.scraped.peak - found.empty) / weight.size
    return (
        f"{weight.size:,}",
        name,
        figures.megabytes(found.empty),
        figures.megabytes(found.loaded),
        "",
        figures.megabytes(found.scraped.peak),
        _bytes(resting),
        _bytes(peak),
        f"{figures.number(peak / weight.peak_bytes)} ×",
    )


def _bytes(value: float) -> str:
    return f"{value:,.0f} bytes"
