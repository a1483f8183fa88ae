"""Writes log lines from a thread: logging never waits for the client of the log."""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

MOST_BYTES = 1 << 20
"""Bytes of lines that wait to be written; what comes then is lost, and counted."""

_AT_ONCE = 64 * 1024


@dataclass(slots=True)
class _Lost:
    """Stands in the queue for lines that were lost at this place."""

    count: int


class LogWriter:
    """A bounded queue of lines and the thread that writes them, in their order.

    Args:
        descriptor: where to write.
        describe_lost: makes the line with the number of lost lines. It is written at their
            place, once writing works again.
        most_bytes: bytes of lines that may wait.

    Attributes:
        on_lost: called with the number of lines, from any thread, whenever some are lost.
    """

    def __init__(
        self, descriptor: int, *, describe_lost: Callable[[int], str], most_bytes: int = MOST_BYTES
    ) -> None:
        self.on_lost: Callable[[int], object] = _ignore
        self._descriptor = descriptor
        self._describe_lost = describe_lost
        self._most_bytes = most_bytes
        self._queue: deque[bytes | _Lost] = deque()
        self._bytes = 0
        # A write has failed, and nothing has come since: trying again would be in vain.
        self._resting = False
        self._writing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Queue a line, without its line break. Never waits; a line without room is lost."""
        encoded = line.encode(errors="backslashreplace") + b"\n"
        with self._changed:
            room = self._bytes + len(encoded) <= self._most_bytes
            if room:
                self._queue.append(encoded)
                self._bytes += len(encoded)
            else:
                self._lose_newest()
            self._resting = False
            self._changed.notify_all()
        if not room:
            self.on_lost(1)

    def lose(self) -> None:
        """Count a line that could not even be made."""
        with self._changed:
            self._lose_newest()
            self._changed.notify_all()
        self.on_lost(1)

    def flush(self, seconds: float) -> bool:
        """Wait until all is written that can be; False if it took longer than that."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._writing and (self._resting or not self._queue), seconds
            )

    def _lose_newest(self) -> None:
        if self._queue and isinstance(newest := self._queue[-1], _Lost):
            newest.count += 1
        else:
            self._queue.append(_Lost(1))

    def _run(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._queue and not self._resting)
                lines, lost = self._take()
                self._writing = True
            notice = self._describe_lost(lost).encode() + b"\n" if lost else b""
            written = self._write(notice + b"".join(lines))
            with self._changed:
                self._bytes -= sum(map(len, lines))
                if not written:
                    self._resting = True
                    self._put_back(lost + len(lines))
            if not written and lines:
                self.on_lost(len(lines))

    def _take(self) -> tuple[list[bytes], int]:
        """Some lines, and how many were lost just before them."""
        lines: list[bytes] = []
        size = lost = 0
        while self._queue and size < _AT_ONCE:
            first = self._queue[0]
            if isinstance(first, _Lost):
                if lines:
                    break
                lost += first.count
            else:
                lines.append(first)
                size += len(first)
            self._queue.popleft()
        return lines, lost

    def _put_back(self, lost: int) -> None:
        if self._queue and isinstance(oldest := self._queue[0], _Lost):
            oldest.count += lost
        else:
            self._queue.appendleft(_Lost(lost))

    def _write(self, data: bytes) -> bool:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                # Another process that shares the descriptor has made it non-blocking.
                select.select([], [self._descriptor], [])
            except OSError:
                return False
        return True


def _ignore(_: int) -> None:
    """Count nothing yet."""
