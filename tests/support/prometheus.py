"""The real Prometheus as a process, with what it scrapes."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

import pytest

from support.http import fetch

Sample = dict[str, Any]


def tool(name: str) -> str:
    """The path of a program; without it the test is skipped, which CI takes for a failure."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@dataclass(frozen=True)
class Target:
    """What is scraped: the job, and the addresses of its replicas."""

    job: str
    url: str
    replicas: tuple[str, ...] = ()
    path: str = "/metrics"

    def configuration(self) -> dict[str, Any]:
        addresses = [urlsplit(url).netloc for url in (self.url, *self.replicas)]
        return {
            "job_name": self.job,
            "metrics_path": self.path,
            "static_configs": [{"targets": addresses}],
        }


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    url: str
    log: Path

    def query(self, expression: str, time: float | None = None) -> list[Sample]:
        """The value of now, or of a time."""
        at = {} if time is None else {"time": time}
        return self._ask("query", query=expression, **at)

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Sample]:
        return self._ask("query_range", query=expression, start=start, end=end, step=step)

    def reload(self) -> None:
        """Read its files again. It must have been started with `--web.enable-lifecycle`."""
        with urlopen(Request(f"{self.url}/-/reload", method="POST"), timeout=10):
            pass

    def _ask(self, what: str, **parameters: object) -> list[Sample]:
        answer = json.loads(fetch(f"{self.url}/api/v1/{what}?{urlencode(parameters)}"))
        assert answer["status"] == "success", (answer, parameters)
        found: list[Sample] = answer["data"]["result"]
        return found


@contextmanager
def prometheus(
    folder: Path,
    targets: Iterable[Target],
    *flags: str,
    interval: int = 1,
    more: Mapping[str, Any] | None = None,
) -> Iterator[Prometheus]:
    """Prometheus that scrapes every few seconds, its data in the folder.

    Args:
        folder: for its configuration, data and log.
        targets: what it scrapes.
        flags: beyond the usual ones.
        interval: seconds between two scrapes, and two evaluations of rules.
        more: further sections of its configuration, as `rule_files`.
    """
    configuration = {
        "global": {
            "scrape_interval": f"{interval}s",
            "scrape_timeout": "1s",
            "evaluation_interval": f"{interval}s",
        },
        "scrape_configs": [target.configuration() for target in targets],
        **(more or {}),
    }
    (folder / "prometheus.yml").write_text(json.dumps(configuration))
    address = f"127.0.0.1:{free_port()}"
    command = (
        tool("prometheus"),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={address}",
        *flags,
    )
    with logging_to(folder / "prometheus.log", command) as log:
        yield Prometheus(f"http://{address}", log)


@contextmanager
def logging_to(log: Path, command: Sequence[str]) -> Iterator[Path]:
    """A server that writes to a log, which is the value; it ends with the context."""
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield log
    finally:
        process.terminate()
        process.wait(timeout=20)
