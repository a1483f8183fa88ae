"""The soak as a command: `python -m soak`. The exit code is 1 where anything was found."""

from __future__ import annotations

import argparse
import os
import random
import sys

from soak import timelapse
from soak.soak import Plan, soak


def main() -> int:
    """Run it and print what it found."""
    flags = _parser().parse_args()
    print(f"SEED={flags.seed}", flush=True)  # noqa: T201 - to run the same one again
    outcome = timelapse.run(
        soak(Plan(days=flags.days, interval=flags.interval, seed=flags.seed, tell=_say))
    )
    width = max(len(name) for name, _ in outcome.figures)
    for name, value in outcome.figures:
        _say(f"{name.ljust(width)}  {value}")
    for breach in outcome.breaches:
        _say(f"BREACH {breach}")
    return 1 if outcome.breaches else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("--days", type=float, default=14.0, help="simulated days")
    parser.add_argument("--interval", type=float, default=300.0, help="seconds between two polls")
    parser.add_argument(
        "--seed",
        type=int,
        default=int(os.environ.get("SEED") or random.randrange(1_000_000)),  # noqa: S311 - a simulation
        help="the same seed is the same soak; SEED in the environment",
    )
    return parser


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the answer to the one who ran the command


if __name__ == "__main__":
    sys.exit(main())
