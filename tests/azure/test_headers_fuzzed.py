"""Whatever stands in a header, a link or an error body, reading it never raises and never misleads."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from yarl import URL

from exporter.azure.auth.claims_challenge import claims_of
from exporter.azure.endpoints import resolve
from exporter.azure.error_body import decode_error
from exporter.azure.errors import BrokenAnswer
from exporter.azure.ratelimit.headers import (
    LONGEST_WAIT,
    remaining_of_arm,
    remaining_of_compute,
    retry_after,
)
from exporter.azure.ratelimit.http_429 import policies_of, throttled
from exporter.azure.urls import next_url
from exporter.configuration import Azure

PUBLIC = resolve(Azure())
HOST = "management.azure.com"
NOW = 1_800_000_000.0

# What a header can hold, and chunks from which something that looks right is made.
header_text = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60)
link_pieces = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "https://",
                "http://",
                "//",
                HOST,
                f"user@{HOST}",
                f"{HOST}.evil.test",
                f"{HOST}:443",
                f"{HOST}:8443",
                "evil.test",
                "/",
                "\\",
                "@",
                ":",
                "?",
                "#",
                "api-version=1",
                "$skiptoken=a%2bb",
                "%",
                "%40",
                "\t",
                "\n",
                "\u2024",
                "[::1]",
            ]
        ),
        st.text(max_size=5),
    ),
    max_size=8,
).map("".join)
waits = st.one_of(
    header_text,
    st.integers().map(str),
    st.floats().map(repr),
    st.datetimes().map(lambda moment: moment.strftime("%a, %d %b %Y %H:%M:%S GMT")),
)
limits = st.lists(
    st.one_of(
        header_text,
        st.builds(
            "Microsoft.Compute/{};{}".format, header_text, st.integers(-5, 10**20) | header_text
        ),
    ),
    max_size=5,
).map(",".join)


@given(st.text() | link_pieces)
def test_a_next_link_keeps_the_token_at_home_or_is_refused(link: str) -> None:
    try:
        url = next_url(link, PUBLIC, api_version="2024-07-01")
    except BrokenAnswer:
        return
    assert (url.scheme, url.host, url.port) == ("https", HOST, 443)
    assert url.user is None
    # The request's own reading of the address must be no other.
    assert URL(str(url), encoded=True).host == HOST


@given(waits)
def test_a_retry_after_is_a_wait_in_its_bounds_or_none(text: str) -> None:
    wait = retry_after(text, now=NOW)
    assert wait is None or 0 <= wait <= LONGEST_WAIT


@given(st.integers(0, 10**6))
def test_whole_seconds_are_waited_in_full(seconds: int) -> None:
    assert retry_after(str(seconds), now=NOW) == min(seconds, LONGEST_WAIT)


@given(st.lists(limits, max_size=3), st.dictionaries(header_text, header_text, max_size=3))
def test_the_limits_read_from_headers_are_few_whole_numbers(
    values: list[str], others: dict[str, str]
) -> None:
    headers = CIMultiDict[str](others)
    for value in values:
        headers.add("x-ms-ratelimit-remaining-resource", value)
        headers.add("x-ms-ratelimit-remaining-subscription-reads", value)
    for found in (remaining_of_compute(headers), remaining_of_arm(headers)):
        assert len(found) <= 32
        assert all(number >= 0 for number in found.values())
        assert all(name.isascii() and not set(name) & set('"\\\n;,') for name in found)


@given(
    st.lists(
        st.one_of(
            header_text, header_text.map('Bearer error="insufficient_claims", claims="{}"'.format)
        ),
        max_size=3,
    )
)
def test_a_challenge_gives_claims_or_none(challenges: list[str]) -> None:
    claims = claims_of(challenges)
    assert claims is None or claims


details = st.fixed_dictionaries(
    {},
    optional={
        "code": st.text(max_size=10) | st.integers(),
        "target": st.text(max_size=10),
        "message": st.one_of(
            st.text(max_size=20),
            st.dictionaries(
                st.sampled_from(["operationGroup", "allowedRequestCount", "measuredRequestCount"]),
                st.text(max_size=5) | st.integers() | st.floats(allow_nan=False),
            ).map(json.dumps),
        ),
    },
)
bodies = st.one_of(
    st.binary(max_size=40),
    st.fixed_dictionaries(
        {},
        optional={
            "code": st.text(max_size=10),
            "message": st.text(max_size=40),
            "details": st.lists(details, max_size=3),
        },
    ).map(lambda error: json.dumps({"error": error}).encode()),
)


@given(bodies, waits, limits)
def test_any_429_is_throttling_with_a_finite_wait_or_none(
    body: bytes, wait: str, remaining: str
) -> None:
    headers: CIMultiDict[Any] = CIMultiDict(
        {"Retry-After": wait, "x-ms-ratelimit-remaining-resource": remaining}
    )
    error = throttled(headers, decode_error(body), now=NOW)
    told = error.retry_after
    assert told is None or (math.isfinite(told) and 0 <= told <= LONGEST_WAIT)
    assert "\n" not in str(error)
    assert all(use.policy for use in policies_of(decode_error(body)))
