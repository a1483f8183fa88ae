"""Bearer tokens that somebody else puts into a file: `credential.type: static`."""

from __future__ import annotations

import re

from exporter.azure.errors import Unauthenticated
from exporter.files import PATIENCE, OffLoop, read_file

_LONGEST = 65_536
_TOKEN = re.compile(r"[!-~]+")


class FileTokens:
    """The token in a file, which is read each time: whoever renews it tells nobody.

    Args:
        path: the file; it holds one token, and white space around it does not matter.
        patience: seconds to wait for a file system that does not answer.
    """

    def __init__(self, path: str, *, patience: float = PATIENCE) -> None:
        self._path = path if path.isprintable() else repr(path)
        self._file = OffLoop(lambda: read_file(path, at_most=_LONGEST), patience=patience)

    async def get(self, *, claims: str | None = None, stale: str | None = None) -> str:
        """See TokenSource; a file cannot fulfil claims, and has the newest token in any case."""
        del claims, stale
        try:
            content = await self._file.read()
        except OSError as error:
            raise Unauthenticated(
                f"token file {self._path} cannot be read ({error.strerror})"
            ) from None
        return _token_of(content, self._path)

    async def close(self) -> None:
        """Nothing is held."""


def _token_of(content: bytes, path: str) -> str:
    text = content.decode("utf-8-sig", "replace").strip()
    if text[:7].casefold() == "bearer ":
        text = text[7:].lstrip()
    if not text:
        raise Unauthenticated(f"token file {path} is empty")
    if not _TOKEN.fullmatch(text):
        raise Unauthenticated(f"token file {path} does not hold one token")
    return text
