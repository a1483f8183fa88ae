"""Bearer tokens that another program writes to a file: `credential.type: static`."""

from __future__ import annotations

import re
from pathlib import Path

from exporter.azure.auth.token_watch import TokenWatch
from exporter.azure.errors import Unauthenticated
from exporter.runtime.files import PATIENCE, OffLoop, read_file

_LONGEST = 65_536
_TOKEN = re.compile(r"[!-~]+")

_State = tuple[int, int, int, int]


class FileTokens:
    """The token in a file, read again when the file changes or Azure refuses the token.

    Args:
        path: the file; it holds one token, and white space around it does not matter.
        patience: seconds to wait for a file system that does not answer.
    """

    def __init__(
        self, path: str, *, patience: float = PATIENCE, watch: TokenWatch | None = None
    ) -> None:
        self._path = path
        self._watch = watch
        self._content = b""
        self._state: _State | None = None
        self._file = OffLoop(self._read, patience=patience)

    async def get(self, *, claims: str | None = None, stale: str | None = None) -> str:
        """See TokenSource; a file cannot fulfil claims, so they only make it be read again."""
        if claims is not None or stale is not None:
            self._state = None
        shown = self._path if self._path.isprintable() else repr(self._path)
        try:
            token = _token_of(await self._content_of(shown), shown)
        except Unauthenticated as error:
            if self._watch is not None:
                self._watch.failed(error)
            raise
        if self._watch is not None:
            # Who wrote the file knows when it ends.
            self._watch.got(None)
        return token

    async def _content_of(self, shown: str) -> bytes:
        try:
            return await self._file.read()
        except OSError as error:
            raise Unauthenticated(f"token file {shown} cannot be read ({error.strerror})") from None

    async def close(self) -> None:
        """Forget the token."""
        self._content, self._state = b"", None

    def _read(self) -> bytes:
        # Before it is read: a later change shows as another state. And no more than this as a
        # rule, for it takes no file descriptor, of which there may be none left.
        state = _state_of(self._path)
        if state is None or state != self._state:
            self._content = read_file(self._path, at_most=_LONGEST)
            self._state = state
        return self._content


def _token_of(content: bytes, path: str) -> str:
    text = content.decode("utf-8-sig", "replace").strip()
    if text[:7].casefold() == "bearer ":
        text = text[7:].lstrip()
    if not text:
        raise Unauthenticated(f"token file {path} is empty")
    if not _TOKEN.fullmatch(text):
        raise Unauthenticated(f"token file {path} does not hold one token")
    return text


def _state_of(path: str) -> _State | None:
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None  # reading it tells why
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
