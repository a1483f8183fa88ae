"""Reloads the configuration when a file has other content: `--config.enable-auto-reload`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

import structlog

from exporter.configuration import Configuration
from exporter.configuration_file import LARGEST_FILE
from exporter.runtime.clock import Clock
from exporter.runtime.files import OffLoop, read_file

_log = structlog.get_logger(__name__)


class Watched(NamedTuple):
    """The configuration file, and the seconds between two looks at it."""

    path: str
    interval: float


class AutoReload:
    """Looks at the configuration file and the files that it names, again and again.

    The content counts, not the time of the last change: Kubernetes mounts a ConfigMap as symbolic
    links and swaps them. While a file cannot be read nothing is reloaded, for it may be about to be
    replaced.

    Args:
        watched: the configuration file.
        text: the content of the file when it was read at the start.
        configuration: the one in force.
        reload: asks for a reload; it may fail, and is asked for again when the content changes.
    """

    def __init__(
        self,
        watched: Watched,
        *,
        text: str,
        configuration: Callable[[], Configuration],
        reload: Callable[[], object],
        clock: Clock,
    ) -> None:
        self._watched = watched
        self._begun = _digest_of(text.encode())
        self._last: tuple[bytes, bytes] | None = None
        self._configuration = configuration
        self._reload = reload
        self._clock = clock
        self._file = OffLoop(self._digest)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(self._watched.interval)

    async def look(self) -> None:
        """Look once, and ask for a reload where the content is another."""
        try:
            found = await self._file.read()
        except OSError as error:
            _log.debug("configuration not looked at", error=error.strerror)
            return
        # The file may have changed since it was read at the start; of the others nothing is known.
        changed = found[0] != self._begun if self._last is None else found != self._last
        self._last = found
        if changed:
            _log.info("configuration file changed", file=self._watched.path)
            self._reload()

    def _digest(self) -> tuple[bytes, bytes]:
        """Of the file, and of those that it names."""
        others = hashlib.sha256()
        for path in named_files(self._configuration()):
            others.update(path.encode())
            others.update(_digest_of(read_file(path, at_most=LARGEST_FILE)))
        return _digest_of(read_file(self._watched.path, at_most=LARGEST_FILE)), others.digest()


def _digest_of(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def named_files(configuration: Configuration) -> list[str]:
    """The files that a configuration names and that are read with it; a token's is not."""
    credentials = [configuration.azure.credential, *configuration.credentials.values()]
    found = {path for one in credentials for path in (one.client_secret_file, one.certificate_path)}
    return sorted(path for path in {configuration.azure.ca_file, *found} if path)
