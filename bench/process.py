"""Processes that are measured: started here, read from /proc, ended by their id."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
END_SECONDS = 20.0
LINES_KEPT = 30


@dataclass(frozen=True)
class Memory:
    """Resident bytes: now, and the most there ever were."""

    resident: int
    peak: int


class MeasuredProcess:
    """A running process: what it says, and what it costs.

    Args:
        process: it, with its output on one pipe.
        name: what errors call it.
    """

    def __init__(self, process: subprocess.Popen[str], name: str) -> None:
        self.process = process
        self.name = name
        self._changed = threading.Condition()
        self._unread: deque[str] = deque()
        self._last: deque[str] = deque(maxlen=LINES_KEPT)
        self._ended = False
        # Read to the end, or a full pipe would stop the process.
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def pid(self) -> int:
        """Its id."""
        return self.process.pid

    def wait_for(self, pattern: str, seconds: float = START_SECONDS) -> str:
        """The first group of the pattern in the next line that has it.

        Raises:
            RuntimeError: where the process ends first, or says nothing of it in time.
        """
        deadline = time.monotonic() + seconds
        while True:
            with self._changed:
                while not self._unread:
                    if self._ended:
                        raise self.failed(f"ended before it said {pattern!r}")
                    if not self._changed.wait(deadline - time.monotonic()):
                        raise self.failed(f"did not say {pattern!r} in {seconds:.0f} s")
                line = self._unread.popleft()
            if found := re.search(pattern, line):
                return found[1]

    def tell(self, line: str) -> None:
        """Write a line to its input."""
        if self.process.stdin is None:
            raise RuntimeError(f"{self.name} has no input")
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def failed(self, reason: str) -> RuntimeError:
        """An error that shows the last lines it wrote."""
        return RuntimeError("\n".join([f"{self.name} {reason}", *self._last]))

    def memory(self) -> Memory:
        """Its memory, from /proc."""
        text = Path(f"/proc/{self.pid}/status").read_text("utf-8")
        kilobytes = dict(re.findall(r"(?m)^(VmRSS|VmHWM):\s+(\d+) kB$", text))
        return Memory(resident=int(kilobytes["VmRSS"]) * 1024, peak=int(kilobytes["VmHWM"]) * 1024)

    def forget_peak(self) -> None:
        """Let the peak begin anew at what is resident now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5\n", "ascii")

    def pause(self) -> None:
        """Stop it where it is; the kernel still accepts connections for it."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def processor_seconds(self) -> float:
        """Seconds of processor time of all its threads until now, from /proc."""
        text = Path(f"/proc/{self.pid}/stat").read_text("utf-8")
        user, system = text.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def _read(self) -> None:
        output = self.process.stdout
        for line in output or ():
            with self._changed:
                self._unread.append(line)
                self._last.append(line.rstrip())
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


@contextmanager
def running(
    name: str, command: Sequence[str], *, environment: Mapping[str, str] | None = None
) -> Iterator[MeasuredProcess]:
    """Start a process and end it afterwards, whatever happened."""
    with subprocess.Popen(  # noqa: S603 - commands of this package
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            yield MeasuredProcess(process, name)
        finally:
            process.terminate()
            process.send_signal(signal.SIGCONT)  # a paused one would not hear of its end
            try:
                process.wait(timeout=END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def free_port() -> int:
    """A port of the loopback that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def print_error(text: str) -> None:
    """Tell on stderr how far the suite is."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)  # noqa: T201 - progress of a command
