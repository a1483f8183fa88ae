"""What the pages say is so: links lead somewhere, examples load."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from exporter.configuration import load
from exporter.flags import parser
from exporter.metrics.catalogue import CATALOGUE, RESERVED_LABELS
from exporter.telemetry import OWN_METRICS, PREFIX
from support.answers import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@by_page
def test_every_link_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


@by_page
def test_every_metric_named_exists(page: Path) -> None:
    known = {family.name for family in CATALOGUE} | {PREFIX + m.name for m in OWN_METRICS}
    named = set(re.findall(r"\bazure_vmss_[a-z_]*[a-z]\b(?![*_{]?\*)", page.read_text("utf-8")))
    assert named - known - {"azure_vmss_exporter"} == set()


def test_the_configuration_of_the_readme_loads() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = [
        textwrap.dedent(block) for block in re.findall(r" *```yaml\n(.*?)```", text, re.DOTALL)
    ]
    (block,) = (block for block in blocks if block.startswith("azure:"))
    loaded = load(block, environment={}, reserved_labels=RESERVED_LABELS)
    assert len(loaded.discovery) == 1


def test_the_flags_of_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    flags = set(re.findall(r"azure-vmss-exporter (--[a-z.-]+)", text))
    assert flags
    assert flags <= set(parser()._option_string_actions)
