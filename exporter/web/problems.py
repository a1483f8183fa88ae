"""What is wrong with a request for JSON, as RFC 9457 has it, and the numbers in its query."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import msgspec

HEADERS = {"Content-Type": "application/problem+json"}


class BadQueryError(Exception):
    """A parameter of the query is none that is understood; the message says which and what is."""


def problem(status: HTTPStatus, detail: str) -> str:
    """The body of an answer that says why there is no other."""
    document = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
    }
    return msgspec.json.encode(document).decode() + "\n"


def number(query: Mapping[str, str], name: str, *, default: int, least: int, most: int) -> int:
    """A whole number of the query.

    Raises:
        BadQueryError: it is none, or too large or too small.
    """
    text = query.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) <= len(str(most)):
        found = int(text)
        if least <= found <= most:
            return found
    raise BadQueryError(f"{name}: expected a whole number from {least} to {most}")
