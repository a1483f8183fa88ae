"""Fetching a page of another process on loopback."""

from __future__ import annotations

from urllib.error import HTTPError
from urllib.request import urlopen


def fetch(url: str) -> str:
    """The body, as text, whatever the status; the connection is closed in every case."""
    try:
        answer = urlopen(url, timeout=10)
    except HTTPError as error:
        answer = error
    with answer:
        body: bytes = answer.read()
    return body.decode()
