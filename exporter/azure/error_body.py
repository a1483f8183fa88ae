"""Azure's error bodies, in whatever form and letter case they come. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from exporter.model.lenient_decode import folded
from exporter.redaction import clean

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What may stand before a JSON text, and is not part of it."""

_LONGEST_ERROR = 65_536


class ErrorDetail(NamedTuple):
    """One of the `details` of an error body; empty where absent."""

    code: str = ""
    message: str = ""
    target: str = ""


class ErrorBody(NamedTuple):
    """Azure's error body; empty where it has no such field, or is not an error body at all."""

    code: str = ""
    message: str = ""
    target: str = ""
    details: tuple[ErrorDetail, ...] = ()


def decode_error(body: bytes) -> ErrorBody:
    """Decode an error body, wrapped in `error` or not. Never raises: what is odd is empty."""
    try:
        found = msgspec.json.decode(body.removeprefix(BYTE_ORDER_MARK))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return ErrorBody()
    if isinstance(found, dict):
        found = folded(found)
        if isinstance(found.get("error"), dict):
            found = folded(found["error"])
    if not isinstance(found, dict):
        return ErrorBody()
    details = found.get("details")
    return ErrorBody(
        code=_text_of(found, "code"),
        message=_text_of(found, "message"),
        target=_text_of(found, "target"),
        details=tuple(
            ErrorDetail(_text_of(part, "code"), _text_of(part, "message"), _text_of(part, "target"))
            for part in map(folded, _objects(details))
        ),
    )


def error_in(body: bytes) -> str:
    """Azure's code and message in brackets; empty for none. They come with HTTP 200 too."""
    error = decode_error(body[:_LONGEST_ERROR])
    return f" ({clean(f'{error.code}: {error.message}')})" if error.code else ""


def _objects(found: Any) -> list[dict[str, Any]]:
    """The objects of what should be a list of them."""
    return [part for part in found if isinstance(part, dict)] if isinstance(found, list) else []


def _text_of(found: dict[str, Any], name: str) -> str:
    return value if isinstance(value := found.get(name), str) else ""
