"""The bench of the budget as a command: `python -m bench.budget`."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from bench import report
from bench.budget.fleets import even, skewed
from bench.budget.targets import targets
from bench.budget.trial import Result, compare

SIZES = (10, 100, 1_000, 2_500)
NEIGHBOURS = (0.0, 0.5)
SPAWN = multiprocessing.get_context("spawn")


def main() -> int:
    """Run all trials and print what they found; 1 where a target is not reached."""
    flags = _parser().parse_args()
    plans = [even(sets) for sets in flags.sets] + ([skewed()] if flags.skewed else [])
    # Each fleet with each neighbour is a process of its own: nothing of one weighs on another.
    with ProcessPoolExecutor(flags.jobs, max_tasks_per_child=1, mp_context=SPAWN) as pool:
        runs = [
            pool.submit(
                compare,
                plan,
                neighbour=neighbour,
                seed=flags.seed,
                hour=flags.minutes * 60,
                baselines=flags.baselines,
            )
            for plan in plans
            for neighbour in flags.neighbours
        ]
        results = [result for run in runs for result in run.result()]
    _say(report.aligned(_table(results)))
    found = targets(results)
    _say(report.aligned(report.targets_table(found)))
    return 1 if any(target.reached is False for target in found) else 0


def _table(results: Sequence[Result]) -> report.Table:
    return report.Table(
        title="Budget",
        note="One simulated hour after ten minutes. Charges are the highest in a simulated minute "
        "(in any 60 seconds) as part of share × refill; left: the emptiest bucket.",
        columns=(
            "fleet", "neighbour", "who polls", "429", "in warm-up", "its 429", "calls",
            "requests", "VM views", "left", "mean age", "target", "quiet", "oldest",
            "failure seen", "missed", "walk",
        ),
        rows=[
            (
                result.fleet.name,
                f"{result.neighbour:.0%}",
                result.way,
                f"{result.throttled:,}",
                f"{result.throttled_in_warm_up:,}",
                f"{result.neighbour_refused:,}",
                f"{result.calls:,}",
                f"{result.request_part:.2f} ({result.request_span:.2f})",
                f"{result.view_part:.2f} ({result.view_span:.2f})",
                f"{result.least_left:.0%}",
                f"{result.mean_age:.1f} s",
                f"{result.target_age:.1f} s" if result.fleet.has_target else "",
                f"{result.quiet_age:.1f} s",
                f"{result.oldest:.0f} s",
                f"{result.seen_after:.1f} s",
                f"{result.missed:.0%} of {result.failures}",
                f"{result.walk_time:.2f} s",
            )
            for result in results
        ],
    )  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.budget", description=__doc__)
    parser.add_argument(
        "--sets", type=int, nargs="*", default=SIZES, help="numbers of sets with 20 instances"
    )
    parser.add_argument(
        "--neighbours", type=float, nargs="*", default=NEIGHBOURS, help="parts of the quota"
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="simulated, after the warm-up")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="trials that run at a time"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--skewed", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--baselines", action=argparse.BooleanOptionalAction, default=True)
    return parser


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the answer to the one who ran the command


if __name__ == "__main__":
    sys.exit(main())
