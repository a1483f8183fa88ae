"""Durations, as the file and the command line write them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.configuration.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("1h30m", 5400.0),
        ("1h1m1s1ms", 3661.001),
        ("0h1s", 1.0),
        ("90m", 5400.0),
    ],
)
def test_a_duration_is_read_as_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "30", "30 s", "30S", "-30s", "1.5s", "0s", "0h0m", "1m1h", "1s1s", "٣s", "30s\n", "1d"],
)
def test_anything_else_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected a duration such as 30s, got '") as raised:
        parse_duration(text)

    assert str(raised.value) == f"expected a duration such as 30s, got {text!r}"


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_duration(text) > 0
