"""The files of a state directory. Every call may block: none belongs on the event loop."""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from exporter.runtime.files import read_file

LARGEST_FILE = 16 * 1024 * 1024
"""Bytes; a set of 1,000 instances needs less than one of the sixteen."""

LOCK = "lock"
"""The file that the exporter holds locked while it writes here."""

_ENDING = ".state"
_UNFINISHED = ".new"
_OURS = re.compile(rf"([0-9a-f]{{64}})\{_ENDING}(\{_UNFINISHED})?")


class StateDirectory:
    """A directory with one file per name. It is made at need, and one process at a time writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def open(self) -> None:
        """Make the directory and take it for this process; does nothing the second time.

        Raises:
            OSError: it cannot be made or written to, or another process has it.
        """
        if self._lock is not None:
            return
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise BlockingIOError(errno.EAGAIN, "another exporter uses the directory") from None
        except OSError:
            os.close(lock)
            raise
        self._lock = lock

    def close(self) -> None:
        """Leave the directory to others."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def read(self, name: str) -> bytes | None:
        """What a file holds; None where there is none.

        Raises:
            OSError: it cannot be read, is not a regular file or too large.
        """
        try:
            return read_file(self._file(name), at_most=LARGEST_FILE, follow=False)
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Replace a file as a whole: after a crash it holds the old data or the new.

        Raises:
            OSError: it cannot be written; the old file stays.
        """
        self.open()
        if len(data) > LARGEST_FILE:
            raise OSError(errno.EFBIG, "too large")
        final = self._file(name)
        unfinished = final.with_name(final.name + _UNFINISHED)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            # What a crash or another program left there may be a pipe, which would wait for a
            # reader, or another name of a file elsewhere.
            unfinished.unlink(missing_ok=True)
            with os.fdopen(os.open(unfinished, flags, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(final)
        except FileNotFoundError:
            # The directory was taken away, and with it our lock: begin anew the next time.
            self.close()
            raise
        except OSError:
            with suppress(OSError):
                unfinished.unlink()
            raise

    def remove(self, name: str) -> None:
        """Remove a file, if it is there.

        Raises:
            OSError: it cannot be removed.
        """
        self.open()
        self._file(name).unlink(missing_ok=True)

    def clean(self, names: Collection[str]) -> int:
        """Remove what crashes left and the state files of other names; the number of the latter.

        Raises:
            OSError: they cannot be removed.
        """
        self.open()
        removed = 0
        for path in sorted(self.path.iterdir()):
            match = _OURS.fullmatch(path.name)
            if match and (match[2] or match[1] not in names):
                path.unlink(missing_ok=True)
                removed += not match[2]
        return removed

    def _file(self, name: str) -> Path:
        return self.path / f"{name}{_ENDING}"
