"""How label values, numbers and sample lines are written."""

from __future__ import annotations

import math

import pytest

from exporter.exposition.text_format import SampleWriter, escape, header, label_pairs, number

SPECIAL = {'"': r"\"", "\\": "\\\\", "\n": r"\n"}


@pytest.mark.parametrize("character", SPECIAL)
def test_each_special_character_is_escaped_also_where_it_is_the_only_one(character: str) -> None:
    value, written = f"a{character}b", f"a{SPECIAL[character]}b"
    assert escape(value) == written
    assert label_pairs(["name"], [value]) == f'name="{written}"'
    writer = SampleWriter("a_metric", ["name", "other"])
    line = f'a_metric{{id="1",name="{written}",other="x"}} 1\n'
    assert writer.write([('id="1"', [((value, "x"), 1)])]) == line
    assert 'id="1"'.join(writer.chunks([((value, "x"), 1)])) == line


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_has_no_line_and_the_others_have_theirs(value: float) -> None:
    writer = SampleWriter("a_metric", ["name"])
    rows: list[tuple[tuple[str, ...], float | str]] = [
        (("a",), value),
        (("b",), 2.5),
        (("c",), "3"),
    ]
    lines = 'a_metric{id="1",name="b"} 2.5\na_metric{id="1",name="c"} 3\n'
    assert writer.write([('id="1"', rows)]) == lines
    assert 'id="1"'.join(writer.chunks(rows)) == lines
    assert writer.write([('id="1"', rows[:1])]) == ""
    assert 'id="1"'.join(writer.chunks(rows[:1])) in {"", "a_metric{"}


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (0, "0"), (-2.0, "-2"), (0.5, "0.5"), (1e15, "1000000000000000")],
)
def test_whole_numbers_have_no_point(value: float, text: str) -> None:
    assert number(value) == text


def test_openmetrics_names_a_counters_family_without_its_ending() -> None:
    plain = "# HELP a_total Help.\n# TYPE a_total counter\n"
    assert header("a_total", "counter", "Help.") == plain
    assert header("a_total", "counter", "Help.", openmetrics=True) == plain.replace("a_total", "a")
    gauge = "# HELP a_total Help.\n# TYPE a_total gauge\n"
    assert header("a_total", "gauge", "Help.", openmetrics=True) == gauge
