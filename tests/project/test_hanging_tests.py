"""A test that hangs fails the run, which names it and shows where it hangs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.answers import ROOT

HANGING = """\
import asyncio
import threading

def test_that_passes():
    pass

async def test_that_waits_in_the_event_loop():
    await asyncio.Event().wait()

def test_that_waits_in_a_thread():
    threading.Event().wait()
"""
NO_RESTART = "--max-worker-restart=0"


def test_a_test_that_hangs_is_named_with_its_stack_and_the_run_ends(tmp_path: Path) -> None:
    assert NO_RESTART in (ROOT / "Makefile").read_text(encoding="utf-8")
    (tmp_path / "test_hanging.py").write_text(HANGING)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={tmp_path}"]
    options = ["-n2", "--dist=loadgroup", NO_RESTART, "--override-ini=faulthandler_timeout=1"]
    done = subprocess.run(
        [*command, *options, f"--config-file={ROOT}/pyproject.toml", tmp_path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "2 failed, 1 passed" in done.stdout
    assert "while running 'test_hanging.py::test_that_waits_in_the_event_loop'" in done.stdout
    assert "while running 'test_hanging.py::test_that_waits_in_a_thread'" in done.stdout
    assert "in test_that_waits_in_a_thread" in done.stdout + done.stderr
