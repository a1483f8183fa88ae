"""The real Alertmanager as a process, and the receivers that it notifies."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from support.http import fetch
from support.prometheus import free_port, logging_to, tool

Labels = dict[str, str]


@dataclass(frozen=True)
class Told:
    """One alert in a notification.

    Attributes:
        receiver: whom it was sent to.
        status: firing or resolved.
        labels, annotations: the alert's.
        since: when it began, as Alertmanager writes it.
    """

    receiver: str
    status: str
    labels: Labels
    annotations: Labels
    since: str

    @property
    def alert(self) -> str:
        return self.labels["alertname"]


class Receivers:
    """What all receivers were told, in its order. Safe to read while notifications come."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: list[Told] = []

    def add(self, receiver: str, notification: dict[str, Any]) -> None:
        """Keep what a notification tells."""
        alerts = [
            Told(
                receiver=receiver,
                status=alert["status"],
                labels=alert["labels"],
                annotations=alert["annotations"],
                since=alert["startsAt"],
            )
            for alert in notification["alerts"]
        ]
        with self._lock:
            self._told.extend(alerts)

    @property
    def told(self) -> list[Told]:
        with self._lock:
            return list(self._told)


@contextmanager
def receivers() -> Iterator[tuple[str, Receivers]]:
    """A server whose paths are receivers; the value is its address, and what it was told."""
    kept = Receivers()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.add(self.path.strip("/"), json.loads(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, name="receivers")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", kept
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()


@dataclass(frozen=True)
class Alertmanager:
    """A running Alertmanager."""

    url: str
    log: Path

    def alerts(self) -> list[dict[str, Any]]:
        """Every alert that it holds now, muted ones too."""
        found: list[dict[str, Any]] = json.loads(fetch(f"{self.url}/api/v2/alerts"))
        return found

    def is_ready(self) -> bool:
        return fetch(f"{self.url}/-/ready").startswith("OK")


@contextmanager
def alertmanager(folder: Path, configuration: dict[str, Any]) -> Iterator[Alertmanager]:
    """Start it with a configuration; it ends with the context."""
    (folder / "alertmanager.yml").write_text(json.dumps(configuration))
    address = f"127.0.0.1:{free_port()}"
    command = (
        tool("prometheus-alertmanager"),
        f"--config.file={folder}/alertmanager.yml",
        f"--storage.path={folder}/alertmanager",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    )
    with logging_to(folder / "alertmanager.log", command) as log:
        yield Alertmanager(f"http://{address}", log)
