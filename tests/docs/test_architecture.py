"""The walks through the code are short, and what they name exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from support.answers import ROOT

TEXT = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
WALKS = {
    title: text
    for title, _, text in (part.partition("\n") for part in TEXT.split("\n## ")[1:])
    if re.search(r"^1\. ", text, re.MULTILINE) and title != "One poll"
}
MODULES = {path.relative_to(ROOT / "exporter"): path for path in (ROOT / "exporter").rglob("*.py")}


def names_of(path: Path) -> set[str]:
    """The functions and classes of a module, and the methods as `Class.method`."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = (
                n for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
            )
            found |= {f"{node.name}.{method.name}" for method in methods}
    return found


DEFINED = set().union(*map(names_of, MODULES.values()))


def test_the_five_walks_are_there() -> None:
    assert len(WALKS) == 5


@pytest.mark.parametrize("title", sorted(WALKS))
def test_a_walk_has_ten_steps_at_most(title: str) -> None:
    numbers = [int(number) for number in re.findall(r"^(\d+)\. ", WALKS[title], re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert 1 <= len(numbers) <= 10


@pytest.mark.parametrize("title", sorted(WALKS))
def test_what_a_walk_names_exists(title: str) -> None:
    named = re.findall(r"`(_?[A-Za-z_]+(?:\.[a-z_]+)?)`", WALKS[title])
    code = {name for name in named if re.search(r"[A-Z_]|^build$|^prepare$", name)}
    configured = {"polling.interval", "azure"}
    assert code - configured <= DEFINED


def test_every_file_that_is_named_exists() -> None:
    named = set(re.findall(r"`((?:[a-z_]+/)+[a-z_0-9]+\.py)`", TEXT))
    assert named
    missing = [
        name
        for name in named
        if not (ROOT / name).exists() and not (ROOT / "exporter" / name).exists()
    ]
    assert missing == []


def test_no_word_is_explained_twice() -> None:
    words = re.findall(r"^\| ([a-zA-Z -]+) \|", TEXT.partition("## Folders")[0], re.MULTILINE)
    assert len(words) == len(set(words)) > 20
