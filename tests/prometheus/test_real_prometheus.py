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
            # The fleet lives, so a page read here is never quite the one that was scraped:
            # Prometheus's own count of that scrape is what its series are compared with.
            page = {name for name, _ in samples(demo.get("/metrics"))}
            found = server.query(
                'count by (__name__) ({job="azure-vmss",__name__=~"azure_vmss_.*"})'
            )
            stored = {sample["metric"]["__name__"] for sample in found}
            missing = {name for name in page if name.startswith("azure_vmss_")} - stored
            lost = server.query(
                'scrape_samples_scraped{job="azure-vmss"}'
                ' != scalar(count({job="azure-vmss",__name__!~"up|scrape_.*"}))'
            )
            return None if missing or lost else True

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
