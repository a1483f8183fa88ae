"""`make mutants`: which changes it makes, and that it tells noticed ones from others."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from mutants.operators import mutants_of
from support.answers import ROOT

PROGRAM = '''\
"""A program."""
from operator import attrgetter

LIMIT = 3
PARTS = attrgetter("left", "right")


class Gate:
    @property
    def wide(self) -> bool:
        return self.width > LIMIT and not self.shut


def double(count: int = 1) -> int:
    """Twice as many."""
    for each in (1, 2):
        if each == count:
            continue
    store(count, name="double")
    return count * 2
'''


def changes(source: str) -> set[tuple[str, str]]:
    return {(found.before, found.after) for found in mutants_of("program.py", source)}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("LIMIT = 3", "LIMIT = 2"),
        ('PARTS = attrgetter("left", "right")', "PARTS = attrgetter('right')"),
        (
            "return self.width > LIMIT and not self.shut",
            "return (self.width >= LIMIT) and not self.shut",
        ),
        ("return self.width > LIMIT and not self.shut", "return self.width > LIMIT and self.shut"),
        ("return self.width > LIMIT and not self.shut", "return (self.width > LIMIT)"),
        ("def double(count: int = 1) -> int:", "def double(count: int = 2) -> int:"),
        ("if each == count:", "if True:"),
        ("if each == count:", "if (each != count):"),
        ("continue", "break"),
        ('store(count, name="double")', "pass"),
        ('store(count, name="double")', 'store(None, name="double")'),
        ("return count * 2", "return None"),
        ("return count * 2", "return (count / 2)"),
    ],
)
def test_small_changes_of_every_kind_are_made(before: str, after: str) -> None:
    assert (before, after) in changes(PROGRAM)


def test_every_change_is_a_program_and_no_docstring_or_annotation_changes() -> None:
    every = mutants_of("program.py", PROGRAM)
    for found in every:
        changed = ast.parse(found.source)
        assert ast.get_docstring(changed) == "A program."
        assert "-> bool" in found.source
    assert len({found.source for found in every}) == len(every)


def test_a_change_knows_the_lines_of_the_statement_whose_tests_it_needs() -> None:
    source = (
        "def read(text):\n    try:\n        found = int(\n            text)\n"
        "    except (TypeError, ValueError):\n        return 0\n    match found:\n"
        "        case 1:\n            return 2\n    return found\n"
    )
    lines = {(found.line, found.place.lines) for found in mutants_of("program.py", source)}
    assert lines == {
        (4, (3, 4)),
        (5, (5, 5)),
        (6, (6, 6)),
        (8, (8, 8)),
        (9, (9, 9)),
        (10, (10, 10)),
    }


def test_a_change_knows_its_line_and_its_outermost_function() -> None:
    (found,) = (each for each in mutants_of("program.py", PROGRAM) if each.after == "break")
    assert found.line == PROGRAM.splitlines().index("            continue") + 1
    assert (found.place.name, found.place.function) == ("double", ("double", 14))
    limit = next(each for each in mutants_of("program.py", PROGRAM) if each.after == "LIMIT = 4")
    assert limit.place.function is None


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one module, of whose two functions and two constants one each is tested."""
    for folder in ("exporter/metrics", "tests/metrics"):
        (tmp_path / folder).mkdir(parents=True)
    for package in ("exporter", "exporter/metrics"):
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "equivalent.toml").touch()
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope=function\n")
    (tmp_path / "exporter/metrics/sums.py").write_text(
        "SEEN = 2\nUNSEEN = 3\n\n\ndef seen() -> int:\n    return SEEN + 1\n\n\n"
        "def unseen() -> int:\n    return UNSEEN + 1\n"
    )
    (tmp_path / "tests/metrics/test_sums.py").write_text(
        "from exporter.metrics.sums import seen, unseen\n\n\n"
        "def test_it():\n    assert seen() == 3\n    unseen()\n"
    )
    return tmp_path


def make_mutants(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    known = ["--equivalent", str(project / "equivalent.toml")]
    return subprocess.run(
        [sys.executable, "-m", "mutants", "--workers", "1", *known, *arguments],
        cwd=project,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(project), str(ROOT)))},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_what_no_test_notices_is_listed_with_its_place_and_the_files_stay(project: Path) -> None:
    before = {path: path.read_bytes() for path in project.glob("*/*/*.py")}
    made = make_mutants(project)
    assert made.returncode == 1, made.stderr
    assert "exporter/metrics/sums.py:10 in unseen, 1 tests\n- return UNSEEN + 1\n" in made.stdout
    assert "+ UNSEEN = 4" in made.stdout
    assert "in seen" not in made.stdout
    assert "- SEEN = 2" not in made.stdout
    assert "| metrics/sums.py | 6 | 6 | 0 |" in made.stdout
    assert {path: path.read_bytes() for path in project.glob("*/*/*.py")} == before


def test_an_entry_without_a_change_of_its_own_is_an_error(project: Path) -> None:
    known = project / "equivalent.toml"
    entry = (
        '[[equivalent]]\nfile = "exporter/metrics/sums.py"\nwhere = "unseen"\n'
        'before = "return UNSEEN + 1"\nafter = "{}"\nreason = "nobody reads it"\n'
    )
    known.write_text(entry.format("return None"))
    made = make_mutants(project, "--at-least", "50")
    assert made.returncode == 0, made.stderr
    assert "| metrics/sums.py | 6 | 5 | 1 |" in made.stdout
    known.write_text(entry.format("return UNSEEN + 9"))
    made = make_mutants(project)
    assert made.returncode == 2, made.stderr
    assert "return UNSEEN + 9" in made.stdout


def functions(node: ast.AST, above: str = "") -> Iterator[str]:
    """The classes and functions below a node, such as `Class.method`."""
    for child in ast.iter_child_nodes(node):
        name = above
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{above}.{child.name}".removeprefix(".")
            yield name
        yield from functions(child, name)


def test_every_listed_change_is_of_a_line_that_exists() -> None:
    """So that a rename that forgets the list is noticed at once, and not by `make mutants`."""
    with (ROOT / "mutants/equivalent.toml").open("rb") as file:
        listed = tomllib.load(file)["equivalent"]
    assert listed
    for entry in listed:
        text = (ROOT / entry["file"]).read_text(encoding="utf-8")
        assert entry["before"].strip() in text, f"{entry['file']}: {entry['before']}"
        assert entry["where"] in {"<module>", *functions(ast.parse(text))}, entry
