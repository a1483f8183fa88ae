"""Signals, handled from the first moment of the process on.

This is imported before all else and imports next to nothing: what comes after it takes a second,
in which a signal would kill the process or, for process 1 of a container, be lost.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable

STOP_TIMEOUT = 4.0
"""Seconds for the whole stop, from the signal on; beyond it the process just ends."""

STOPPING = (signal.SIGTERM, signal.SIGINT)

Call = Callable[[], None]


class Signals:
    """Catches SIGTERM, SIGINT and SIGHUP, and hands them on as soon as there are handlers.

    The C part of Python's signal handling writes them into a pipe, and a thread reads that: so a
    stop is obeyed in time even while the main thread is blocked. Until there is a taker, a stop
    ends the process at once, for nothing is open yet, and a reload is kept.

    Attributes:
        unfinished: the exit code of a process that is stopped before there is a taker.
    """

    def __init__(self) -> None:
        self.unfinished = 0
        self._lock = threading.Lock()
        self._takers: tuple[Call, Call] | None = None
        self._reload_waits = False
        self._end_at = float("inf")

    def catch(self) -> None:
        """Begin. To be called once, in the main thread."""
        read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in (*STOPPING, signal.SIGHUP):
            signal.signal(number, _nothing)
        threading.Thread(target=self._watch, args=(read,), name="signals", daemon=True).start()

    @staticmethod
    def ignore() -> None:
        """Let signals change nothing any more: the exit code stands.

        While Python ends it takes its handlers back, and a signal that comes again would kill.
        """
        for number in (*STOPPING, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    def hand_to(self, *, stop: Call, reload: Call) -> None:
        """Call these from now on, in another thread; a reload that came before counts.

        A process that does not end within `STOP_TIMEOUT` of the signal is ended, with exit
        code 0: closing everything takes a moment, but the interpreter waits for threads, and a DNS
        look-up in one of them can neither be cancelled nor be bounded.
        """
        with self._lock:
            self._takers = (stop, reload)
            if self._reload_waits:
                reload()

    def _watch(self, pipe: int) -> None:
        while True:
            if self._end_at < float("inf"):
                # In this thread: the system may give no other one for it. The deadline comes first,
                # since with signals that keep coming the pipe is always readable.
                left = self._end_at - time.monotonic()
                if left <= 0 or not select.select([pipe], [], [], left)[0]:
                    os._exit(0)
            # Each once: a flood of them must not fill the event loop with callbacks.
            for number in dict.fromkeys(os.read(pipe, 1024)):
                self._told(number)

    def _told(self, number: int) -> None:
        with self._lock:
            if self._takers is None:
                if number in STOPPING:
                    os._exit(self.unfinished)
                self._reload_waits = True
                return
            stop, reload = self._takers
        if self._end_at < float("inf"):
            return  # It is stopping already.
        if number in STOPPING:
            self._end_at = time.monotonic() + STOP_TIMEOUT
            stop()
        else:
            reload()


def _nothing(number: int, frame: object) -> None:
    """The pipe has it already."""
