"""The page about the configuration is current, and its generator misses nothing."""

from __future__ import annotations

import pytest
from pydantic import Field

from exporter import configuration_reference
from exporter.configuration.fields import Section
from support.answers import ROOT

TEMPLATE = (ROOT / "docs" / "configuration.md.in").read_text(encoding="utf-8")


def test_the_page_is_current() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == configuration_reference.render(TEMPLATE), "run `make docs`"


def test_a_key_without_a_description_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Web(Section):
        messages: bool = True

    monkeypatch.setattr(
        configuration_reference, "SECTIONS", {**configuration_reference.SECTIONS, "web": Web}
    )
    with pytest.raises(ValueError, match=r"^Web\.messages has no description$"):
        configuration_reference.render(TEMPLATE)


@pytest.mark.parametrize("count", [0, 2])
def test_a_section_that_the_template_leaves_out_or_repeats_is_refused(count: int) -> None:
    template = TEMPLATE.replace("{keys of polling}\n", "{keys of polling}\n" * count)
    with pytest.raises(ValueError, match=f"^the template has {count} lines {{keys of polling}}"):
        configuration_reference.render(template)


def test_long_defaults_are_in_minutes_and_empty_ones_in_quotes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Web(Section):
        page: str = Field("", description="Shown.")

    monkeypatch.setattr(
        configuration_reference, "SECTIONS", {**configuration_reference.SECTIONS, "web": Web}
    )
    text = configuration_reference.render(TEMPLATE)
    assert '\n# Shown.\n[ page: <string> | default = "" ]\n' in text
    assert "\n[ keep_for: <duration> | default = 10m ]\n" in text
    assert "\n[ timeout: <duration> | default = 60s ]\n" in text
