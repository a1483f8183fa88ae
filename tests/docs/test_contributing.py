"""The lists of files that a change touches are true."""

from __future__ import annotations

import re

import pytest

from support.answers import ROOT

TEXT = (ROOT / "docs/contributing.md").read_text(encoding="utf-8")
CHANGES = TEXT.partition("## What a change touches")[2].partition("\n## ")[0]
COUNTS = {
    change.casefold(): int(files)
    for change, files in re.findall(r"^\| ([^|]+?) \| (\d+) \|", CHANGES, re.MULTILINE)
}
LISTS = {
    title.casefold(): text
    for title, _, text in (part.partition("\n") for part in CHANGES.split("\n### ")[1:])
}
AT_MOST = {
    "a metric from a field that is read already": 4,
    "a metric from a new field": 6,
    "a configuration key": 6,
    "an azure call with its own limit": 4,
    "frames from a walk to the wire": 5,
}


def named(title: str) -> list[str]:
    """The files and folders of a list, or its functions."""
    text = LISTS[title]
    if "frames" in title:
        return re.findall(r"`([A-Za-z]+\.[a-z_]+)`", text)
    entries = re.findall(r"^- ((?:`[^`]+`(?:, )?)+)", text, re.MULTILINE)
    return [name for entry in entries for name in re.findall(r"`([^`]+)`", entry)]


def test_every_change_of_the_table_has_its_list() -> None:
    assert set(COUNTS) == set(LISTS) == set(AT_MOST)


@pytest.mark.parametrize("title", AT_MOST)
def test_a_list_has_as_many_files_as_the_table_says_and_each_exists(title: str) -> None:
    found = named(title)
    assert len(found) == len(set(found)) == COUNTS[title] <= AT_MOST[title]
    if "frames" not in title:
        assert [name for name in found if not (ROOT / name).exists()] == []
