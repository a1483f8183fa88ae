"""The configuration as it may be shown to anybody who can reach the exporter."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from exporter.configuration.document import read_document
from exporter.configuration.errors import Path, touches_secret
from exporter.runtime.files import OffLoop
from exporter.runtime.garbage import without_collections

SECRET = "<secret>"  # noqa: S105 - what stands in the place of one
"""What Prometheus shows in the place of a secret, too."""

SHOWING_LIMIT = 60.0
"""Seconds for making what `/config` shows; 10,000 scale sets take some five."""

# Everything between the scheme and the last @ of what may be a host.
_USER = re.compile(r"(?<=://)[^/?#\s]*@")


class _Unknown(Mapping[str, str]):
    """An environment in which every variable is set, and none is told."""

    def __getitem__(self, _: str) -> str:
        return SECRET

    def __contains__(self, _: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def shown(text: str) -> str:
    """A configuration without its secrets, as YAML; its comments are left out.

    In place of every secret, of what the environment has given and of the user in an address
    stands `<secret>`. Thousands of sets take seconds: not on the event loop.

    Raises:
        ConfigurationError: it is no configuration.
    """
    value = _without_secrets(read_document(text, _Unknown()).value, ())
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100))


def _without_secrets(value: Any, path: Path) -> Any:
    if path and touches_secret(path) and not isinstance(value, dict):
        return SECRET
    if isinstance(value, dict):
        return {key: _without_secrets(one, (*path, key)) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_secrets(one, (*path, number)) for number, one in enumerate(value)]
    return _USER.sub(f"{SECRET}@", value) if isinstance(value, str) else value


class ShownConfiguration:
    """The configuration in force as `/config` shows it: without its secrets.

    Attributes:
        text: the content of the file; another one takes its place after a reload.
    """

    def __init__(self, text: str = "") -> None:
        self.text = text
        self._shown: tuple[str, str] = ("", "")
        self._work = OffLoop(self._make, patience=SHOWING_LIMIT)

    async def read(self) -> str:
        """The YAML to show.

        Raises:
            TimeoutError: it takes too long.
        """
        of, made = self._shown
        if of != self.text:
            of, made = self._shown = await self._work.read()
        return made

    def _make(self) -> tuple[str, str]:
        text = self.text
        with without_collections():
            return text, shown(text)
