"""The scrape configurations in the documents are good for the real Prometheus."""

from __future__ import annotations

import json
import re
import subprocess
import textwrap
from pathlib import Path

import pytest
import yaml

from support.answers import ROOT
from support.prometheus import tool

PAGES = ("README.md", "docs/scraping.md")
BLOCKS = [
    (page, block)
    for page in PAGES
    for found in re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    if (block := textwrap.dedent(found)).startswith("scrape_configs:")
]


def test_both_pages_have_a_scrape_configuration() -> None:
    assert {page for page, _ in BLOCKS} == set(PAGES)


@pytest.mark.prometheus
@pytest.mark.parametrize(("page", "block"), BLOCKS)
def test_promtool_accepts_it(tmp_path: Path, page: str, block: str) -> None:
    path = tmp_path / "prometheus.yml"
    configuration = yaml.safe_load(block)
    for job in configuration["scrape_configs"]:
        job.pop("kubernetes_sd_configs", None)  # Debian builds Prometheus without it
    path.write_text(json.dumps(configuration))
    checked = subprocess.run(
        [tool("promtool"), "check", "config", path], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, f"{page}: {checked.stdout}{checked.stderr}"
