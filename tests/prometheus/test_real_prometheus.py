"""The real Prometheus scrapes the demo, and promtool finds nothing to say."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.answers import samples
from support.process import ExporterProcess, running
from support.prometheus import Target, prometheus, tool
from support.waiting import eventually

pytestmark = [pytest.mark.process, pytest.mark.prometheus, pytest.mark.xdist_group("scraped-demo")]


@pytest.fixture(scope="module")
def demo() -> Iterator[ExporterProcess]:
    with running("--demo") as exporter:
        eventually(lambda: "is ready" in exporter.get("/-/ready") or None, seconds=10)
        yield exporter


def test_prometheus_scrapes_the_demo_without_a_warning(
    demo: ExporterProcess, tmp_path: Path
) -> None:
    with prometheus(tmp_path, [Target("azure-vmss", demo.url)]) as server:
        eventually(lambda: server.query('up{job="azure-vmss"} == 1') or None, seconds=30)

        def all_series_arrived() -> bool | None:
            # The fleet lives, so page and database agree only while nothing changes.
            page = samples(demo.get("/metrics"))
            found = server.query('count({job="azure-vmss",__name__=~"azure_vmss_.*"})')
            count = sum(1 for name, _ in page if name.startswith("azure_vmss_"))
            return True if found and int(found[0]["value"][1]) == count else None

        assert eventually(all_series_arrived, seconds=30)
        text = server.log.read_text()
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
