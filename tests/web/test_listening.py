"""Listening: in both families where none is named, and at one port."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from exporter.web.addresses import ListenAddress, url_of
from exporter.web.listening import listening_sockets

IPV4, IPV6 = ("127.0.0.1", "::1")
LOCALHOST = [
    (socket.AF_INET, socket.SOCK_STREAM, 6, "", (IPV4, 0)),
    (socket.AF_INET, socket.SOCK_STREAM, 6, "", (IPV4, 0)),
    (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (IPV6, 0, 0, 0)),
]


@pytest.fixture
def kept() -> Iterator[ExitStack]:
    """Closes what it is given."""
    with ExitStack() as stack:
        yield stack


async def listen(text: str, kept: ExitStack) -> list[socket.socket]:
    made = await listening_sockets(ListenAddress.parse(text))
    for one in made:
        kept.enter_context(one)
    return made


def answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize("text", [":0", "[::]:0"])
async def test_every_interface_is_both_families_at_one_port(text: str, kept: ExitStack) -> None:
    (made,) = await listen(text, kept)
    host, port = made.getsockname()[:2]
    assert answers(IPV4, port)
    assert answers(IPV6, port)
    assert url_of(host, port) == f"http://localhost:{port}"


@pytest.mark.parametrize(
    ("text", "yes", "no"), [("127.0.0.1:0", IPV4, IPV6), ("[::1]:0", IPV6, IPV4)]
)
async def test_an_address_is_its_own_family_only(
    text: str, yes: str, no: str, kept: ExitStack
) -> None:
    (made,) = await listen(text, kept)
    port = made.getsockname()[1]
    assert answers(yes, port)
    assert not answers(no, port)


def resolve_to(monkeypatch: pytest.MonkeyPatch, found: Sequence[object]) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


async def test_a_name_of_both_families_has_one_free_port(
    monkeypatch: pytest.MonkeyPatch, kept: ExitStack
) -> None:
    resolve_to(monkeypatch, [*LOCALHOST])
    made = await listen("localhost:0", kept)
    assert [one.family for one in made] == [socket.AF_INET, socket.AF_INET6]
    assert len({one.getsockname()[1] for one in made}) == 1


async def test_another_free_port_is_tried_where_one_family_has_it_no_more(
    monkeypatch: pytest.MonkeyPatch, kept: ExitStack
) -> None:
    resolve_to(monkeypatch, [*LOCALHOST])
    create = socket.create_server
    made: list[socket.socket | None] = []

    def taken_twice(address: tuple[str, int], **more: Any) -> socket.socket:
        if len(made) in (1, 3) and address[0] == IPV6:
            made.append(None)
            raise OSError(errno.EADDRINUSE, "taken")
        made.append(one := create(address, **more))
        return one

    monkeypatch.setattr(socket, "create_server", taken_twice)
    assert len(await listen("localhost:0", kept)) == 2
    given_up = [one for one in made[:4] if one is not None]
    assert [one.fileno() for one in given_up] == [-1, -1]
    # A port that was asked for is not exchanged for another.
    made.clear()
    port = kept.enter_context(create((IPV4, 0))).getsockname()[1]
    with pytest.raises(OSError, match="in use"):
        await listen(f"localhost:{port}", kept)


async def test_a_machine_without_ipv6_listens_on_ipv4(
    monkeypatch: pytest.MonkeyPatch, kept: ExitStack
) -> None:
    create = socket.create_server

    def no_ipv6(address: tuple[str, int], **more: Any) -> socket.socket:
        if more.get("family") == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "no such address")
        return create(address, **more)

    monkeypatch.setattr(socket, "create_server", no_ipv6)
    (made,) = await listen(":0", kept)
    assert answers(IPV4, made.getsockname()[1])
    resolve_to(monkeypatch, [*LOCALHOST])
    (made,) = await listen("localhost:0", kept)
    assert made.family == socket.AF_INET
    resolve_to(monkeypatch, LOCALHOST[2:])
    with pytest.raises(OSError, match="no such address"):
        await listen("localhost:0", kept)
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    (made,) = await listen("[::]:0", kept)
    assert made.family == socket.AF_INET


async def test_a_port_in_use_is_an_error_in_every_form(kept: ExitStack) -> None:
    (made,) = await listen(":0", kept)
    port = made.getsockname()[1]
    for text in (f":{port}", f"[::]:{port}", f"127.0.0.1:{port}", f"0.0.0.0:{port}"):
        with pytest.raises(OSError, match="in use") as error:
            await listen(text, kept)
        assert error.value.errno == errno.EADDRINUSE
