"""Codes, levels and times as Azure may write them, and which of several statuses counts."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from exporter.metrics.statuses import _known, read, timestamp_of, timestamp_text, worst
from exporter.model.instance_view import Status


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("code", "parts"),
    [
        (" ProvisioningState/Succeeded ", ("provisioningstate", "succeeded", "")),
        ("\tPowerState/running\n", ("powerstate", "running", "")),
        ("ProvisioningState/failed/A/b", ("provisioningstate", "failed", "a/b")),
        ("PowerState / running / x ", ("powerstate", "running", "x")),
        ("PowerState/", ("powerstate", "", "")),
        ("/running", ("", "running", "")),
        ("", ("", "", "")),
        (None, ("", "", "")),
    ],
)
def test_a_code_is_taken_apart_whatever_stands_around_it(
    code: str | None, parts: tuple[str, str, str]
) -> None:
    parsed = read(Status(code=code, level=None))
    assert (parsed.kind, parsed.state, parsed.rest) == parts
    assert parsed.shown == (parts[1] or "unknown")


@pytest.mark.parametrize(
    ("level", "rank", "new"),
    [
        ("Info", 0, False),
        ("WARNING", 1, False),
        ("error", 2, False),
        ("Fatal", None, True),
        ("", None, True),
        (None, None, False),
    ],
)
def test_a_level_that_is_not_known_is_none_and_is_reported(
    level: str | None, rank: int | None, *, new: bool
) -> None:
    parsed = read(Status(code="PowerState/running", level=level))
    assert (parsed.level, parsed.level_is_new) == (rank, new)


@pytest.mark.parametrize(("rest", "number"), [("-1", -1), ("+12", 12), ("0", 0), ("1x", None)])
def test_the_number_at_the_end_of_a_code_is_read(rest: str, number: int | None) -> None:
    assert read(Status(code=f"ProvisioningState/failed/{rest}", level=None)).number == number


@pytest.mark.usefixtures("in_tokyo")
@pytest.mark.parametrize("end", ["", "Z", "+00:00", ".0000000"])
def test_a_time_without_offset_is_utc_wherever_the_exporter_runs(end: str) -> None:
    text = f"2024-07-08T07:27:29{end}"
    assert timestamp_of(text) == 1720423649.0
    assert timestamp_text(text) == "1720423649"


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "2024-07-08",
        "2024-07-08T07:27",
        "20240708T072729.0000",
        "2024-07-08T07:27:61Z",
        "2024-13-08T07:27:29Z",
    ],
)
def test_text_that_is_no_time_and_a_time_before_1970_are_none(text: str) -> None:
    assert timestamp_of(text) is None
    assert timestamp_text(text) is None


@pytest.mark.parametrize("separator", ["T", "t", " "])
def test_date_and_time_are_parted_as_rfc_3339_allows(separator: str) -> None:
    assert timestamp_of(f"2024-07-08{separator}07:27:29Z") == 1720423649.0


FIRST, LATER = "2024-07-08T07:00:00Z", "2024-07-08T08:00:00Z"


@pytest.mark.parametrize(
    ("better", "wins"),
    [
        (("Info", FIRST), ("Error", FIRST)),
        (("Info", LATER), ("Warning", FIRST)),
        ((None, LATER), ("Info", FIRST)),
        (("Fatal", LATER), ("Info", None)),
        (("Error", FIRST), ("Error", LATER)),
        (("Info", None), ("Info", FIRST)),
    ],
)
def test_the_worst_counts_then_the_newest_in_either_order(
    better: tuple[str | None, str | None], wins: tuple[str | None, str | None]
) -> None:
    statuses = [Status(code="a/b", level=level, time=time) for level, time in (better, wins)]
    for order in (statuses, statuses[::-1]):
        assert worst(order) is statuses[1]


def test_of_equals_the_first_counts_and_of_one_that_one() -> None:
    first, second = (Status(code=code, level="Info", time=FIRST) for code in ("a/1", "a/2"))
    assert worst([first, second]) is first
    assert worst([second]) is second
    assert read(second).state == "2"


def test_no_more_codes_than_4096_are_remembered() -> None:
    for number in range(5000):
        read(Status(code=f"Odd/{number}"))
    assert len(_known) <= 4096
