"""The generated pages are current."""

from exporter import reference
from support.answers import ROOT


def test_the_metric_reference_is_current() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert page == reference.render(), "run `make docs`"
