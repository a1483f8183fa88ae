"""Reports of others, kept beside the repository: each is run by its own program and must hold.

`AZURE_VMSS_REPORTS` names their folder. An input takes up to two minutes, of which nearly all is
waiting, and its ports are fixed. So each gets a network of its own where the system allows that,
and several run at once; else one runs after the other.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support.answers import ROOT

FOLDER = Path(os.environ.get("AZURE_VMSS_REPORTS", ROOT.parent / "shared" / "reports" / "azure"))
INPUTS = sorted(path.parent for path in FOLDER.glob("*/input.json"))
AT_ONCE = 4
LONGEST = 400.0
"""Seconds for one input; the longest takes 130."""

SLOW_START = 4.0
"""Seconds beyond which a start has eaten up the time that an input gives the exporter."""

TRIES = 3

# A new network has a loopback interface that is down. 0x8914 is SIOCSIFFLAGS, 0x41 up and running.
_WITH_LOOPBACK = """\
import fcntl, os, socket, struct, sys
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh22x", b"lo", 0x41))
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""

_FIRST_ANSWER = re.compile(r"up over time \[\((\d+\.\d+),")
_ONE_AT_A_TIME = threading.Lock()
_OF_A_SET = re.compile(r"(/virtualMachineScaleSets/)[^/\"]+/(?=virtualMachines/)")

pytestmark = [pytest.mark.reports, pytest.mark.xdist_group("reports")]


@pytest.fixture(scope="module")
def ended() -> Iterator[dict[str, Future[subprocess.CompletedProcess[str]]]]:
    """The inputs by their names, all begun; the longest waits are not the last to begin."""
    alone = _networks_of_their_own()
    with ThreadPoolExecutor(AT_ONCE if alone else 1) as pool:
        yield {path.name: pool.submit(_tried, path, alone=alone) for path in _longest_first()}
        pool.shutdown(cancel_futures=True)


@pytest.mark.skipif(not INPUTS, reason="the reports are not here")
@pytest.mark.parametrize("name", [path.name for path in INPUTS])
def test_what_others_have_reported_does_not_happen_here(
    ended: dict[str, Future[subprocess.CompletedProcess[str]]], name: str
) -> None:
    run = ended[name].result()
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]


def _longest_first() -> list[Path]:
    # The more there is to wait for, the more the file tells.
    return sorted(INPUTS, key=lambda path: '"run_seconds"' not in (path / "input.json").read_text())


def _networks_of_their_own() -> bool:
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(_in_new_network("-c", ""), capture_output=True, check=False)
    return tried.returncode == 0


def _in_new_network(*arguments: str) -> list[str]:
    return ["unshare", "-rn", sys.executable, "-c", _WITH_LOOPBACK, *arguments]


def _with_ids_of_their_own(spec: dict[str, Any]) -> dict[str, Any]:
    """The input, with items that belong to the set whose answer they are.

    One input was written for one set and copied for another. Since then an item whose `id` names
    another set fails the walk.
    """
    text = {name: json.dumps(answers) for name, answers in spec["sets"].items()}
    own = {
        name: json.loads(_OF_A_SET.sub(rf"\g<1>{name}/", answers)) for name, answers in text.items()
    }
    return spec | {"sets": own}


def _with_time_to_look(spec: dict[str, Any]) -> dict[str, Any]:
    """The input, with its first list given twice where the page is looked at before the second.

    The polls keep to a schedule, so the second may come soon after the first; the time of
    that look was chosen for a process that took seconds to start.
    """
    if not any(check["in"].startswith("metrics@") for check in spec.get("checks", ())):
        return spec
    sets = {
        name: answers | {"list": [answers["list"][0], *answers["list"]]}
        if isinstance(answers.get("list"), list)
        else answers
        for name, answers in spec["sets"].items()
    }
    return spec | {"sets": sets}


def _tried(path: Path, *, alone: bool) -> subprocess.CompletedProcess[str]:
    """Run an input, and again by itself if the machine was too busy for its times to mean much."""
    run = _run(path, alone=alone)
    for _ in range(TRIES - 1):
        begun = _FIRST_ANSWER.search(run.stdout)
        if run.returncode == 0 or (begun and float(begun[1]) <= SLOW_START):
            break
        with _ONE_AT_A_TIME:
            run = _run(path, alone=alone)
    return run


def _run(path: Path, *, alone: bool) -> subprocess.CompletedProcess[str]:
    spec = json.loads((path / "input.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / path.name
        copied.mkdir()
        (copied / "input.json").write_text(
            json.dumps(_with_time_to_look(_with_ids_of_their_own(spec)))
        )
        arguments = (str(FOLDER / "run.py"), str(copied))
        return subprocess.run(
            _in_new_network(*arguments) if alone else [sys.executable, *arguments],
            env={**os.environ, "EXPORTER_DIR": str(ROOT), "PYTHON": sys.executable},
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
