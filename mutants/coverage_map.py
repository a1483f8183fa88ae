"""Which test runs which line, measured once and kept until a file changes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import coverage
import pytest

from mutants.operators import Mutant

_RESULTS = "MUTANTS_RESULTS"


class Tests:
    """Every test with its time and the lines that it runs.

    Attributes:
        seconds: of each test that passes, by its name.
        failed: the tests that fail without any change; they are not used.
    """

    def __init__(self, files: Iterable[dict[str, Any]]) -> None:
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []
        self._lines: dict[str, dict[str, int]] = defaultdict(dict)
        for file in files:
            self.failed += file["failed"]
            self.seconds |= file["seconds"]
            for path, tests in file["lines"].items():
                self._lines[path] |= {test: int(lines, 16) for test, lines in tests.items()}
        for test in self.failed:
            del self.seconds[test]

    def of_lines(self, path: str, lines: tuple[int, int]) -> set[str]:
        """The tests that run a line from the first to the last."""
        wanted = sum(1 << line for line in range(lines[0], lines[1] + 1))
        return {test for test, ran in self._lines[path].items() if ran & wanted}

    def of_module(self, path: str) -> set[str]:
        """The tests that run any line of a file after its import."""
        return set(self._lines[path])

    def of(self, mutant: Mutant, importers: Sequence[str], limit: float) -> list[str]:
        """The tests for a change, the likeliest to notice it first, within a limit in seconds.

        What is at module level runs at import, in no test: there all tests count that run
        anything of the module, or else of those that import it, and those of the documents, which
        tell the numbers and names of the program.
        """
        found = self.of_lines(mutant.path, mutant.place.lines)
        if mutant.place.function is None:
            found = found or self.of_module(mutant.path)
            for path in importers:
                found = found | self.of_module(path)
            found = found | {test for test in self.seconds if test.startswith("tests/docs/")}
        room, name = Path(mutant.path).parts[1], Path(mutant.path).stem

        def rank(test: str) -> float:
            file = test.partition("::")[0]
            near_rooms = (f"tests/{room}", "tests/docs")
            far = (name not in file) + (not file.startswith(near_rooms))
            return self.seconds[test] + 0.2 * far

        chosen: list[str] = []
        spent = 0.0
        for test in sorted(found & self.seconds.keys(), key=rank):
            if spent + self.seconds[test] <= limit or not chosen:
                chosen.append(test)
                spent += self.seconds[test]
        return chosen


def measure(test_files: Sequence[str], modules: Sequence[str], cache: Path) -> Tests:
    """Run the test files that are new, or were measured with other code of the modules."""
    known = json.loads(cache.read_text()) if cache.exists() else {}
    sources = {str(path): _digest(path) for path in Path("exporter").glob("**/*.py")}
    wanted = {path: sources[path] for path in modules}
    stale = []
    for file in test_files:
        test = _digest(Path(file))
        kept = known.get(file, {"test": "", "modules": {}, "lines": {}})
        changed = wanted.items() - kept["modules"].items()
        # Another code of a module that the tests do not run says nothing about them.
        if kept["test"] != test or any(
            path in kept["lines"] or path not in kept["modules"] for path, _ in changed
        ):
            stale.append(file)
            kept = {"test": test, "modules": sources, "seconds": {}, "failed": [], "lines": {}}
            known[file] = kept
    if stale:
        print(f"measuring {len(stale)} of {len(test_files)} test files", file=sys.stderr)
        _run(stale, known)
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_text(json.dumps(known))
    return Tests([known[file] for file in test_files])


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _run(files: Sequence[str], known: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data, results = Path(folder, "coverage"), Path(folder, "results")
        environment = os.environ | {
            "COVERAGE_FILE": str(data),
            "HYPOTHESIS_STORAGE_DIRECTORY": folder,
            _RESULTS: str(results),
        }
        command = [sys.executable, "-m", "pytest", "-q", "-p", __name__, *PYTEST_OPTIONS]
        command += ["--cov=exporter", "--cov-context=test", "--cov-report=", *files]
        subprocess.run(command, env=environment, stdout=sys.stderr, check=False)
        for test, (seconds, passed) in json.loads(results.read_text()).items():
            file = known[test.partition("::")[0]]
            file["seconds"][test] = round(seconds, 3)
            if not passed:
                file["failed"].append(test)
        measured = coverage.CoverageData(str(data))
        measured.read()
        for name in measured.measured_files():
            path = os.path.relpath(name)
            ran: dict[str, int] = defaultdict(int)
            for line, contexts in measured.contexts_by_lineno(name).items():
                for test in {context.rpartition("|")[0] for context in contexts} - {""}:
                    ran[test] |= 1 << line
            for test, lines in ran.items():
                file = known[test.partition("::")[0]]
                file["lines"].setdefault(path, {})[test] = f"{lines:x}"


PYTEST_OPTIONS = (
    *("-p", "no:cacheprovider", "--hypothesis-seed=0"),
    *("-m", "not process and not prometheus and not image and not alerts"),
)
"""Without the tests that start processes: a change is made in this one."""


class _Results:
    """The part that runs inside the measured pytest: each test's time, and whether it passed."""

    def __init__(self) -> None:
        self.tests: dict[str, tuple[float, bool]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        seconds, passed = self.tests.get(report.nodeid, (0.0, True))
        self.tests[report.nodeid] = (seconds + report.duration, passed and not report.failed)

    def pytest_sessionfinish(self) -> None:
        Path(os.environ[_RESULTS]).write_text(json.dumps(self.tests))


def pytest_configure(config: pytest.Config) -> None:
    """Called by pytest, to which this module is a plugin."""
    config.pluginmanager.register(_Results())
