"""Bearer tokens that somebody else puts into a file: `credential.type: static`."""

from __future__ import annotations

import os
import re
from pathlib import Path

from exporter.azure.errors import Unauthenticated

_LONGEST = 65_536
_TOKEN = re.compile(r"[!-~]+")

_State = tuple[int, int, int, int]


class FileTokens:
    """The token in a file, read again when the file changes or Azure refuses the token.

    Args:
        path: the file; it holds one token, and white space around it does not matter.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._token: str | None = None
        self._state: _State | None = None

    async def get(self, *, claims: str | None = None, stale: str | None = None) -> str:
        """See TokenSource; a file cannot fulfil claims, so they only make it be read again."""
        if claims is not None or stale is not None:
            self._token = None
        return self._read()

    async def close(self) -> None:
        """Forget the token."""
        self._token = None

    def _read(self) -> str:
        try:
            state = _state_of(self._path.stat())
            if self._token is not None and state == self._state:
                return self._token
            with self._path.open("rb") as file:
                # Of the opened file and before reading: a later change shows as another state.
                state = _state_of(os.fstat(file.fileno()))
                content = file.read(_LONGEST + 1)
        except OSError as error:
            self._token = None
            raise Unauthenticated(
                f"token file {self._path} cannot be read ({error.strerror or 'no regular file'})"
            ) from None
        except ValueError:
            raise Unauthenticated("the path of the token file is no path") from None
        self._token = _token_of(content, self._path)
        self._state = state
        return self._token


def _token_of(content: bytes, path: Path) -> str:
    if len(content) > _LONGEST:
        raise Unauthenticated(f"token file {path} is too long to be one token")
    text = content.decode("utf-8-sig", "replace").strip()
    if text[:7].casefold() == "bearer ":
        text = text[7:].lstrip()
    if not text:
        raise Unauthenticated(f"token file {path} is empty")
    if not _TOKEN.fullmatch(text):
        raise Unauthenticated(f"token file {path} does not hold one token")
    return text


def _state_of(stat: os.stat_result) -> _State:
    return stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size
