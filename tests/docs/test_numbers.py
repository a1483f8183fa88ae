"""The numbers that the pages tell are those of the program."""

from __future__ import annotations

import pytest

from exporter.azure import retry
from exporter.azure.ratelimit import headers as ratelimit
from exporter.configuration import document, fields, loading
from exporter.exposition import text_format
from exporter.metrics import limited_names, normalize
from exporter.polling import concurrency, confirmation, counters, target_state
from exporter.web import connections, responses, scrapes
from support.answers import ROOT
from support.wire import LIMITS

MINUTE = 60
WORDS: dict[float, str] = {2: "two", 3: "three", 5: "five"}

TOLD = [
    (
        "metrics.md",
        f"At most {limited_names.MOST_NAMES} names of extensions per set, then {limited_names.OTHER}",
    ),
    (
        "metrics.md",
        f"At most {limited_names.MOST_NAMES} names of handlers per set, then {limited_names.OTHER}",
    ),
    (
        "metrics.md",
        f"At most {limited_names.MOST_NAMES} names of disks per set, then {limited_names.OTHER}",
    ),
    ("metrics.md", f"At most {limited_names.MOST_CODES} codes per set beside unspecified, then"),
    ("metrics.md", f"A label value has at most {text_format.LONGEST_VALUE} bytes"),
    ("metrics.md", f"cut at {normalize.SUBSTATUS_LENGTH} characters"),
    (
        "metrics.md",
        f"at most {normalize.SUBSTATUSES_PER_EXTENSION} per extension, the rest is other",
    ),
    ("metrics.md", f"served as 0 for {counters.NEW_CODE_WAITS / MINUTE:.6g} minutes before it"),
    ("metrics.md", f"At most {ratelimit.MOST_POLICIES} policies per subscription and region"),
    (
        "architecture.md",
        (
            f"answered {WORDS.get(confirmation.NOT_FOUND_ANSWERS)} times over "
            f"{WORDS.get(confirmation.NOT_FOUND_SECONDS / MINUTE)} minutes"
        ),
    ),
    (
        "architecture.md",
        f"a GET of every set each {WORDS.get(target_state.MODEL_INTERVAL / MINUTE)} minutes",
    ),
    ("architecture.md", f"slower than {WORDS.get(concurrency.PATIENCE)} seconds frees its slot"),
    ("architecture.md", f"longer than {WORDS.get(responses.CLIENT_LIMIT / MINUTE)} minutes is"),
    ("scraping.md", f"answers {scrapes.MAX_REQUESTS} scrapes at a time"),
    ("scraping.md", f"not whole after {LIMITS.head:g} seconds, and an idle one after "),
    ("scraping.md", f"an idle one after {LIMITS.idle:g}. "),
    ("scraping.md", f"half of the limit of open files (at most {connections.MOST:,})"),
    ("configuration.md", f"the first {loading.MOST_PROBLEMS} are listed"),
    ("configuration.md", f"at most {document.LONGEST_TEXT:,} characters"),
    ("configuration.md", f"patterns or tags at most {fields.MOST_ENTRIES:,} entries"),
    ("configuration.md", f"together at most {fields.MOST_LABELS} different extra labels"),
]


@pytest.mark.parametrize(("page", "sentence"), TOLD)
def test_a_number_that_a_page_tells_is_the_program_s(page: str, sentence: str) -> None:
    told = " ".join((ROOT / "docs" / page).read_text(encoding="utf-8").split())
    assert sentence in told


def test_a_transient_failure_is_retried_at_most_twice_as_the_page_says() -> None:
    told = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert "retried at most twice" in told
    assert retry.RETRIES == 2
