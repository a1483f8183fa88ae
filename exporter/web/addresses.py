"""The addresses of `--web.listen-address`."""

from __future__ import annotations

from dataclasses import dataclass

MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where to listen: `host` is None for every interface, port 0 is any free port."""

    host: str | None
    port: int

    @classmethod
    def parse(cls, text: str) -> ListenAddress:
        """Read `host:port`, `:port` or `[::1]:port`; raises ValueError saying what was wrong."""
        host, colon, port = text.rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host or not colon:
            raise ValueError(f"expected host:port, :port or [::1]:port, got {text!r}")
        if not (port.isascii() and port.isdigit() and int(port) <= MAX_PORT):
            raise ValueError(f"expected a port from 0 to {MAX_PORT}, got {port!r} in {text!r}")
        return cls(host or None, int(port))


def url_of(host: str, port: int) -> str:
    """The address that a person on this machine can open."""
    if host in {"0.0.0.0", "::", ""}:  # noqa: S104 - compared with, not bound to
        host = "localhost"
    host = host.replace("%", "%25")  # before the interface of a link-local address
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
