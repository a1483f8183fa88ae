"""The real-time part: a large fleet over real sockets, for as long as the clock on the wall says.

The simulated-time part knows no delay of the machine's and no bursts that follow from it. Here the
simulated Azure listens on loopback and enforces Compute's limits and the Resource Manager's.
"""

from __future__ import annotations

import asyncio
import logging
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import yaml

import exporter
from bench import report
from bench.budget.fleets import INTERVAL, SHARE, FleetPlan
from bench.budget.quiet import quiet_logs
from bench.budget.trial import TOKEN, UNSERVED, StillToken
from exporter import assembly, configuration
from exporter.assembly import Exporter
from exporter.process import Process
from exporter.simulator import buckets
from exporter.simulator.server import SimulatedAzure

THROTTLED = 429
MOMENT = 0.1
"""Seconds in which requests count as going out at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RealTime:
    """What was found.

    Attributes:
        fleet: what was polled.
        minutes: how long.
        throttled: answers 429, by any limit.
        lists, gets: requests by kind.
        polled, described: sets whose instances, and whose facts, are known at the end.
        most_at_once, most_in_a_second: requests in any `MOMENT`, and in any second.
        least_reads: the least that was left of the Resource Manager's bucket.
        loop_lag: the largest lag of the event loop, which serves the simulated Azure too, after
            the first two minutes.
    """

    fleet: FleetPlan
    minutes: float
    throttled: int
    lists: int
    gets: int
    polled: int
    described: int
    most_at_once: int
    most_in_a_second: int
    least_reads: int
    loop_lag: float


def run(plan: FleetPlan, *, minutes: float, seed: int) -> RealTime:
    """Poll a fleet for so many minutes of real time."""
    with quiet_logs(logging.ERROR):
        return asyncio.run(_run(plan, minutes, seed))


async def _run(plan: FleetPlan, minutes: float, seed: int) -> RealTime:
    azure = SimulatedAzure(plan.fleet(seed), token=TOKEN)
    await azure.start()
    try:
        process = Process(version=exporter.__version__, python_version=platform.python_version())
        process.tokens[""] = StillToken(azure, process.clock)
        settings = configuration.load(yaml.safe_dump(_settings(azure)), environment={})
        async with assembly.build(settings, process) as assembled:
            return await _poll(plan, minutes, azure, process, assembled)
    finally:
        await azure.close()


async def _poll(
    plan: FleetPlan, minutes: float, azure: SimulatedAzure, process: Process, polling: Exporter
) -> RealTime:
    reads = buckets.reads(azure.fleet.scale_sets[0].identity.key[0], TOKEN)[0]
    times: list[float] = []
    kinds: Counter[str | None] = Counter()
    throttled, least_reads = 0, azure.limits.remaining(reads)
    tasks = [asyncio.create_task(polling.scheduler.run()), asyncio.create_task(process.watch.run())]
    for _ in range(round(minutes * 60)):
        await asyncio.sleep(1.0)
        least_reads = min(least_reads, azure.limits.remaining(reads))
        # All but those that are under way.
        while azure.requests and azure.requests[0].status is not None:
            received = azure.requests.popleft()
            times.append(received.time)
            kinds[received.operation] += 1
            throttled += received.status == THROTTLED
        if any(task.done() for task in tasks):
            break
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    if not all(isinstance(error, asyncio.CancelledError) for error in ended):
        raise RuntimeError(f"polling ended by itself: {ended!r}")
    return RealTime(
        fleet=plan,
        minutes=minutes,
        throttled=throttled,
        lists=kinds["instances"],
        gets=kinds["scale_set"],
        polled=sum(state.data.snapshot is not None for state in polling.targets),
        described=sum(state.data.model is not None for state in polling.targets),
        most_at_once=most_within(times, MOMENT),
        most_in_a_second=most_within(times, 1.0),
        least_reads=least_reads,
        loop_lag=process.watch.largest(),
    )


def most_within(times: Sequence[float], seconds: float) -> int:
    """The most of some ascending times that lie within a span of so many seconds."""
    most = first = 0
    for last, time in enumerate(times):
        while times[first] <= time - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def targets(result: RealTime) -> list[report.Target]:
    """What is to be reached, and what was."""
    name = f"{result.fleet.name}, real time"
    a_minute = SHARE * buckets.DEFAULTS[buckets.SUBSCRIPTION_HIGH_COST].refill
    # The first answers come at once; the last poll of the quota's may be under way.
    wanted = min(len(result.fleet.all_sizes), int(0.95 * a_minute * result.minutes))
    return [
        report.Target(f"{name}: throttled answers", "0", f"{result.throttled}",
                      result.throttled == 0),
        report.Target(f"{name}: sets polled", f"at least {wanted:,}", f"{result.polled:,}",
                      result.polled >= wanted),
    ]  # fmt: skip


def table(result: RealTime) -> report.Table:
    """Everything that was measured."""
    return report.Table(
        title="Real time",
        note=(
            f"{result.minutes:g} minutes over real sockets, in one process with the simulated "
            "Azure, which enforces Compute's limits and the Resource Manager's. At the start "
            "nothing is known of any set."
        ),
        columns=("", ""),
        rows=[
            ("429", f"{result.throttled}"),
            ("instance lists, GETs of sets", f"{result.lists:,}, {result.gets:,}"),
            ("sets polled, described", f"{result.polled:,}, {result.described:,}"),
            (f"most requests in {MOMENT:g} s, in 1 s",
             f"{result.most_at_once}, {result.most_in_a_second}"),
            ("least left of the Resource Manager's 250 reads", f"{result.least_reads}"),
            ("event loop's lag in the last two minutes", f"{result.loop_lag * 1000:.0f} ms"),
        ],
    )  # fmt: skip


def document(result: RealTime, *, command: str, facts: Sequence[tuple[str, ...]]) -> str:
    """The whole report as markdown."""
    simulated = "[the ones in simulated time](budget-benchmarks.md)"
    return "\n".join(
        [
            "# Budget benchmarks in real time",
            "",
            f"Written by `{command}`; do not edit. Beside {simulated}.",
            "",
            report.markdown(report.targets_table(targets(result))),
            report.markdown(table(result)),
            report.markdown(report.Table("Machine", "", ("", ""), list(facts))),
        ]
    )


def _settings(azure: SimulatedAzure) -> dict[str, object]:
    return {
        "azure": {
            "cloud": "custom",
            "endpoint": azure.url,
            "audience": azure.url,
            "credential": {"type": "static", "token_file": "unused"},
        },
        "polling": {"interval": f"{INTERVAL:g}s", "budget_share": SHARE},
        "metrics": {"deny": list(UNSERVED), "max_series": 0},
        "scale_sets": [
            {"id": scale_set.identity.resource_id} for scale_set in azure.fleet.scale_sets
        ],
    }
