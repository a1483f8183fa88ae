"""Files from outside: read whole and at once, or rejected with the reason.

A path may lead to anything: a pipe without a writer, a device without an end, a file system
that does not answer. None of them may hold up the exporter or fill its memory.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

_T = TypeVar("_T")

PATIENCE = 10.0
"""Seconds to wait for a read off the event loop."""

_PIECE = 1024 * 1024

_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "it is a directory"),
    (stat.S_ISFIFO, "it is a pipe, not a regular file"),
    (stat.S_ISSOCK, "it is a socket, not a regular file"),
    (stat.S_ISCHR, "it is a device, not a regular file"),
    (stat.S_ISBLK, "it is a device, not a regular file"),
)


def read_file(path: str | Path, *, at_most: int, follow: bool = True) -> bytes:
    """The content of a regular file. On a file system that answers it never waits.

    Args:
        at_most: how many bytes it may have.
        follow: whether the path may be a symbolic link.

    Raises:
        OSError: it cannot be read, is not a regular file, or is too long; `strerror` names the
            reason and no path. FileNotFoundError where there is none.
    """
    try:
        # Before it is opened, for opening alone can set a device to work.
        _must_be_regular(Path(path).stat(follow_symlinks=follow))
        # Without O_NONBLOCK a pipe that has replaced the file meanwhile would wait for a writer.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | (0 if follow else os.O_NOFOLLOW)
        descriptor = os.open(path, flags)
    except ValueError:
        raise OSError(errno.EINVAL, "it is not a path") from None
    try:
        _must_be_regular(os.fstat(descriptor))
        content = bytearray()
        # The size is not reliable: the file may grow while it is read.
        while chunk := os.read(descriptor, min(_PIECE, at_most + 1 - len(content))):
            content += chunk
    finally:
        os.close(descriptor)
    if len(content) > at_most:
        raise OSError(errno.EFBIG, f"it is too long, with more than {at_most} bytes")
    return bytes(content)


def _must_be_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        summary = next(
            (summary for is_one, summary in _KINDS if is_one(found.st_mode)), "it is not a file"
        )
        raise OSError(errno.EINVAL, summary)


class OffLoop(Generic[_T]):
    """Reads again and again, in threads that hold nothing up: neither the loop nor the exit.

    A file system that hangs never lets go of a thread. Until it does no other read begins, so
    that there is one such thread at most.

    Args:
        read: what is done in the thread.
        patience: seconds to wait for it.
    """

    def __init__(self, read: Callable[[], _T], *, patience: float = PATIENCE) -> None:
        self._read = read
        self._patience = patience
        self._flight: asyncio.Future[_T] | None = None

    async def read(self) -> _T:
        """The result of a read; concurrent callers share one read.

        Raises:
            TimeoutError: it does not end; `strerror` is set.
            Exception: whatever the read raises.
        """
        if self._flight is None or self._flight.done():
            self._flight = self._begin()
        flight = self._flight
        # Unlike awaiting it, wait() leaves the read to the others when this caller is cancelled.
        await asyncio.wait({flight}, timeout=self._patience)
        if not flight.done():
            raise TimeoutError(errno.ETIMEDOUT, f"no answer within {self._patience:g} s")
        return flight.result()

    def _begin(self) -> asyncio.Future[_T]:
        loop = asyncio.get_running_loop()
        flight: asyncio.Future[_T] = loop.create_future()

        def land(result: _T | None, error: Exception | None) -> None:
            if error is None:
                flight.set_result(result)  # type: ignore[arg-type] # None is one of _T then
            else:
                flight.set_exception(error)
                # It may no longer be awaited, which is not an error of its own.
                flight.exception()

        def work() -> None:
            result: _T | None = None
            error: Exception | None = None
            try:
                result = self._read()
            except Exception as raised:  # noqa: BLE001 - passed on to the waiting tasks
                error = raised
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(land, result, error)

        try:
            threading.Thread(target=work, name="file", daemon=True).start()
        except RuntimeError:
            land(None, OSError(errno.EAGAIN, "the system gives no thread to read it"))
        return flight
