"""The set-up of a fresh machine: which Python is taken, and what is said while locks are installed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support.answers import ROOT

NO_PYTHON = "exit 127"
TOO_OLD = '[[ "$*" == *version_info* ]] && exit 1; echo "Python 3.9.2"'
WITHOUT_VENV = '[[ "$*" == *ensurepip* ]] && exit 1; [[ "$*" == *print* ]] && echo 3.14; exit 0'
COMPLETE = '[[ $1 == --version ]] && echo "Python of $0"; [[ $2 == venv ]] && mkdir "$4"; exit 0'


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
    return path


def run(*command: str | Path, path: Path) -> subprocess.CompletedProcess[str]:
    """Run a script with this folder first on the PATH."""
    return subprocess.run(
        [str(part) for part in command],
        env={**os.environ, "PATH": f"{path}:{os.environ['PATH']}", "PYTHON": ""},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A PATH on which no Python works, and apt has nothing."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for version in ("", ".11", ".12", ".13", ".14", ".15"):
        program(folder / f"python3{version}", NO_PYTHON)
    program(folder / "dpkg-query", "echo installed")
    return folder


@pytest.mark.parametrize("version", ["", ".11", ".12", ".13", ".14"])
def test_every_supported_python_is_found_by_itself(
    machine: Path, tmp_path: Path, version: str
) -> None:
    program(machine / "python3", TOO_OLD)
    chosen = program(machine / f"python3{version}", COMPLETE)
    made = tmp_path / "environment"
    done = run(ROOT / "scripts/make-virtual-environment.sh", made, path=machine)
    assert done.returncode == 0, done.stderr
    assert made.is_dir()
    assert f"with Python of {chosen}" in done.stdout


def test_a_python_without_venv_is_reported_with_its_package(machine: Path, tmp_path: Path) -> None:
    program(machine / "python3.14", WITHOUT_VENV)
    done = run(ROOT / "scripts/make-virtual-environment.sh", tmp_path / "x", path=machine)
    assert done.returncode == 1
    assert "python3.14-venv" in done.stderr


def test_where_no_python_is_new_enough_the_names_that_were_tried_are_reported(
    machine: Path, tmp_path: Path
) -> None:
    program(machine / "python3", TOO_OLD)
    done = run(ROOT / "scripts/make-virtual-environment.sh", tmp_path / "x", path=machine)
    assert done.returncode == 1
    assert "python3 python3.14 python3.13 python3.12 python3.11" in done.stderr


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    folder = tmp_path / "environment"
    (folder / "bin").mkdir(parents=True)
    return folder


def install(environment: Path, pip: str) -> subprocess.CompletedProcess[str]:
    program(environment / "bin/pip", pip)
    script = ROOT / "scripts/install-locks.sh"
    return run(script, environment, "a.lock", "b.lock", path=environment / "bin")


def test_an_install_of_locks_resolves_nothing_and_names_each_package(environment: Path) -> None:
    done = install(
        environment,
        f"""
        echo "$@" > {environment}/arguments
        echo "Requirement already satisfied: yarl==1.0 in /somewhere"
        echo "Collecting aiohttp==3.14.5 (from -r a.lock (line 7))"
        echo "Processing /wheels/isal-1.9.1-cp311-cp311-linux.whl (from -r a.lock)"
        echo "Installing collected packages: aiohttp, isal"
        echo "WARNING: Location '/nowhere/isal/' is ignored: it is no folder." >&2
        echo "WARNING: Retrying after the connection broke" >&2
        """,
    )
    assert done.returncode == 0
    asked = (environment / "arguments").read_text().split()
    assert {"--no-deps", "--require-hashes"} <= set(asked)
    assert asked[-4:] == ["--requirement", "a.lock", "--requirement", "b.lock"]
    assert done.stdout.splitlines() == [
        f"Installing a.lock b.lock into {environment} ...",
        "  aiohttp==3.14.5",
        "  isal-1.9.1-cp311-cp311-linux.whl",
        "  Unpacking all of them ...",
    ]
    assert done.stderr == "WARNING: Retrying after the connection broke\n"


def test_an_install_that_fails_says_why_and_fails(environment: Path) -> None:
    done = install(environment, 'echo "ERROR: no hash of aiohttp" >&2; exit 3')
    assert done.returncode == 3
    assert "no hash of aiohttp" in done.stderr
