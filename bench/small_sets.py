"""Part 6: many small scale sets, where every family has a block per set."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from bench import figures, stage
from bench.client import Client, Scrape
from bench.process import print_error
from bench.report import Part, Table, Target
from bench.rounds import median
from bench.scale import Scale
from exporter.simulator.description import DEFAULT_SUBSCRIPTION

SWEEP_SECONDS = 1800.0
WANTED_FILTERED = 50.0
WANTED_FILTERED_PROCESSOR = 25.0

_FILTERED = "/metrics?name[]=azure_vmss_up"
_JSON = f"/api/v1/scale_sets/{DEFAULT_SUBSCRIPTION}/rg-bench/workers-000"
_MILLISECONDS = 1e3


@dataclass(frozen=True)
class Asked:
    """A way of asking the exporter."""

    path: str
    gzip: bool


WAYS = (
    Asked("/metrics", gzip=True),
    Asked("/metrics", gzip=False),
    Asked(_FILTERED, gzip=True),
    Asked(_FILTERED, gzip=False),
    Asked("/", gzip=True),
    Asked(_JSON, gzip=True),
)


@dataclass
class Answers:
    """All answers to one way of asking, and the processor seconds that they took."""

    scrapes: list[Scrape] = field(default_factory=list)
    processor_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        """To the last byte, the median."""
        return median([scrape.seconds for scrape in self.scrapes])

    @property
    def processor(self) -> float:
        """Processor seconds of the exporter for one answer, the mean."""
        return self.processor_seconds / len(self.scrapes)


def measure(scale: Scale) -> Part:
    """Measure what readers get from a resting exporter with many small sets."""
    sets, size = scale.small_sets, stage.SMALL_SET_SIZE
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        print_error(f"small sets: one sweep of {sets:,} sets of {size}")
        with (
            stage.simulator(folder, sets=sets, size=size) as fleet,
            stage.exporter(folder, fleet) as exporter,
        ):
            exporter.wait_for_sweep(seconds=SWEEP_SECONDS)
            found = {way: _answers(exporter, way, scale.rounds) for way in WAYS}
    return Part(tables=[_table(sets, found)], targets=_targets(sets, found))


def _answers(exporter: stage.RunningExporter, way: Asked, rounds: int) -> Answers:
    client, found = Client(), Answers()
    client.scrape(exporter.url + way.path, gzip=way.gzip)
    before = exporter.process.processor_seconds()
    for _ in range(rounds):
        found.scrapes.append(client.scrape(exporter.url + way.path, gzip=way.gzip))
    found.processor_seconds = exporter.process.processor_seconds() - before
    return found


def _table(sets: int, found: dict[Asked, Answers]) -> Table:
    return Table(
        title="Many small sets",
        note=(
            f"{sets:,} scale sets of {stage.SMALL_SET_SIZE} instances, polled once. A page "
            "without gzip is inflated from one block per set and family, and sent in chunks of "
            "64 KiB."
        ),
        columns=("asked", "encoding", "first byte", "whole", "processor", "MB"),
        rows=[
            (
                f"`{way.path.replace(DEFAULT_SUBSCRIPTION, '…')}`",
                "gzip" if way.gzip else "identity",
                figures.seconds(median([scrape.first_byte for scrape in answers.scrapes])),
                figures.seconds(answers.seconds),
                figures.seconds(answers.processor),
                f"{answers.scrapes[-1].length / 1e6:,.2f}",
            )
            for way, answers in found.items()
        ],
    )


def _targets(sets: int, found: dict[Asked, Answers]) -> list[Target]:
    filtered = found[Asked(_FILTERED, gzip=False)]
    where = f"{sets:,} sets of {stage.SMALL_SET_SIZE}, one family, identity"
    return [
        figures.at_most(
            f"scrape, {where}", WANTED_FILTERED, filtered.seconds * _MILLISECONDS, "ms"
        ),
        figures.at_most(
            f"scrape, {where}, processor",
            WANTED_FILTERED_PROCESSOR,
            filtered.processor * _MILLISECONDS,
            "ms",
        ),
    ]
