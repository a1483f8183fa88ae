"""The sockets of a listen address: one port, whatever families the address has."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

from exporter.web.addresses import ListenAddress

BACKLOG = 128
"""Connections that wait to be taken."""

_TRIES = 20
"""A free port of one family may be taken in the other."""

_ABSENT = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT}
"""The errors for an address family that the system does not have."""

_Place = tuple[socket.AddressFamily, tuple[Any, ...]]


async def listening_sockets(address: ListenAddress) -> list[socket.socket]:
    """Sockets that listen on the address. Where its port is 0 all of them have the same free one.

    No host, and `::`, are every interface in both families, as in Prometheus's own exporters.

    Raises:
        OSError: the address cannot be had.
        UnicodeError: the host is not a name.
    """
    if address.host in (None, "::"):
        return [_everywhere(address.port)]
    found = await asyncio.get_running_loop().getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    places: list[_Place] = list(dict.fromkeys((family, where) for family, *_, where in found))
    for _ in range(_TRIES - 1):
        try:
            return _at_one_port(places, address.port)
        except OSError as error:
            if address.port or error.errno != errno.EADDRINUSE:
                raise
    return _at_one_port(places, address.port)


def _everywhere(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(
                ("::", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
            )
        except OSError as error:
            if error.errno not in _ABSENT:
                raise
    return socket.create_server(("0.0.0.0", port), backlog=BACKLOG)  # noqa: S104 - asked for


def _at_one_port(places: list[_Place], port: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for family, (host, _, *rest) in places:
            try:
                made = socket.create_server((host, port, *rest), family=family, backlog=BACKLOG)
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                absent = error
            else:
                sockets.append(made)
                port = made.getsockname()[1]
    except OSError:
        for made in sockets:
            made.close()
        raise
    if absent is not None and not sockets:
        raise absent
    return sockets
