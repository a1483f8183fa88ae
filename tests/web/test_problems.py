"""Why there is no JSON, as RFC 9457 has it."""

from __future__ import annotations

import json
from http import HTTPStatus

import pytest

from exporter.web.problems import BadQueryError, number, problem


def test_a_problem_says_its_status_and_why() -> None:
    assert json.loads(problem(HTTPStatus.NOT_FOUND, "why")) == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "why",
    }


@pytest.mark.parametrize("text", ["", "0", "11", "-1", "1.5", "x", "1" * 5000, "\u0663", " 1"])
def test_what_is_no_number_in_range_is_told_by_its_name(text: str) -> None:
    with pytest.raises(BadQueryError, match="limit: expected a whole number from 1 to 10"):
        number({"limit": text}, "limit", default=5, least=1, most=10)


@pytest.mark.parametrize(("query", "found"), [({}, 5), ({"limit": "1"}, 1), ({"limit": "10"}, 10)])
def test_a_number_has_a_default(query: dict[str, str], found: int) -> None:
    assert number(query, "limit", default=5, least=1, most=10) == found
