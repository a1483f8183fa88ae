"""Part 4: the event loop under load: scrapes while all is polled at full speed, and pauses."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import figures, stage
from bench.client import Client
from bench.fleet import WIDE_LIMITS
from bench.process import MeasuredProcess, print_error, running
from bench.report import Part, Table, Target
from bench.rounds import median
from bench.scale import Scale
from bench.ticker import Pauses, quantile
from exporter.simulator.description import DEFAULT_SUBSCRIPTION

INTERVAL = "100ms"
"""The shortest that the configuration allows: every set is always due."""

SCRAPE_SPACING = 0.5
SCRAPE_SECONDS, SCRAPE_SECONDS_QUICK = 60.0, 10.0
SWEEP_SECONDS = 900.0
POLLS, POLLS_QUICK = 20, 8
ROUNDS, ROUNDS_QUICK = 3, 1
WANTED_PAUSE = 50.0
WANTED_SCRAPE = 100.0

_GROUP = "rg-loop"
_MILLISECONDS = 1e3


@dataclass(frozen=True)
class Polled:
    """What is polled while the ticker looks.

    Attributes:
        sets: the number of scale sets; as many as the exporter polls at a time go on together.
        size: instances of each.
        page_size: instances of a page.
    """

    sets: int
    size: int
    page_size: int

    @property
    def name(self) -> str:
        """What the table calls it."""
        sets = "a set" if self.sets == 1 else f"{self.sets} sets"
        pages = f"pages of {self.page_size:,}" if self.size > self.page_size else "one page each"
        return f"{sets} of {self.size:,}, {pages}"


CASES = (
    Polled(sets=1, size=1_000, page_size=120),
    Polled(sets=1, size=1_000, page_size=1_000),
    Polled(sets=32, size=100, page_size=120),
)


@dataclass(frozen=True)
class Load:
    """What was seen while everything was polled at full speed.

    Attributes:
        sets: how many scale sets there were.
        size: instances of each.
        scrapes: seconds of each scrape, from connecting to the last byte.
        length: bytes of the last one, compressed.
        seconds: how long it went on.
        polls: successful and failed polls in that time.
        exporter: the exporter's share of one processor.
        simulator: the same for the simulated Azure.
        lag: the event loop's largest lag of the last minute or two, as the exporter tells it.
    """

    sets: int
    size: int
    scrapes: list[float]
    length: int
    seconds: float
    polls: float
    exporter: float
    simulator: float
    lag: float


def measure(scale: Scale) -> Part:
    """Measure scrapes under load, and the pauses."""
    sizes = (
        (scale.largest // stage.SET_SIZE, stage.SET_SIZE),
        (scale.small_sets, stage.SMALL_SET_SIZE),
    )
    loads = [_load(scale, sets, size) for sets, size in sizes]
    pauses = _pauses(scale)
    worst = max(found.worst for rounds in pauses.values() for found in rounds)
    return Part(
        tables=[_load_table(loads), _pauses_table(pauses)],
        targets=[
            *(
                _target(
                    f"loop, scrape p99 while polling {load.sets:,} sets",
                    WANTED_SCRAPE,
                    quantile(load.scrapes, 0.99),
                )
                for load in loads
            ),
            *(
                _target(f"loop, lag while polling {load.sets:,} sets", WANTED_PAUSE, load.lag)
                for load in loads
            ),
            _target("loop, longest pause", WANTED_PAUSE, worst),
        ],
    )


def _load(scale: Scale, sets: int, size: int) -> Load:
    seconds = SCRAPE_SECONDS_QUICK if scale.quick else SCRAPE_SECONDS
    with (
        tempfile.TemporaryDirectory() as name,
        stage.simulator(Path(name), sets=sets, size=size) as fleet,
        stage.exporter(Path(name), fleet, interval=INTERVAL) as exporter,
    ):
        print_error(f"loop: first sweep of {sets:,} scale sets of {size}")
        exporter.wait_for_sweep(seconds=SWEEP_SECONDS)
        print_error(f"loop: scrapes for {seconds:.0f} s")
        return _scrapes(exporter, seconds)


def _scrapes(exporter: stage.RunningExporter, seconds: float) -> Load:
    client = Client()
    client.scrape(exporter.metrics_url, gzip=True)  # the first one after the start is not counted
    processes = (exporter.process, exporter.fleet.process)
    polls, used = _polls(exporter), [one.processor_seconds() for one in processes]
    begun = time.monotonic()
    scrapes: list[float] = []
    length = 0
    while (due := begun + len(scrapes) * SCRAPE_SPACING) < begun + seconds:
        time.sleep(max(0.0, due - time.monotonic()))
        scrape = client.scrape(exporter.metrics_url, gzip=True)
        scrapes.append(scrape.seconds)
        length = scrape.length
    lasted = time.monotonic() - begun
    shares = [
        (one.processor_seconds() - before) / lasted
        for one, before in zip(processes, used, strict=True)
    ]
    [lag] = exporter.values("azure_vmss_exporter_event_loop_lag_seconds")
    return Load(
        sets=exporter.fleet.sets,
        size=exporter.fleet.size,
        scrapes=scrapes,
        length=length,
        seconds=lasted,
        polls=_polls(exporter) - polls,
        exporter=shares[0],
        simulator=shares[1],
        lag=lag,
    )


def _polls(exporter: stage.RunningExporter) -> float:
    return sum(exporter.values("azure_vmss_exporter_polls_total"))


def _pauses(scale: Scale) -> dict[Polled, list[Pauses]]:
    """What the ticker found, in turn."""
    polls, rounds = (POLLS_QUICK, ROUNDS_QUICK) if scale.quick else (POLLS, ROUNDS)
    found: dict[Polled, list[Pauses]] = {case: [] for case in CASES}
    for _ in range(rounds):
        for case in CASES:
            print_error(f"loop: pauses, {case.name}")
            with tempfile.TemporaryDirectory() as name, _simulated(Path(name), case) as file:
                found[case].append(_watched(file, polls))
    return found


@contextmanager
def _simulated(folder: Path, case: Polled) -> Iterator[Path]:
    """A simulated Azure with such sets; the value is a configuration that names them."""
    fleet, token, file = folder / "fleet.yaml", folder / "token", folder / "config.yaml"
    names = [f"set{number}" for number in range(case.sets)]
    described = {
        "page_size": case.page_size,
        "limits": WIDE_LIMITS.model_dump(),
        "scale_sets": [
            {
                "name": name,
                "resource_group": _GROUP,
                "size": case.size,
                "extensions": ["AzureMonitorLinuxAgent"],
                "health": True,
                "zones": ["1", "2", "3"],
                "trouble": 0.05,
            }
            for name in names
        ],
    }
    # JSON is YAML, too.
    fleet.write_text(json.dumps(described), "utf-8")
    token.write_text(stage.TOKEN, "utf-8")
    command = [sys.executable, "-m", "exporter.simulator", f"--fleet.file={fleet}"]
    command += [f"--token-file={token}", "--web.listen-address=127.0.0.1:0"]
    with running("the simulated Azure", command) as process:
        url = process.wait_for(r"instances on (\S+)")
        configuration = {
            "azure": {
                "cloud": "custom",
                "endpoint": url,
                "audience": url,
                "detail": "full",
                "credential": {"type": "static", "token_file": str(token)},
            },
            "metrics": {"max_series": 0},
            "scale_sets": [
                {
                    "subscription_id": DEFAULT_SUBSCRIPTION,
                    "resource_group": _GROUP,
                    "name": name,
                }
                for name in names
            ],
        }
        file.write_text(json.dumps(configuration), "utf-8")
        yield file


def _watched(file: Path, polls: int) -> Pauses:
    command = [sys.executable, "-m", "bench.ticker", f"--config.file={file}", f"--polls={polls}"]
    with running("the ticker", command) as process:
        return _answer_of(process)


def _answer_of(process: MeasuredProcess) -> Pauses:
    found = json.loads(process.wait_for(r'^(\{"worst".*\})\s*$', seconds=300))
    return Pauses(**found)


def _load_table(loads: list[Load]) -> Table:
    return Table(
        title="Loop: scrapes while everything is polled at full speed",
        note=(
            f"`detail: full`, polled every {INTERVAL}, so that all are always due; a scrape with "
            f"gzip every {SCRAPE_SPACING:g} s for {loads[0].seconds:.0f} s. "
            "The simulated Azure, the exporter and the scraper are three processes: on two cores "
            "they compete, and what the kernel makes the exporter wait is in these figures. "
            "*Lag* is the exporter's own `event_loop_lag_seconds`, the largest of the last minute "
            "or two, in which the first sweep may be."
        ),
        columns=(
            "polled", "MB", "scrapes", "p50", "p99", "max", "polls/s", "instances/s",
            "exporter's core", "simulator's core", "lag",
        ),
        rows=[
            (
                f"{load.sets:,} sets of {load.size}",
                f"{load.length / 1e6:.1f}",
                str(len(load.scrapes)),
                figures.seconds(quantile(load.scrapes, 0.5)),
                figures.seconds(quantile(load.scrapes, 0.99)),
                figures.seconds(max(load.scrapes)),
                f"{load.polls / load.seconds:,.0f}",
                f"{load.polls * load.size / load.seconds:,.0f}",
                f"{load.exporter:.0%}",
                f"{load.simulator:.0%}",
                figures.seconds(load.lag),
            )
            for load in loads
        ],
    )  # fmt: skip


def _pauses_table(pauses: dict[Polled, list[Pauses]]) -> Table:
    return Table(
        title="Loop: pauses while scale sets are polled",
        note=(
            "The real client, poller and mapper in a process of its own, one sweep after the "
            f"other, at most {stage.CONCURRENCY} polls at a time; a task beside them wakes every "
            "millisecond and looks how late it is. The "
            "simulated Azure is another process. Garbage collections are part of the pauses; "
            "*full collection* is one that is asked for at the end. *Busy* is the longest "
            "pause in processor time of the loop's own thread: what is beyond it, the kernel gave "
            "to other processes. The longest of all "
            "rounds counts, not a median."
        ),
        columns=(
            "polled", "sweeps", "sweep", "longest pause", "longest busy", "p99",
            "longest collection", "of the oldest", "full collection",
        ),
        rows=[
            (
                case.name,
                str(sum(one.polls for one in found)),
                figures.seconds(median([one.poll for one in found])),
                figures.seconds(max(one.worst for one in found)),
                figures.seconds(max(one.busy for one in found)),
                figures.seconds(median([one.p99 for one in found])),
                figures.seconds(max(one.collection for one in found)),
                str(sum(one.collections[2] for one in found)),
                figures.seconds(max(one.full_collection for one in found)),
            )
            for case, found in pauses.items()
        ],
    )  # fmt: skip


def _target(name: str, wanted: float, seconds: float) -> Target:
    return figures.at_most(name, wanted, seconds * _MILLISECONDS, "ms")
