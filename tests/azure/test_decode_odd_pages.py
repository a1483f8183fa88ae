"""Pages on which every item is odd: read in chunks, so that the event loop gets its turn."""

from __future__ import annotations

import json
from typing import Any

from exporter.azure.decode import PIECE_ODD_ITEMS, decode_instance_page
from exporter.metrics.field_families import family_of

ITEMS = 120


def body_of(items: list[Any]) -> bytes:
    return json.dumps({"value": items, "nextLink": "https://next.example"}).encode()


def test_a_page_of_odd_items_comes_in_small_pieces_and_the_last_has_the_next_link() -> None:
    chunks = list(decode_instance_page(body_of([{"instanceId": "1", "name": {}}] * ITEMS)))
    assert [len(chunk.instances) for chunk in chunks] == [PIECE_ODD_ITEMS] * (ITEMS // 12)
    assert sum(len(chunk.problems) for chunk in chunks) == ITEMS
    assert [chunk.next_link for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].next_link == "https://next.example"


def test_a_page_without_one_readable_item_is_one_piece() -> None:
    (page,) = decode_instance_page(body_of([5] * ITEMS))
    assert page.lost == ITEMS
    assert page.next_link == "https://next.example"


def test_a_page_with_one_odd_item_is_one_piece() -> None:
    items = [{"instanceId": str(number)} for number in range(ITEMS)]
    (page,) = decode_instance_page(body_of([*items[:-1], {"instanceId": "119", "name": 5}]))
    assert len(page.instances) == ITEMS
    assert len(page.problems) == 1
    assert page.next_link == "https://next.example"


def test_the_family_of_a_field_is_looked_for_once() -> None:
    path = "properties.instanceView.vmAgent.statuses[].level"
    family_of.cache_clear()
    assert {family_of(path) for _ in range(1000)} == {"azure_vmss_vm_agent_status_level"}
    assert family_of.cache_info().misses == 1
