"""Pydantic's errors in plain words: what was expected, and what the file has."""

from __future__ import annotations

import difflib
import inspect
from typing import TYPE_CHECKING, Any, get_args

from exporter.configuration.document import Document
from exporter.configuration.errors import Path, Problem, touches_secret
from exporter.configuration.fields import Section
from exporter.configuration.settings import Configuration

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_LONGEST_NAME = 80

# By pydantic's error types; the names in braces are of the error's context.
_EXPECTED = {
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
    "string_type": "a string",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
    "literal_error": "{expected}",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
    "expected": "{what}",
}
_REFUSED = {
    "missing": "is required",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "too_long": "has more than {max_length} entries",
    "refused": "{message}",
}


def describe(error: ErrorDetails, document: Document) -> Problem:
    """The problem that an error of pydantic tells.

    The value comes from the document, where it is as written: the one that pydantic saw may hold
    what the environment put in. Of a secret nothing is shown.
    """
    path: Path = error["loc"]
    if path[-1:] == ("[key]",) and path not in document.places:
        path = path[:-1]
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return Problem(path, _unknown_key(path))
    if kind in _REFUSED:
        return Problem(path, _REFUSED[kind].format_map(context))
    if kind in _EXPECTED:
        wanted = _EXPECTED[kind].format_map(context)
        return Problem(path, f"expected {wanted}{_got(path, kind, document)}")
    return Problem(path, "is not valid")


def _got(path: Path, kind: str, document: Document) -> str:
    if path not in document.places or touches_secret(path):
        return ""
    place = document.places[path]
    advice = "; put it in quotes" if kind == "string_type" and place.quotable else ""
    return f", got {place.shown}{advice}"


def _unknown_key(path: Path) -> str:
    names = list(_section_at(path[:-1]).model_fields)
    # A long key is not a misspelt name, and comparing it takes time with its length.
    key = str(path[-1])[:_LONGEST_NAME]
    close = difflib.get_close_matches(key, names, n=1)
    return f"unknown key; did you mean {close[0]}?" if close else "unknown key"


def _section_at(path: Path) -> type[Section]:
    section: type[Section] = Configuration
    for step in path:
        # An index of a list, or the name of a credential, leads to no other kind of section.
        if isinstance(step, str) and step in section.model_fields:
            section = _section_of(section.model_fields[step].annotation)
    return section


def _section_of(annotation: Any) -> type[Section]:
    """The section that a field holds, alone, in a tuple or by names."""
    candidates = (annotation, *get_args(annotation))
    return next(one for one in candidates if inspect.isclass(one) and issubclass(one, Section))
