"""Lists that say nothing, or that all machines are gone, on the wire."""

from __future__ import annotations

from typing import Any

import pytest

from faults.story import Story, machine

FAILURE = "azure_vmss_poll_failure"


@pytest.mark.parametrize(
    "items",
    [[None, None], [[machine(0)]], [{}, {"name": "web_0"}], ["0", 1, True], [[], []]],
    ids=["nulls", "nested", "without ids", "no objects", "lists"],
)
async def test_a_list_of_which_nothing_can_be_read_is_no_empty_set(
    story: Story, items: list[Any]
) -> None:
    await story.poll_items(*items)
    assert await story.value("azure_vmss_up") == 0
    assert await story.value(FAILURE, reason="broken_answer") == 1
    assert await story.values("azure_vmss_instances") == []

    await story.poll_items(machine(0), machine(1))
    before = await story.lines("1")
    await story.poll_items(*items)
    assert await story.value("azure_vmss_up") == 0
    assert await story.value(FAILURE, reason="broken_answer") == 1
    assert await story.value("azure_vmss_instances") == 2
    assert await story.lines("1") == before
    assert await story.value("azure_vmss_instance_deletions_total") == 0
    assert await story.total("poll_failures_total", reason="broken_answer") == 2

    await story.poll_items(machine(0), machine(1))
    assert await story.value("azure_vmss_up") == 1
    assert await story.values(FAILURE) == []
    assert await story.value("azure_vmss_instance_deletions_total") == 0
    assert await story.value("azure_vmss_instance_creations_total") == 0


async def test_a_page_of_which_nothing_can_be_read_among_good_ones_costs_its_own_only(
    story: Story,
) -> None:
    story.azure.pages["web"] = [[machine(0)], [None, None], [machine(1)]]
    await story.poll()
    assert await story.value("azure_vmss_up") == 1
    assert await story.value("azure_vmss_instances") == 2


async def test_an_empty_list_of_a_set_with_capacity_is_served_the_second_time(
    story: Story,
) -> None:
    story.azure.facts["web"] = {"sku": {"name": "Standard_D2s_v5", "capacity": 2}}
    await story.exporter.poller.poll_model(story.state())
    await story.poll_items(machine(0), machine(1))
    await story.poll_items()
    assert await story.value("azure_vmss_up") == 0
    assert await story.value(FAILURE, reason="broken_answer") == 1
    assert await story.value("azure_vmss_instances") == 2
    await story.poll_items()
    assert await story.value("azure_vmss_up") == 1
    assert await story.value("azure_vmss_instances") == 0
    assert await story.value("azure_vmss_instance_deletions_total") == 2
