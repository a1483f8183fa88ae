"""Answers that are odd: each fault of that kind changes the document before it is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from exporter.simulator.calls import Call
from exporter.simulator.faults import Fault

_POWER_FILTER = "$filter=startswith(instanceView/statuses/code, 'PowerState') eq true"


def distort(document: Any, call: Call, faults: list[Fault]) -> Any:
    """The document as the faults leave it; it may be no object any more."""
    for fault in faults:
        change = _CHANGES.get(fault.kind)
        if change is not None and isinstance(document, dict):
            document = change(document, call, fault)
    return document


def _elsewhere(document: dict[str, Any], call: Call, fault: Fault) -> Any:
    origin = (fault.url or "https://elsewhere.example").rstrip("/")
    link = urlsplit(document.get("nextLink") or call.link(call.skiptoken))
    return document | {"nextLink": f"{origin}{link.path}?{link.query}"}


def _loop(document: dict[str, Any], call: Call, _: Fault) -> Any:
    return document | {"nextLink": call.link(None)}


def _repeat(document: dict[str, Any], call: Call, _: Fault) -> Any:
    return document | {"nextLink": call.link(call.skiptoken)}


def _unencoded(document: dict[str, Any], _: Call, __: Fault) -> Any:
    link = document.get("nextLink")
    if not link:
        return document
    address, _, query = link.partition("?")
    if "$filter=" not in (query := unquote(query)):
        query = f"{_POWER_FILTER}&{query}"
    return document | {"nextLink": f"{address}?{query}"}


def _empty_link(document: dict[str, Any], _: Call, __: Fault) -> Any:
    return {"nextLink": ""} | document


def _empty_page(document: dict[str, Any], call: Call, _: Fault) -> Any:
    return document | {"value": [], "nextLink": call.link(call.skiptoken) + "&again=1"}


def _on_first_item(
    change: Callable[[dict[str, Any]], Any],
) -> Callable[[dict[str, Any], Call, Fault], Any]:
    def distorted(document: dict[str, Any], _: Call, __: Fault) -> Any:
        items = document.get("value")
        if not isinstance(items, list) or not items or not isinstance(items[0], dict):
            return document
        return document | {"value": [change(items[0]), *items[1:]]}

    return distorted


def _on_items(
    change: Callable[[list[Any]], Any],
) -> Callable[[dict[str, Any], Call, Fault], Any]:
    def distorted(document: dict[str, Any], _: Call, __: Fault) -> Any:
        items = document.get("value")
        return document | {"value": change(items)} if isinstance(items, list) else document

    return distorted


def _without_view(item: dict[str, Any]) -> dict[str, Any]:
    properties = item.get("properties")
    if not isinstance(properties, dict):
        return item
    return item | {"properties": properties | {"instanceView": None}}


def _nulled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _nulled(inner) for key, inner in value.items()}
    return [None] if isinstance(value, list) else None


def _null_items(items: list[Any]) -> list[Any]:
    return [
        item | {"properties": _nulled(item.get("properties"))} if isinstance(item, dict) else item
        for item in items
    ]


_CHANGES: dict[str, Callable[[dict[str, Any], Call, Fault], Any]] = {
    "next_link_elsewhere": _elsewhere,
    "next_link_loop": _loop,
    "next_link_repeat": _repeat,
    "next_link_unencoded": _unencoded,
    "next_link_empty": _empty_link,
    "empty_page_with_next_link": _empty_page,
    "zones_null": _on_items(
        lambda items: [
            item | {"zones": [None]} if isinstance(item, dict) else item for item in items
        ]
    ),
    "item_not_object": _on_items(lambda items: ["not an object", *items]),
    "item_without_id": _on_first_item(
        lambda item: (
            {key: value for key, value in item.items() if key not in ("id", "instanceId")}
            | {"id": ""}
        )
    ),
    "item_without_view": _on_first_item(_without_view),
    "item_repeated": _on_items(lambda items: [*items[:1], *items]),
    "null_everywhere": _on_items(_null_items),
    "unknown_fields": _on_first_item(
        lambda item: item | {"futureField": {"shape": ["unknown", 1]}, "futureNumber": 1}
    ),
    "value_not_list": lambda document, _, __: document | {"value": {"0": "not a list"}},
    "value_missing": lambda document, _, __: {
        key: value for key, value in document.items() if key != "value"
    },
    "body_not_object": lambda document, _, __: [document],
}
