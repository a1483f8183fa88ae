"""`make mutants`: change the program in many small ways and list what no test notices.

Exit status: 0 if enough changes are noticed, 1 if not, 2 if the run itself is not valid.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mutants.coverage_map import Tests, measure
from mutants.operators import Mutant, mutants_of
from mutants.running import Trial, run

FOLDERS = ("metrics", "azure", "polling", "configuration", "web")
KNOWN = Path(__file__).with_name("equivalent.toml")
CACHE = Path(".venv/mutants.json")


@dataclass
class Outcome:
    """What became of the changes.

    Attributes:
        counts: by file, how many were killed, survived, equivalent or without a test.
        survivors: those that no test noticed, with how many tests tried.
    """

    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    survivors: list[tuple[Mutant, int]] = field(default_factory=list)

    @property
    def noticed(self) -> float:
        """The noticed share of the changes that can be noticed."""
        total = sum(self.counts.values(), Counter[str]())
        judged = total["killed"] + total["survived"]
        return total["killed"] / judged if judged else 1.0


def main() -> int:
    """Run as the command line says."""
    arguments = _arguments()
    paths = sorted(
        str(path)
        for room in FOLDERS
        for path in Path("exporter", room).glob("**/*.py")
        if not arguments.only or any(part in str(path) for part in arguments.only.split(","))
    )
    sources = {str(path): path.read_text() for path in Path("exporter").glob("**/*.py")}
    every = [mutant for path in paths for mutant in mutants_of(path, sources[path])]
    equivalent = _equivalent(arguments.equivalent)
    if stale := _stale(equivalent, every, paths):
        print(f"These entries of {arguments.equivalent} match no change:", *stale, sep="\n  ")
        return 2
    chosen = sorted(every, key=lambda mutant: _rank(arguments.seed, mutant))[: arguments.sample]
    chosen.sort(key=lambda mutant: (mutant.path, mutant.line))
    files = sorted(str(path) for test in arguments.tests.split() for path in Path().glob(test))
    outcome = Outcome()
    if not chosen:
        print(_summary(outcome, arguments.seed, 0, len(every)))
        return 0
    tests = measure(files, paths, arguments.cache)
    for test in tests.failed:
        print("fails without any change, so it is not used:", test)
    judged = [mutant for mutant in chosen if _known(mutant) not in equivalent]
    for mutant in set(chosen) - set(judged):
        outcome.counts[mutant.path]["equivalent"] += 1
    trials = _trials(judged, tests, sources, arguments.seconds)
    healthy = True

    def done(trial: Trial, noticed: bool) -> None:  # noqa: FBT001 - a callback
        nonlocal healthy
        if trial.mutant is None:
            healthy = not noticed
            return
        outcome.counts[trial.mutant.path]["killed" if noticed else "survived"] += 1
        if not noticed:
            outcome.survivors.append((trial.mutant, len(trial.tests)))
            print(_described(trial.mutant, len(trial.tests)), flush=True)

    status = run(trials, files=files, workers=arguments.workers, done=done)
    if status not in {0, 5} or not healthy:
        print("The tests do not pass without a change, so nothing is known.", file=sys.stderr)
        return 2
    print(_summary(outcome, arguments.seed, len(chosen), len(every)))
    return 0 if outcome.noticed * 100 >= arguments.at_least else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("--only", default="", help="parts of paths, such as metrics,slots.py")
    parser.add_argument("--seed", default="1", help="another seed takes another sample")
    parser.add_argument("--sample", type=int, default=300, help="how many changes")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=30, help="of tests for one change")
    parser.add_argument("--at-least", type=float, default=90, help="per cent to be noticed")
    parser.add_argument("--cache", type=Path, default=CACHE, help="which test runs which line")
    parser.add_argument("--equivalent", type=Path, default=KNOWN, help="the known equivalents")
    parser.add_argument(
        "--tests",
        default=" ".join(f"tests/{room}/**/test_*.py" for room in (*FOLDERS, "faults", "docs"))
        + " tests/test_*.py",
    )
    return parser.parse_args()


def _rank(seed: str, mutant: Mutant) -> bytes:
    """A random order that stays when other lines change."""
    return hashlib.sha256(f"{seed}\0{mutant.identity}".encode()).digest()


Known = tuple[str, str, str, str]


def _known(mutant: Mutant) -> Known:
    return (mutant.path, mutant.place.name, mutant.before, mutant.after)


def _equivalent(file: Path) -> set[Known]:
    known: set[Known] = set()
    for entry in tomllib.loads(file.read_text()).get("equivalent", []):
        if not entry.get("reason"):
            raise SystemExit(f"{file}: an entry without a reason: {entry}")
        known.add((entry["file"], entry["where"], entry["before"], entry["after"]))
    return known


def _stale(equivalent: set[Known], every: Sequence[Mutant], paths: Sequence[str]) -> list[str]:
    possible = {_known(mutant) for mutant in every}
    missing = (entry for entry in equivalent - possible if entry[0] in paths)
    gone = (entry for entry in equivalent if not Path(entry[0]).exists())
    return sorted(" | ".join(entry) for entry in {*missing, *gone})


def _trials(
    mutants: Sequence[Mutant], tests: Tests, sources: dict[str, str], seconds: float
) -> Iterator[Trial]:
    """First no change at all, which the tests must pass; then every change."""
    quick = sorted(tests.seconds, key=lambda test: tests.seconds[test])[:200]
    quick = [test for test in quick if test not in tests.failed]
    yield Trial(None, quick, sum(tests.seconds[test] for test in quick))
    for mutant in mutants:
        name = mutant.path.removesuffix(".py").replace("/", ".")
        importer = re.compile(rf"from {re.escape(name)} import")
        importers = [path for path, source in sources.items() if importer.search(source)]
        of_it = tests.of(mutant, importers, seconds)
        yield Trial(mutant, of_it, sum(tests.seconds[test] for test in of_it))


def _described(mutant: Mutant, tests: int) -> str:
    return "\n".join(
        (
            f"\n{mutant.path}:{mutant.line} in {mutant.place.name}, {tests} tests",
            f"- {mutant.before}",
            f"+ {mutant.after}",
        )
    )


def _summary(outcome: Outcome, seed: str, chosen: int, every: int) -> str:
    lines = [
        "",
        "| file | killed | survived | equivalent |",
        "|---|---|---|---|",
    ]
    for path, counts in sorted(outcome.counts.items()):
        cells = (
            path.removeprefix("exporter/"),
            *(counts[key] for key in ("killed", "survived", "equivalent")),
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines.append(f"\nseed {seed}: {chosen} of {every} changes; {outcome.noticed:.1%} noticed")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
