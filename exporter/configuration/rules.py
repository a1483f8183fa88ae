"""Rules that span several settings.

They read the document and not the parsed models, so that they speak up even where one of the
settings they compare stands in a section or an entry that is broken otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from exporter.configuration.durations import parse_duration
from exporter.configuration.errors import Path, Problem, shown_path
from exporter.configuration.fields import MOST_ENTRIES, MOST_LABELS
from exporter.configuration.settings import Polling
from exporter.model.scale_set import ScaleSetId


def check_rules(document: dict[str, Any]) -> Iterator[Problem]:
    """Every problem that no single setting has alone."""
    for rule in _RULES:
        yield from rule(document)


def _scale_sets_are_named(document: dict[str, Any]) -> Iterator[Problem]:
    if not document.get("discovery") and document.get("scale_sets") in (None, []):
        message = "at least one scale set is needed, or an entry of discovery"
        yield Problem(("scale_sets",), message)


def _scale_sets_are_named_once(document: dict[str, Any]) -> Iterator[Problem]:
    first: dict[tuple[str, str, str], Path] = {}
    for path, entry in _entries(document, "scale_sets"):
        identity = _identity(entry)
        if identity is None:
            continue
        if identity.key in first:
            yield Problem(path, f"the same scale set as {shown_path(first[identity.key])}")
        first.setdefault(identity.key, path)


def _credentials_are_there(document: dict[str, Any]) -> Iterator[Problem]:
    names = _section(document, "credentials")
    for source in ("scale_sets", "discovery"):
        for path, entry in _entries(document, source):
            name = entry.get("credential")
            if isinstance(name, str) and name not in names:
                there = f"there are {', '.join(map(str, names))}" if names else "there are none"
                yield Problem((*path, "credential"), f"not one of credentials: {there}")


def _a_request_ends_before_the_deadline(document: dict[str, Any]) -> Iterator[Problem]:
    timeout = _duration(document, "timeout")
    deadline = _duration(document, "deadline")
    if timeout is None or deadline is None or timeout <= deadline:
        return
    if _section(document, "polling").get("deadline") is None:
        message = f"must not be longer than polling.deadline, which is {deadline:g}s by default"
        yield Problem(("polling", "timeout"), message)
    else:
        yield Problem(("polling", "deadline"), "must not be shorter than polling.timeout")


def _labels_are_few(document: dict[str, Any]) -> Iterator[Problem]:
    names: set[str] = set()
    for source in ("scale_sets", "discovery"):
        for path, entry in _entries(document, source):
            names.update(_section(entry, "labels"))
            if len(names) > MOST_LABELS:
                message = f"more than {MOST_LABELS} different labels in all, which every set has"
                yield Problem((*path, "labels"), message)
                return


def _tags_have_labels_of_their_own(document: dict[str, Any]) -> Iterator[Problem]:
    first: dict[str, Path] = {}
    tags = _section(document, "metrics").get("tags")
    for index, tag in enumerate(tags[:MOST_ENTRIES] if isinstance(tags, list) else []):
        if not isinstance(tag, str):
            continue
        path: Path = ("metrics", "tags", index)
        label = "tag_" + re.sub(r"[^A-Za-z0-9_]", "_", tag).casefold()
        if label in first:
            yield Problem(path, f"becomes the same label as {shown_path(first[label])}")
        first.setdefault(label, path)
    for source in ("scale_sets", "discovery"):
        for entry_path, entry in _entries(document, source):
            for name in _section(entry, "labels"):
                if name.casefold() in first:
                    message = f"{shown_path(first[name.casefold()])} becomes this label"
                    yield Problem((*entry_path, "labels", name), message)


_RULES: tuple[Callable[[dict[str, Any]], Iterator[Problem]], ...] = (
    _scale_sets_are_named,
    _scale_sets_are_named_once,
    _credentials_are_there,
    _a_request_ends_before_the_deadline,
    _labels_are_few,
    _tags_have_labels_of_their_own,
)


def _section(parent: dict[str, Any], name: str) -> dict[str, Any]:
    section = parent.get(name)
    return section if isinstance(section, dict) else {}


def _entries(document: dict[str, Any], name: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    entries = document.get(name)
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        if isinstance(entry, dict):
            yield (name, index), entry


def _identity(entry: dict[str, Any]) -> ScaleSetId | None:
    if entry.get("id") is not None:
        return ScaleSetId.parse(entry["id"]) if isinstance(entry["id"], str) else None
    names = [entry.get(field) for field in ("subscription_id", "resource_group", "name")]
    texts = [name for name in names if isinstance(name, str)]
    return ScaleSetId(*texts) if len(texts) == len(names) else None


def _duration(document: dict[str, Any], name: str) -> float | None:
    """The seconds of a setting of `polling`, or its default; None where it is not a duration."""
    value = _section(document, "polling").get(name)
    if value is None:
        default: float = Polling.model_fields[name].default
        return default
    try:
        return parse_duration(value) if isinstance(value, str) else None
    except ValueError:
        return None
