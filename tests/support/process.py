"""The exporter as a process of its own, as users start it."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.answers import ROOT
from support.http import fetch

START_SECONDS = 20.0


class ExporterProcess:
    """A running exporter: its address, and what it has logged."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.log: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = self._address()

    def get(self, path: str) -> str:
        """The body of a page, as text, whatever its status."""
        return fetch(self.url + path)

    def post(self, path: str) -> tuple[int, str]:
        """The status and the body of the answer to a POST without a body."""
        request = urllib.request.Request(self.url + path, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def wait_for_log(self, pattern: str, seconds: float = START_SECONDS) -> re.Match[str]:
        """The first line from now on that has the pattern."""
        while (line := self._lines.get(timeout=seconds)) is not None:
            self.log.append(line)
            if match := re.search(pattern, line):
                return match
        raise AssertionError(f"ended without {pattern!r}: {''.join(self.log)}")

    def stop(self, number: int = signal.SIGTERM, seconds: float = 5.0) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=seconds)

    def _address(self) -> str:
        return self.wait_for_log(r"listening.*?(http://[^\s\"]+)")[1]

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line)
        self._lines.put(None)


@contextmanager
def running(
    *arguments: str, folder: Path = ROOT, environment: dict[str, str] | None = None
) -> Iterator[ExporterProcess]:
    """Start the command on a free port and end it afterwards."""
    command = [sys.executable, "-m", "exporter", "--web.listen-address=127.0.0.1:0", *arguments]
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield ExporterProcess(process)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def run(
    *arguments: str,
    folder: Path = ROOT,
    environment: dict[str, str] | None = None,
    options: tuple[str, ...] = (),
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, with options of the interpreter."""
    return subprocess.run(
        [sys.executable, *options, "-m", "exporter", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
