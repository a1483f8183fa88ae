"""The bench of the budget as a command: `python -m bench.budget`."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from bench import report
from bench.budget import document, real_time
from bench.budget.fleets import even, half_flexible, skewed
from bench.budget.targets import targets
from bench.budget.trial import Result, compare

SIZES = (10, 100, 1_000, 2_500)
NEIGHBOURS = (0.0, 0.5)
SPAWN = multiprocessing.get_context("spawn")
PARTS = ("simulated", "real-time")
REAL_SETS, REAL_MINUTES = 2_500, 20.0


def main() -> int:
    """Run all trials and print what they found; 1 where a target is not reached."""
    flags = _parser().parse_args()
    found: list[report.Target] = []
    if "simulated" in flags.only:
        found += _simulated(flags)
    if "real-time" in flags.only:
        found += _real_time(flags)
    return 1 if any(target.reached is False for target in found) else 0


def _real_time(flags: argparse.Namespace) -> list[report.Target]:
    # Alone on the machine: after the trials of the simulated part, not beside them.
    minutes = REAL_MINUTES if flags.minutes is None else flags.minutes
    result = real_time.run(even(flags.real_sets), minutes=minutes, seed=flags.seed)
    text = real_time.document(result, command=_command(), facts=document.facts_of_machine())
    report.write(flags.real_output, text)
    found = real_time.targets(result)
    _say(report.aligned(real_time.table(result)))
    _say(report.aligned(report.targets_table(found)))
    _say(f"written: {flags.real_output}")
    return found


def _simulated(flags: argparse.Namespace) -> list[report.Target]:
    plans = [even(sets) for sets in flags.sets] + ([skewed()] if flags.skewed else [])
    plans += [half_flexible(sets) for sets in flags.flexible_sets]
    # Each fleet with each neighbour is a process of its own: nothing of one weighs on another.
    with ProcessPoolExecutor(flags.jobs, max_tasks_per_child=1, mp_context=SPAWN) as pool:
        runs = [
            pool.submit(
                compare,
                plan,
                neighbour=neighbour,
                seed=flags.seed,
                hour=_minutes(flags) * 60,
                baselines=flags.baselines,
            )
            for plan in plans
            for neighbour in flags.neighbours
        ]
        results: list[Result] = []
        for run in runs:
            results += run.result()
            # Written each time, so that a run that is broken off has not been for nothing.
            report.write(flags.output, _document(results, flags))
    _say(report.aligned(document.trials(results)))
    _say(report.aligned(document.to_reach(results)))
    _say(f"written: {flags.output}")
    return targets(results)


def _minutes(flags: argparse.Namespace) -> float:
    return 60.0 if flags.minutes is None else float(flags.minutes)


def _command() -> str:
    return " ".join(["python -m bench.budget", *sys.argv[1:]])


def _document(results: list[Result], flags: argparse.Namespace) -> str:
    return document.document(
        results,
        command=_command(),
        minutes=_minutes(flags),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.budget", description=__doc__)
    parser.add_argument(
        "--sets", type=int, nargs="*", default=SIZES, help="numbers of sets with 20 instances"
    )
    parser.add_argument(
        "--flexible-sets",
        type=int,
        nargs="*",
        default=(1_000,),
        help="numbers of sets of which half are Flexible",
    )
    parser.add_argument(
        "--neighbours", type=float, nargs="*", default=NEIGHBOURS, help="parts of the quota"
    )
    parser.add_argument(
        "--only", nargs="*", choices=PARTS, default=PARTS, help="parts to run; both by default"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        help=f"simulated after the warm-up (default 60), or real ones ({REAL_MINUTES:g})",
    )
    parser.add_argument(
        "--real-sets", type=int, default=REAL_SETS, help="sets of the real-time part"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="trials that run at a time"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--skewed", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--baselines", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument(
        "--output", type=Path, default=Path("docs/budget-benchmarks.md"), metavar="FILE"
    )
    parser.add_argument(
        "--real-output",
        type=Path,
        default=Path("docs/budget-benchmarks-real-time.md"),
        metavar="FILE",
    )
    return parser


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the answer to the one who ran the command


if __name__ == "__main__":
    sys.exit(main())
