"""Clients' connections: how many there may be, how long they may idle, and which is closed first.

A connection that asks for nothing costs a file descriptor, and the exporter needs those for Azure
and for the next scrape. So there is a limit for all and one per address, and at a limit the oldest
connection that is not being answered is closed for the new one.
"""

from __future__ import annotations

import resource
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Protocol

import structlog

from exporter.runtime.rate_limited_log import RateLimitedLog

_log = structlog.get_logger(__name__)

MOST = 1000
"""Connections, however many descriptors there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """What clients' connections may take. Durations are seconds.

    Attributes:
        per_address: connections of one address; of IPv6 one /64 network counts as one.
        head: for the head of a request, from the first byte or from the new connection on.
        idle: between two requests.
        answer: after this an answer may be cut off for a new connection or scrape.
    """

    total: int
    per_address: int
    head: float = 10.0
    idle: float = 75.0
    answer: float = 10.0

    @classmethod
    def of_process(cls) -> ConnectionLimits:
        """Half of the process's file descriptors: the rest is for Azure, files and the system."""
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        unlimited = descriptors == resource.RLIM_INFINITY
        total = MOST if unlimited else max(4, min(MOST, descriptors // 2))
        return cls(total=total, per_address=max(1, total * 3 // 4))


class OpenConnection(Protocol):
    """A connection as its registry sees it.

    Attributes:
        answering: whether a request is being answered.
        since: the loop's time since when it is, or since when the next request is waited for.
    """

    answering: bool
    since: float

    def abort(self) -> None:
        """End it at once."""
        ...


class Connections:
    """All open connections.

    Args:
        limits: what they may take.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._networks: dict[OpenConnection, str] = {}
        self._of_network: dict[str, dict[OpenConnection, None]] = {}
        self._gave_way = RateLimitedLog(_log, "connections closed for newer ones", level="warning")
        self._refused = RateLimitedLog(_log, "connections refused", level="warning")

    def __len__(self) -> int:
        return len(self._networks)

    def admit(self, connection: OpenConnection, address: str, now: float) -> bool:
        """Admit a new connection; at a limit, in place of another. False if none can be closed.

        Args:
            address: the client's address.
            now: the loop's time.
        """
        network = _network(address)
        same = self._of_network.get(network, {})
        if len(same) >= self.limits.per_address:
            room = self._make_room(same, now)
        elif len(self) >= self.limits.total:
            room = self._make_room(self._networks, now)
        else:
            room = True
        if room:
            self._networks[connection] = network
            self._of_network.setdefault(network, {})[connection] = None
        else:
            self._refused(open=len(self), of_address=len(same), hint=_HINT)
        return room

    def remove(self, connection: OpenConnection) -> None:
        """Forget a connection that has ended, if it is known."""
        network = self._networks.pop(connection, None)
        if network is not None:
            same = self._of_network[network]
            del same[connection]
            if not same:
                del self._of_network[network]

    def _make_room(self, candidates: Iterable[OpenConnection], now: float) -> bool:
        waiting = [one for one in candidates if not one.answering]
        if not waiting:
            # None is idle: then the one whose answer takes longest, if it takes too long.
            latest = now - self.limits.answer
            waiting = [one for one in candidates if one.since <= latest]
        if not waiting:
            return False
        oldest = min(waiting, key=lambda one: one.since)
        self._gave_way(open=len(self), hint=_HINT)
        self.remove(oldest)
        oldest.abort()
        return True


_HINT = "see who keeps connections open, or raise the limit of open files"


def _network(address: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return parsed.exploded[:19]
