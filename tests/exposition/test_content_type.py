"""Which format a client gets."""

from __future__ import annotations

import pytest

from exporter.exposition.content_type import OPENMETRICS, TEXT, Format, accepts_gzip, choose_format

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html,application/xhtml+xml,*/*;q=0.8", TEXT),
        ("text/plain", TEXT),
        (PROMETHEUS_2, OPENMETRICS),
        (PROMETHEUS_3, OPENMETRICS),
        ("application/openmetrics-text", OPENMETRICS),
        ('application/openmetrics-text; version="1.0.0"', OPENMETRICS),
        ("APPLICATION/OpenMetrics-Text;Version=1.0.0", OPENMETRICS),
        ("application/openmetrics-text;version=2.0.0,text/plain;q=0.1", TEXT),
        ("application/openmetrics-text;q=0,text/plain", TEXT),
        ("application/openmetrics-text;q=0.2,text/plain;q=0.9", TEXT),
        ("application/openmetrics-text;q=oops", TEXT),
        (",;,=", TEXT),
        ("application/openmetrics-text;q=0.5,text/plain;q=0.5", OPENMETRICS),
        ("text/plain;q=0.5,application/openmetrics-text;q=0.5", OPENMETRICS),
        ("application/openmetrics-text;q=0.9,*/*", TEXT),
        ("application/openmetrics-text;q=0.9,text/*", TEXT),
        ("application/openmetrics-text;version=0.0.1", OPENMETRICS),
        ("application/openmetrics-text;q=0.1;q=0.9,text/plain;q=0.5", OPENMETRICS),
        (
            "application/openmetrics-text;q=0.9,application/openmetrics-text;q=0.1,text/plain;q=0.5",
            OPENMETRICS,
        ),
        ("text/plain;q=0.9,text/plain;q=0.1,application/openmetrics-text;q=0.5", TEXT),
        ("application/json", TEXT),
        ("text/plain ; q=0.5, application/openmetrics-text ; version=1.0.0", OPENMETRICS),
    ],
)
def test_the_accept_header_chooses_the_format(accept: str, chosen: Format) -> None:
    assert choose_format(accept) == chosen


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("", False),
        ("gzip", True),
        ("identity ; q=0.5, gzip ; q=0.1", True),
        ("deflate, gzip ; q=0, *;q=1", False),
        ("gzip, deflate, br", True),
        ("GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("identity", False),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("*;q=0, gzip", True),
        ("gzip;q=0.001", True),
        ("gzip; q=0", False),
        ("gzip;Q=0", False),
        ("gzip;level=0", True),
        ("x-gzip", False),
        ("gzip;q=oops", False),
        ("identity;q=0", False),
        ("zstd, br, deflate", False),
    ],
)
def test_gzip_is_used_where_it_is_accepted(header: str, allowed: bool) -> None:  # noqa: FBT001 - a parameter
    assert accepts_gzip(header) is allowed


def test_content_types_are_exact() -> None:
    assert TEXT.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert OPENMETRICS.content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
