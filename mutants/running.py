"""Tries changes in a pytest that has collected the tests once: each in a process forked from it.

A change inside a function gives that function other code in the forked process, which takes
milliseconds. One at module level is seen at import only, so it needs a pytest of its own, in which
the changed module is imported in place of the real one. No file is ever written.
"""

from __future__ import annotations

import gc
import importlib.machinery
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import pytest

from mutants.coverage_map import PYTEST_OPTIONS
from mutants.operators import Mutant

_CHANGE = "MUTANTS_CHANGE"
_NO_TESTS = 5


@dataclass(frozen=True)
class Trial:
    """A change and the tests that are to notice it; None stands for no change."""

    mutant: Mutant | None
    tests: Sequence[str]
    seconds: float

    @property
    def limit(self) -> float:
        """Seconds after which the change counts as noticed: the tests hang or loop with it."""
        return 20 + 10 * self.seconds


Done = Callable[[Trial, bool], None]


def run(trials: Iterable[Trial], *, files: Sequence[str], workers: int, done: Done) -> int:
    """Try every change and tell whether it was noticed; the exit status of pytest."""
    return pytest.main(["-qq", "-s", *PYTEST_OPTIONS, *files], [_Trials(trials, workers, done)])


class _Trials:
    """The plugin that runs trials in place of the collected tests."""

    def __init__(self, trials: Iterable[Trial], workers: int, done: Done) -> None:
        self._trials = trials
        self._workers = workers
        self._done = done
        self._running: dict[int, tuple[Trial, float, str]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("the tests cannot be collected")
        items = {item.nodeid: item for item in session.items}
        functions = _functions()
        for trial in self._trials:
            while len(self._running) >= self._workers:
                self._reap()
            folder = tempfile.mkdtemp(prefix="mutants-")
            pid = self._begin(trial, items, functions, folder)
            self._running[pid] = (trial, time.monotonic() + trial.limit, folder)
        while self._running:
            self._reap()
        return True

    def _begin(
        self,
        trial: Trial,
        items: dict[str, pytest.Item],
        functions: dict[tuple[str, str, int], list[FunctionType]],
        folder: str,
    ) -> int:
        swaps: list[tuple[FunctionType, CodeType]] = []
        if mutant := trial.mutant:
            swaps = _swaps(mutant, functions)
            if not swaps:
                return _import_changed(mutant, trial.tests, folder)
        pid = os.fork()
        if pid == 0:
            _be_alone(folder)
            try:
                for function, code in swaps:
                    function.__code__ = code
                passed = _passes([items[test] for test in trial.tests if test in items])
            except BaseException:  # noqa: BLE001 - whatever comes out of a changed program
                passed = False
            os._exit(0 if passed else 1)
        return pid

    def _reap(self) -> None:
        """Wait until a trial ends, and end those that take too long."""
        now = time.monotonic()
        for pid, (_, deadline, _) in self._running.items():
            if now > deadline:
                os.kill(pid, signal.SIGKILL)
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid not in self._running:
            time.sleep(0.01)
            return
        trial, _, folder = self._running.pop(pid)
        with suppress(ProcessLookupError):  # what the tests left behind
            os.killpg(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
        self._done(trial, status != 0)


def _be_alone(folder: str) -> None:
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    os.environ.update(_alone(folder))
    tempfile.tempdir = folder


def _alone(folder: str) -> dict[str, str]:
    return {
        "TMPDIR": folder,
        "PYTEST_DEBUG_TEMPROOT": folder,
        "HYPOTHESIS_STORAGE_DIRECTORY": folder,
    }


def _passes(items: Sequence[pytest.Item]) -> bool:
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if item.session.testsfailed:
            return False
    return True


def _functions() -> dict[tuple[str, str, int], list[FunctionType]]:
    """The functions of the program by file, qualified name and first line."""
    found: dict[tuple[str, str, int], list[FunctionType]] = {}
    for thing in gc.get_objects():
        if isinstance(thing, FunctionType):
            code = thing.__code__
            found.setdefault(_key(code), []).append(thing)
    return found


def _key(code: CodeType) -> tuple[str, str, int]:
    return os.path.relpath(code.co_filename), code.co_qualname, code.co_firstlineno


def _swaps(
    mutant: Mutant, functions: dict[tuple[str, str, int], list[FunctionType]]
) -> list[tuple[FunctionType, CodeType]]:
    """The functions to change with their other code; none where it takes an import."""
    if mutant.place.function is None:
        return []
    key = (mutant.path, *mutant.place.function)
    code = _find(compile(mutant.source, Path(mutant.path).resolve(), "exec"), key)
    targets = functions.get(key, [])
    if code is None or any(each.__code__.co_freevars != code.co_freevars for each in targets):
        return []
    return [(target, code) for target in targets]


def _find(code: CodeType, key: tuple[str, str, int]) -> CodeType | None:
    if _key(code) == key:
        return code
    inner = (_find(part, key) for part in code.co_consts if isinstance(part, CodeType))
    return next((found for found in inner if found is not None), None)


def _import_changed(mutant: Mutant, tests: Sequence[str], folder: str) -> int:
    change = Path(folder, "change.json")
    change.write_text(json.dumps({"path": mutant.path, "source": mutant.source}))
    command = [sys.executable, "-m", "pytest", "-qq", "-x", "-p", __name__, *PYTEST_OPTIONS]
    environment = os.environ | _alone(folder) | {_CHANGE: str(change)}
    process = subprocess.Popen(
        [*command, *tests],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    process.returncode = 0  # it is waited for with all others
    return process.pid


class _Finder(MetaPathFinder):
    """Finds the changed module before the real one is found."""

    def __init__(self, path: str, source: str) -> None:
        name = path.removesuffix(".py").replace("/", ".")
        self._name = name.removesuffix(".__init__")
        self._loader = _Loader(self._name, str(Path(path).resolve()))
        self._loader.changed = source
        self._is_package = path.endswith("/__init__.py")

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        spec = importlib.machinery.ModuleSpec(
            fullname, self._loader, origin=self._loader.path, is_package=self._is_package
        )
        spec.has_location = True
        if self._is_package:
            spec.submodule_search_locations = [str(Path(self._loader.path).parent)]
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    changed: str

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.changed, self.get_filename(fullname), "exec", dont_inherit=True)


if _CHANGE in os.environ:
    sys.meta_path.insert(0, _Finder(**json.loads(Path(os.environ[_CHANGE]).read_text())))
