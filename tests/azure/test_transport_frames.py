"""The frames from a walk to the wire are those that docs/contributing.md names."""

from __future__ import annotations

import re
import traceback

import pytest
from aiohttp import ClientSession

from exporter.azure.endpoints import Endpoints
from support.answers import ROOT
from support.azure_room import NewClient, walk


class _Seen(BaseException):
    """Raised in place of a request."""


async def test_a_walk_reaches_the_wire_by_the_frames_that_are_named(
    new_client: NewClient, session: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames: list[str] = []

    def get(*_: object, **__: object) -> None:
        frames.extend(
            frame.name
            for frame in traceback.extract_stack()
            if "/exporter/azure/" in frame.filename
        )
        raise _Seen

    text = (ROOT / "docs/contributing.md").read_text(encoding="utf-8")
    section = text.partition("### Frames from a walk to the wire\n")[2].partition("\n## ")[0]
    monkeypatch.setattr(session, "get", get)
    with pytest.raises(_Seen):
        await walk(new_client(Endpoints(resource_manager="https://x.example", scope="s")))
    assert frames == re.findall(r"`[A-Za-z]+\.([a-z_]+)`", section)
