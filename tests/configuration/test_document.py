"""Whatever the file holds, it is read or refused in words."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter.configuration import Configuration, ConfigurationError, composing, load

_KEYS = st.sampled_from(
    [
        *("azure", "cloud", "endpoint", "audience", "authority_host", "credential", "type"),
        *("client_secret", "polling", "interval", "timeout", "deadline", "concurrency"),
        *("budget_share", "scale_sets", "id", "subscription_id", "resource_group", "name"),
        *("labels", "discovery", "subscriptions", "tags", "refresh", "metrics", "deny"),
        *("state_sets", "max_series", "web", "messages", "[key]", "<<", "=", "", "a\nb"),
    ]
)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.dates()
    | st.binary(max_size=3)
    | st.sampled_from(["custom", "static", "30s", "${A}", "${B}", "http://[", "https://a", "web"])
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_KEYS | _SCALARS, inner, max_size=4)
    ),
    max_leaves=30,
)
_DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "azure": st.dictionaries(_KEYS, _VALUES, max_size=5),
        "polling": st.dictionaries(_KEYS, _VALUES, max_size=5),
        "scale_sets": st.lists(st.dictionaries(_KEYS, _VALUES, max_size=5), max_size=3) | _VALUES,
        "discovery": st.lists(st.dictionaries(_KEYS, _VALUES, max_size=5), max_size=2) | _VALUES,
        "metrics": st.dictionaries(_KEYS, _VALUES, max_size=5),
    },
)
_PIECES = st.lists(
    st.sampled_from(
        [
            *("a", "polling", "scale_sets", ": ", ":", "- ", "\n", "\n  ", " ", "[", "]", "{", "}"),
            *(",", "&a ", "*a", "<<: ", "? ", "!!int ", "!!float ", "!!bool ", "!!null ", "!!set "),
            *("!!timestamp ", "!a ", "!<a> ", "|", ">", "'", '"', "\\", "\\x", "#", "%YAML ", "1"),
            *(
                "---",
                "...",
                "\t",
                "=",
                "~",
                "0x",
                "0b_",
                "1:60",
                ".inf",
                "-",
                "_",
                "${A}",
                "\ufeff",
            ),
        ]
    ),
    max_size=30,
).map("".join)


def _read(text: str) -> None:
    problems: tuple[str, ...] = ("none",)
    try:
        configuration = load(text, environment={"A": "a\udcff"}, reserved_labels=("sku",))
    except ConfigurationError as error:
        problems = error.problems
    else:
        assert isinstance(configuration, Configuration)
        assert configuration.targets()
    assert problems
    assert all(problem.isprintable() and problem.encode() for problem in problems)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    _read(text)


@given(_PIECES)
def test_any_pieces_of_yaml_are_read_or_refused(text: str) -> None:
    _read(text)


@given(_VALUES)
def test_any_yaml_is_read_or_refused(value: object) -> None:
    _read(yaml.dump(value, Dumper=yaml.SafeDumper))


@given(_DOCUMENTS)
def test_any_values_of_known_settings_are_read_or_refused(value: object) -> None:
    _read(yaml.dump(value, Dumper=yaml.SafeDumper))


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_depth_without_end_is_refused(opening: str) -> None:
    with pytest.raises(ConfigurationError, match="the YAML is nested too deeply"):
        load("a:\n " + opening * 1000, environment={})


def test_aliases_of_aliases_of_aliases_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composing, "MOST_VALUES", 5000)  # for the test to be quick
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 20):
        aliases = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{aliases}]")

    with pytest.raises(ConfigurationError) as raised:
        load("\n".join(lines), environment={})

    assert raised.value.problems == ("more than 5000 values; are aliases nested in aliases?",)


def test_a_long_value_is_cut_in_messages() -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(f"{'k' * 5000}: a\npolling: {{interval: {'v' * 5000}}}\n", environment={})

    assert all(len(problem) < 200 for problem in raised.value.problems)
