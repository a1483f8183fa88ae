"""`.ci/run` checks all on a fresh environment, with the oldest pip, and fails if anything does."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.answers import ROOT

MAKE = """
echo "make $@" >> "$RECORD"
case "$*" in *"$BROKEN"*) exit 2 ;; esac
"""
PIP = 'echo "pip of ${0%/bin/pip}: $*" >> "$RECORD"\n'
PYTHON = """
case "$*" in
  --version) echo Python 3.11.0 ;;
  *"-m venv"*) mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; cp "${0%/*}/pip" "$4/bin/pip" ;;
  *">= (3, 12)"*) exit "$NEWER" ;;
esac
"""


class Run:
    """What `.ci/run` did in a checkout with a `.venv`, on programs that only note how they ran."""

    def __init__(self, folder: Path, *, broken: str = "nothing", newer: bool = False) -> None:
        checkout = folder / "checkout"
        for name in (".ci", "scripts"):
            shutil.copytree(ROOT / name, checkout / name)
        (checkout / ".venv/bin").mkdir(parents=True)
        programs = folder / "programs"
        programs.mkdir()
        for name, text in {"make": MAKE, "pip": PIP, "python3": PYTHON}.items():
            (programs / name).write_text(f"#!/bin/bash\n{text}")
            (programs / name).chmod(0o755)
        record = folder / "record"
        self.code = subprocess.run(
            [checkout / ".ci/run"],
            env={
                "PATH": f"{programs}:{os.environ['PATH']}",
                "TMPDIR": str(folder),
                "RECORD": str(record),
                "BROKEN": broken,
                "NEWER": str(int(newer)),
            },
            capture_output=True,
            check=False,
        ).returncode
        self.steps = record.read_text().splitlines()
        (environment,) = {step.split("VENV=")[1] for step in self.steps if "VENV=" in step}
        self.environment = Path(environment)

    def place(self, text: str) -> int:
        """When something ran."""
        (place,) = [place for place, step in enumerate(self.steps) if text in step]
        return place


def test_the_oldest_pip_installs_the_locks_into_an_environment_made_anew(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert run.code == 0
    assert run.environment.name != ".venv"
    assert not run.environment.exists(), "it is left behind"
    oldest = run.place("oldest-pip.lock")
    assert f"pip of {run.environment}: install --no-deps --require-hashes" in run.steps[oldest]
    assert oldest < run.place("make test ")
    assert "\npip==22.3 " in (ROOT / ".ci/oldest-pip.lock").read_text(encoding="utf-8")


def test_a_python_that_cannot_run_the_oldest_pip_keeps_its_own(tmp_path: Path) -> None:
    run = Run(tmp_path, newer=True)
    assert run.code == 0
    assert not [step for step in run.steps if "oldest-pip" in step]


@pytest.mark.parametrize("broken", ["test ", "test-alerts", "test-reports", "test-slow"])
def test_whatever_fails_fails_the_run(tmp_path: Path, broken: str) -> None:
    run = Run(tmp_path, broken=broken)
    assert run.code != 0
    assert broken == "test " or {"test", "test-alerts", "test-reports", "test-slow"} == {
        step.split()[1] for step in run.steps if step.startswith("make ")
    }
