"""The real Prometheus scrapes the demo, and promtool finds nothing to say."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from support.answers import samples
from support.http import fetch
from support.process import ExporterProcess, running
from support.waiting import eventually

pytestmark = [pytest.mark.process, pytest.mark.prometheus]

CONFIGURATION = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: azure-vmss
    static_configs: [{{targets: ["{target}"]}}]
"""


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


Query = Callable[[str], list[dict[str, Any]]]


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[tuple[Query, Path]]:
    """Prometheus with one target; the value is a way to query it, and its log."""
    (folder / "prometheus.yml").write_text(CONFIGURATION.format(target=target))
    address = f"127.0.0.1:{free_port()}"
    log = folder / "prometheus.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                tool("prometheus"),
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address={address}",
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def query(expression: str) -> list[dict[str, Any]]:
        url = f"http://{address}/api/v1/query?query={quote(expression)}"
        found: list[dict[str, Any]] = json.loads(fetch(url))["data"]["result"]
        return found

    try:
        yield query, log
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="module")
def demo() -> Iterator[ExporterProcess]:
    with running("--demo") as exporter:
        eventually(lambda: "is ready" in exporter.get("/-/ready") or None, seconds=10)
        yield exporter


def test_prometheus_scrapes_the_demo_without_a_warning(
    demo: ExporterProcess, tmp_path: Path
) -> None:
    with prometheus(tmp_path, demo.url.removeprefix("http://")) as (query, log):
        eventually(lambda: query('up{job="azure-vmss"} == 1') or None, seconds=30)

        def all_series_arrived() -> bool | None:
            # The fleet lives, so page and database agree only while nothing changes.
            page = samples(demo.get("/metrics"))
            found = query('count({job="azure-vmss",__name__=~"azure_vmss_.*"})')
            count = sum(1 for name, _ in page if name.startswith("azure_vmss_"))
            return True if found and int(found[0]["value"][1]) == count else None

        assert eventually(all_series_arrived, seconds=30)
        text = log.read_text()
    assert "level=warn" not in "".join(line for line in text.splitlines() if "scrape" in line)
    assert "level=error" not in text


@pytest.mark.parametrize("path", ["/metrics", "/metrics?name[]=azure_vmss_up"])
def test_promtool_finds_nothing(demo: ExporterProcess, path: str) -> None:
    checked = subprocess.run(
        [tool("promtool"), "check", "metrics"],
        input=demo.get(path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
