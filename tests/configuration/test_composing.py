"""Small files that could cost much: each costs what it says once, or is refused before it costs."""

from __future__ import annotations

import difflib
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from yaml.constructor import SafeConstructor

from exporter.configuration import ConfigurationError, composing, document, load

SET = "scale_sets: [{subscription_id: 00000000-0000-0000-0000-000000000000, resource_group: rg, name: web}]\n"


def problems_of(text: str, **environment: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as raised:
        load(text, environment=environment)
    return raised.value.problems


def never(*_: object, **__: object) -> Any:
    raise AssertionError("not to be called")


def counted(monkeypatch: pytest.MonkeyPatch, holder: Any, name: str) -> list[Any]:
    """The calls of a function, as they come."""
    calls: list[Any] = []
    real = getattr(holder, name)

    def call(*arguments: Any, **more: Any) -> Any:
        calls.append(arguments)
        return real(*arguments, **more)

    monkeypatch.setattr(holder, name, call)
    return calls


def test_a_billion_laughs_are_refused_before_any_value_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(document, "_Walk", never)
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert problems_of("\n".join(lines)) == (
        "more than 500000 values; are aliases nested in aliases?",
    )


def test_as_many_values_as_may_be_are_read_and_one_more_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(composing, "MOST_VALUES", 6)
    # The list, what stands behind the anchor, and the same once more.
    assert composing.compose("[&a [x], *a, y]") is not None
    with pytest.raises(ConfigurationError, match="more than 6 values"):
        composing.compose("[&a [x], *a, y, z]")


def test_tags_beyond_the_limit_are_not_compared() -> None:
    tags = ", ".join(f"t{number}" for number in range(1000))
    assert problems_of(f"{SET}metrics: {{tags: [{tags}, t1]}}\n") == (
        "metrics.tags: has more than 1000 entries",
    )


def test_a_variable_behind_many_aliases_is_put_in_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted(monkeypatch, document, "substitute")
    text = f"{SET}metrics:\n  deny: [&a '{'x' * 60_000}${{HOME}}'{', *a' * 40_000}]\n"
    assert problems_of(text, HOME="/root") == ("metrics.deny: has more than 1000 entries",)
    assert sum("${HOME}" in call[0] for call in calls) == 1


def test_a_variable_that_is_not_set_is_reported_at_each_alias() -> None:
    assert problems_of(f"{SET}metrics: {{deny: [&a '${{NONE}}', *a]}}\n") == (
        "metrics.deny[0]: environment variable NONE is not set",
        "metrics.deny[1]: environment variable NONE is not set",
    )


def test_a_long_value_named_many_times_is_not_put_together() -> None:
    text = f"{SET}polling: {{state_dir: '{'${LONG}' * 9_000}'}}\n"
    assert problems_of(text, LONG="x" * 100_000) == (
        "polling.state_dir: longer than 65536 characters",
    )


def test_strings_have_a_longest_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "LONGEST_TEXT", 50)
    text = f"{SET}polling: {{state_dir: '{'{}'}'}}\n"
    for longest in ("1" * 50, "12${A}", "${A}${B}21"):
        read = load(text.replace("{}", longest), environment={"A": "3" * 48, "B": ""})
        assert len(read.polling.state_dir) == 50
    for long in ("1" * 51, "123${A}", "${A}${NONE}"):
        assert problems_of(text.replace("{}", long), A="3" * 48) == (
            "polling.state_dir: longer than 50 characters",
        )


@pytest.mark.parametrize("number", ["1" * 101, "1" + ":1" * 60, "0x" + "f" * 100, "1_" * 51])
def test_a_long_number_is_not_read(number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SafeConstructor, "construct_object", never)
    assert problems_of(f"{SET}polling: {{concurrency: {number}}}\n") == (
        "polling.concurrency: not a value of its YAML type",
    )


def test_of_many_mistakes_the_first_are_reported_and_the_rest_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared = counted(monkeypatch, difflib, "get_close_matches")
    keys = "".join(f"key_{number}: 1\n" for number in range(20_000))
    problems = problems_of(SET + keys)
    assert len(problems) == 101
    assert problems[:2] == ("key_0: unknown key", "key_1: unknown key")
    assert problems[-1] == "and 19900 more problems"
    assert len(compared) == 100
    assert len(problems_of(SET + keys.partition("key_100:")[0])) == 100


def test_a_key_of_any_length_is_compared_by_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = counted(monkeypatch, difflib, "get_close_matches")
    (problem,) = problems_of(f"{SET}? {'k' * 100_000}\n: 1\n")
    assert problem.endswith("unknown key")
    assert [call[0] for call in compared] == ["k" * 80]


def test_labels_of_all_sets_together_are_limited() -> None:
    sets = "scale_sets:\n" + "".join(
        "  - {subscription_id: 00000000-0000-0000-0000-000000000000, resource_group: rg,"
        f" name: web{number}, labels: {{{labels}}}}}\n"
        for number, labels in enumerate(
            [
                ", ".join(f"a{number}: x" for number in range(64)),
                "a1: y, a2: y",
                "one_more: x",
            ]
        )
    )
    assert load(sets.rpartition("  -")[0], environment={}).targets()
    assert problems_of(sets) == (
        "scale_sets[2].labels: more than 64 different labels in all, which every set has",
    )


@pytest.mark.parametrize("setting", ["deny", "opt_in", "tags"])
def test_lists_are_limited(setting: str) -> None:
    entries = ", ".join(f"azure_{number}" for number in range(1000))
    assert load(f"{SET}metrics: {{{setting}: [{entries}]}}\n", environment={}).targets()
    assert problems_of(f"{SET}metrics: {{{setting}: [{entries}, more]}}\n") == (
        f"metrics.{setting}: has more than 1000 entries",
    )


@pytest.mark.parametrize(
    ("text", "advised"),
    [
        ("polling:\n\tinterval: 30s\n", True),
        ("polling:\n  interval: 30s\n\ttimeout: 30s\n", True),
        ("polling:\n  interval: 30s\n  \ttimeout: 30s\n", True),
        ("polling:\n  interval: [30s\n", False),
        ("polling: {\tinterval: 30s, ]\n", False),
    ],
)
def test_tabs_that_indent_are_advised_against(text: str, *, advised: bool) -> None:
    (problem,) = problems_of(text)
    assert problem.startswith("line ")
    assert problem.endswith("; use spaces, not tabs") is advised


PARSERS = {"libyaml": yaml.CSafeLoader, "python": yaml.SafeLoader}


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: *b\n", "line 1, column 4: an alias without an anchor before it"),
        ("a: &b 1\nc: &b 2\n", "line 2, column 4: an anchor is given twice"),
        ("a: 1\n---\nb: 1\n", "line 2, column 1: expected a single document, found another one"),
        ("a: \x00\n", "line 1, column 4: a character that YAML does not allow"),
        ("ä: 1\nb: \x07\n", "line 2, column 4: a character that YAML does not allow"),
        ("", "the configuration is empty"),
        ("# nothing\n", "the configuration is empty"),
        ("[" * 10_000, "the YAML is nested too deeply"),
    ],
)
def test_both_parsers_refuse_alike(
    monkeypatch: pytest.MonkeyPatch, parser: Any, text: str, problem: str
) -> None:
    monkeypatch.setattr(composing, "new_parser", parser)
    with pytest.raises(ConfigurationError) as raised:
        document.read_document(text, {})
    assert raised.value.problems == (problem,)


def test_half_a_character_as_key_or_value_is_refused_by_the_python_parser_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(composing, "new_parser", yaml.SafeLoader)
    assert problems_of(f'{SET}polling: {{"\\ud800": a, state_dir: "\\ud800"}}\n') == (
        "polling: a key is not valid Unicode text",
        "polling.state_dir: not valid Unicode text",
    )
    assert problems_of('a: "\\U00110000"\n') == (
        "an escape or a directive that YAML does not allow",
    )


def test_libyaml_reads_the_file_where_it_is_there() -> None:
    assert composing.new_parser is yaml.CSafeLoader


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=5), _VALUES))
def test_both_parsers_read_the_same(value: dict[str, object]) -> None:
    text = yaml.dump(value, Dumper=yaml.SafeDumper)
    read: list[Any] = []
    for parser in PARSERS.values():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(composing, "new_parser", parser)
            try:
                found = document.read_document(text, {})
            except ConfigurationError as error:
                read.append(error.problems)
            else:
                read.append((found.value, found.places, found.problems))
    assert read[0] == read[1]


@pytest.mark.parametrize("entry", ["x", "[]", "[x]", "{a: b}", "*three"])
def test_values_of_every_kind_count_however_they_are_nested(
    monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    monkeypatch.setattr(composing, "MOST_VALUES", 100)
    start = "three: &three [a, b, c]\nmany: [" + "[" * 5

    def text(count: int) -> str:
        return start + ", ".join([entry] * count) + "]" * 5 + "]\n"

    assert composing.compose(text(10)) is not None
    with pytest.raises(ConfigurationError, match="more than 100 values"):
        composing.compose(text(101))
