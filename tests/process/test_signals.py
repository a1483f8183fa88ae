"""Signals from the first moment on: none is lost, none kills, a stop is obeyed at once."""

from __future__ import annotations

import os
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.answers import ROOT
from support.process import running
from support.waiting import eventually

UNSHARED = ("unshare", "--pid", "--fork", "--mount-proc")

pytestmark = pytest.mark.process

SECONDS = 30.0

# The interpreter runs this first. It tells when a module is about to be imported, and waits.
WAITING_IMPORT = """\
import os, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["IMPORT_THAT_WAITS"]:
            sys.meta_path.remove(self)
            os.write(1, b"importing")
            os.read(0, 1)

sys.meta_path.insert(0, Finder())
"""


@contextmanager
def importing(
    module: str, folder: Path, *arguments: str, before: tuple[str, ...] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """The exporter while it imports a module; it goes on once it is given a byte."""
    (folder / "sitecustomize.py").write_text(WAITING_IMPORT)
    command = [*before, sys.executable, "-m", "exporter", *arguments]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{folder}:{ROOT}",
        "IMPORT_THAT_WAITS": module,
    }
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], SECONDS)[0], "it did not begin"
            assert process.stdout.read(9) == b"importing"
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def error_text(process: subprocess.Popen[bytes]) -> str:
    """All of stderr, once the process has ended."""
    return process.communicate(timeout=SECONDS)[1].decode()


@pytest.mark.parametrize("module", ["exporter.cli", "pydantic", "aiohttp", "exporter.demo"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_while_modules_are_imported_ends_the_process_at_once(
    tmp_path: Path, module: str, number: int
) -> None:
    with importing(module, tmp_path, "--demo") as process:
        process.send_signal(number)
        assert process.wait(timeout=5) == 0
        assert error_text(process) == ""


@pytest.mark.parametrize("flag", ["--config.check", "--once"])
def test_a_command_that_is_stopped_before_its_end_has_not_succeeded(
    tmp_path: Path, flag: str
) -> None:
    with importing("pydantic", tmp_path, flag) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 1


@pytest.mark.parametrize("module", ["exporter.cli", "aiohttp"])
def test_a_reload_while_modules_are_imported_comes_after_the_start(
    tmp_path: Path, module: str
) -> None:
    flags = ("--demo", "--web.listen-address=127.0.0.1:0")
    with importing(module, tmp_path, *flags) as process:
        process.send_signal(signal.SIGHUP)
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b"1")
        process.stdin.flush()
        lines = []
        for line in process.stderr:
            lines.append(line)
            if b"nothing to reload" in line:
                break
        assert b"listening" in lines[-2], lines
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 0


def test_a_stop_while_modules_are_imported_ends_process_1_of_a_container(tmp_path: Path) -> None:
    # Not every container's root may: this one may be such a container itself.
    if subprocess.run(["sh", "-c", shlex.join([*UNSHARED, "true"])], check=False).returncode:
        pytest.skip("a process 1 needs root that may unshare")
    with importing("exporter.cli", tmp_path, "--demo", before=UNSHARED) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        (first,) = eventually(lambda: children.read_text().split() or None, seconds=SECONDS)
        os.kill(int(first), signal.SIGTERM)
        assert process.wait(timeout=5) == 0
        assert error_text(process) == ""


BLOCKED = """\
import os
import threading
from exporter.runtime import signals
signals.STOP_TIMEOUT = 0.1
caught = signals.Signals()
caught.catch()
caught.hand_to(stop=lambda: os.write(1, b"stop"), reload=lambda: os.write(1, b"reload"))
os.write(1, b"ready")
while True:
    os.read(0, 1)
"""


@pytest.mark.parametrize("more", ["", "threading.Thread.start = None\n"])
def test_a_process_whose_main_thread_is_blocked_hears_signals_and_ends_in_time(
    more: str,
) -> None:
    """Also where the system gives no thread any more."""
    script = BLOCKED.replace('os.write(1, b"ready")', more + 'os.write(1, b"ready")')
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(5) == b"ready"
        process.send_signal(signal.SIGHUP)
        assert process.stdout.read(6) == b"reload"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == b"stop"
        assert process.wait(timeout=SECONDS) == 0


def test_signals_that_keep_coming_put_no_stop_off() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BLOCKED], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.read(5) == b"ready"
            end = time.monotonic() + SECONDS
            while process.poll() is None and time.monotonic() < end:
                process.send_signal(signal.SIGTERM)
            assert process.returncode == 0
        finally:
            process.kill()
        # Once, however many came.
        assert process.stdout.read() == b"stop"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_that_come_until_the_process_has_gone_change_no_exit_code(
    number: signal.Signals,
) -> None:
    with running("--demo") as exporter:
        process = exporter.process
        process.send_signal(signal.SIGTERM)
        end = time.monotonic() + SECONDS
        while process.poll() is None and time.monotonic() < end:
            process.send_signal(number)
        assert process.returncode == 0
