"""The real Prometheus scrapes the demo, and promtool finds nothing to say."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.answers import ROOT, samples
from support.http import fetch
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


def test_prometheus_finds_the_instances_of_the_demo_as_the_documents_say(
    demo: ExporterProcess, tmp_path: Path
) -> None:
    documented = (ROOT / "docs/scraping.md").read_text("utf-8")
    (block,) = (
        found
        for found in re.findall(r"```yaml\n(.*?)```", documented, re.DOTALL)
        if "http_sd_configs" in found
    )
    (job,) = yaml.safe_load(block)["scrape_configs"]
    job["http_sd_configs"] = [{"url": f"{demo.url}/sd", "refresh_interval": "1s"}]
    job["scrape_interval"] = "1h"
    with prometheus(tmp_path, [], more={"scrape_configs": [job]}) as server:

        def found() -> dict[str, Any] | None:
            answer = json.loads(fetch(f"{server.url}/api/v1/targets"))["data"]
            return answer if answer["activeTargets"] else None

        answer = eventually(found, seconds=30)
    assert answer is not None
    for target in answer["activeTargets"]:
        assert target["discoveredLabels"]["__meta_azure_vmss_power_state"] == "running"
        assert target["scrapeUrl"].endswith(":9100/metrics")
        assert target["labels"]["scale_set"]
    assert len({str(target["labels"]) for target in answer["activeTargets"]}) > 200
    assert answer["droppedTargets"], "machines that do not run"
