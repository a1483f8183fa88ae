"""The one client of all servers: reads bytes and the time, and looks at nothing."""

from __future__ import annotations

import http.client
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

BUFFER = 1024 * 1024
SECONDS = 900.0


@dataclass(frozen=True)
class Scrape:
    """One answer, as it went over the wire.

    Attributes:
        first_byte: seconds from before connecting to the first byte of the body.
        seconds: the same to the last byte.
        length: bytes of the body, with the framing of chunks where there is any.
        encoded: whether it came as gzip.
    """

    first_byte: float
    seconds: float
    length: int
    encoded: bool


class Client:
    """Scrapes with a connection of its own each time, as a plain reader of a socket."""

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(BUFFER))

    def scrape(self, url: str, *, gzip: bool, keep: bytearray | None = None) -> Scrape:
        """Get a page and throw it away.

        Args:
            gzip: whether to ask for it compressed.
            keep: gets the body where it is wanted, compressed as it came.

        Raises:
            RuntimeError: for another status than 200, an encoding that was not asked for, or a
                body that ends early.
            OSError: for a connection that breaks.
        """
        address = urlsplit(url)
        path = (address.path or "/") + (f"?{address.query}" if address.query else "")
        request = _request(address.netloc, path, gzip=gzip)
        begun = time.perf_counter()
        with socket.create_connection((address.hostname, address.port or 80), SECONDS) as server:
            server.sendall(request)
            head, start = self._head(server)
            if not start:
                start = bytes(self._buffer[: server.recv_into(self._buffer)])
            first_byte = time.perf_counter() - begun
            length, end, wanted = len(start), start[-5:], _content_length(head)
            kept = [start]
            while length != wanted and (count := server.recv_into(self._buffer)):
                length += count
                end = (end + bytes(self._buffer[max(0, count - 5) : count]))[-5:]
                if keep is not None:
                    kept.append(bytes(self._buffer[:count]))
            seconds = time.perf_counter() - begun
        _check(head, url, gzip=gzip)
        whole = end == b"0\r\n\r\n" if _is_chunked(head) else wanted in (None, length)
        if not whole:
            raise RuntimeError(f"{url}: the body ended after {length} bytes")
        if keep is not None:
            body = b"".join(kept)
            keep += _without_framing(body) if _is_chunked(head) else body
        return Scrape(first_byte, seconds, length, encoded=gzip)

    def _head(self, server: socket.socket) -> tuple[bytes, bytes]:
        received = b""
        while b"\r\n\r\n" not in received:
            count = server.recv_into(self._buffer)
            if not count:
                raise RuntimeError("the connection ended inside the head")
            received += self._buffer[:count]
        head, _, rest = received.partition(b"\r\n\r\n")
        return head, rest


@contextmanager
def opened(url: str, *, gzip: bool = False) -> Iterator[http.client.HTTPResponse]:
    """A page to be read, its chunks' framing taken off, but not its gzip.

    Raises:
        RuntimeError: for another status than 200.
    """
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.netloc, timeout=SECONDS)
    path = address.path + (f"?{address.query}" if address.query else "")
    try:
        connection.request("GET", path, headers={"Accept-Encoding": "gzip" if gzip else "identity"})
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise RuntimeError(f"{url}: status {response.status}")
        yield response
    finally:
        connection.close()


def _request(host: str, path: str, *, gzip: bool) -> bytes:
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Accept: text/plain;version=0.0.4",
        f"Accept-Encoding: {'gzip' if gzip else 'identity'}",
        "Connection: close",
    ]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


def _check(head: bytes, url: str, *, gzip: bool) -> None:
    status = head.split(b" ", 2)[1]
    if status != b"200":
        raise RuntimeError(f"{url}: status {status.decode()}")
    encoded = re.search(rb"(?im)^content-encoding:\s*gzip\s*$", head) is not None
    if encoded != gzip:
        raise RuntimeError(f"{url}: asked for gzip={gzip}, got gzip={encoded}")


def _content_length(head: bytes) -> int | None:
    found = re.search(rb"(?im)^content-length:\s*(\d+)\s*$", head)
    return int(found[1]) if found else None


def _is_chunked(head: bytes) -> bool:
    return re.search(rb"(?im)^transfer-encoding:\s*chunked\s*$", head) is not None


def _without_framing(body: bytes) -> bytes:
    """The content of a body that came in chunks."""
    parts: list[bytes] = []
    place = 0
    while True:
        start = body.index(b"\r\n", place) + 2
        size = int(body[place : start - 2].partition(b";")[0], 16)
        if not size:
            return b"".join(parts)
        parts.append(body[start : start + size])
        place = start + size + 2
