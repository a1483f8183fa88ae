"""The page about the metrics is current."""

from __future__ import annotations

from exporter import metrics_reference
from support.answers import ROOT


def test_the_page_is_current() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert page == metrics_reference.render(), "run `make docs`"
