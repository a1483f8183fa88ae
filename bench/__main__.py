"""The benches as a command: `python -m bench`."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import time
import traceback
from pathlib import Path

from bench import machine, report
from bench.scale import FULL, QUICK, Scale

PARTS = ("scrape", "pipeline", "memory", "loop", "growth", "small_sets", "start", "kinds")
GOOD, FAILED = 0, 1


def main() -> int:
    """Run the parts asked for and write the report. The exit code is 1 where a part failed."""
    flags = _parser().parse_args()
    scale = QUICK if flags.quick else FULL
    parts: list[report.Part] = []
    failures: list[report.Failure] = []
    for name in flags.only:
        started = time.monotonic()
        try:
            part = measure(name, scale)
        except Exception as error:  # noqa: BLE001 - one part that fails does not lose the others
            traceback.print_exc()
            failures.append(report.Failure(name, f"{type(error).__name__}: {error}"))
            _say(f"part {name} failed")
        else:
            parts.append(part)
            for table in part.tables:
                _say(report.aligned(table))
            _say(f"part {name} took {time.monotonic() - started:.0f} s")
        # After each part, which may have taken an hour: what is measured must not be lost.
        text = report.document(
            facts=[*machine.facts(), ("size", f"{scale.name}: {scale.sizes_named}")],
            command=" ".join(["python -m bench", *sys.argv[1:]]),
            parts=parts,
            failures=failures,
        )
        report.write(flags.output, text)
    targets = [target for part in parts for target in part.targets]
    _say(report.aligned(report.targets_table(targets)))
    _say(f"written: {flags.output}")
    return FAILED if failures else GOOD


def measure(name: str, scale: Scale) -> report.Part:
    """Run one part. Each is a module of this package with a plain function `measure(scale)`."""
    part = importlib.import_module(f"bench.{name}").measure(scale)
    if not isinstance(part, report.Part):
        raise TypeError(f"bench.{name}.measure gave {type(part).__name__}, not a Part")
    return part


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="at most 10,000 instances")
    parser.add_argument(
        "--only",
        type=_names,
        default=PARTS,
        metavar="PART,PART",
        help=f"of {', '.join(PARTS)}, in the order wanted (default: all)",
    )
    parser.add_argument("--output", type=Path, default=Path("docs/benchmarks.md"), metavar="FILE")
    return parser


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := set(names) - set(PARTS):
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(sorted(unknown))}")
    return names


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the command's answer


if __name__ == "__main__":
    # As with Ctrl-C: the processes that the parts started are ended on the way out.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
