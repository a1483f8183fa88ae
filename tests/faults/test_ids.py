"""Instance ids that are odd: no series twice, no machine counted twice, no other one lost."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.exposition.content_type import OPENMETRICS
from faults.story import Story, machine, status, without_state_of_polls
from support.answers import samples

CAME, WENT = "azure_vmss_instance_creations_total", "azure_vmss_instance_deletions_total"
LEFT_OUT = "mapping_errors_total"
A, B = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"


async def test_a_new_machine_under_an_old_id_is_one_deletion_and_one_creation(story: Story) -> None:
    await story.poll_items(machine(0, vmId=A), machine(1))
    other = await story.lines("1")
    assert await story.value("azure_vmss_instance_info", instance_id="0", vm_id=A) == 1

    stopped = [status("PowerState/stopped")]
    await story.poll_items(machine(0, vmId=B, statuses=stopped), machine(1))
    assert await story.value("azure_vmss_instance_info", instance_id="0", vm_id=A) is None
    assert await story.value("azure_vmss_instance_info", instance_id="0", vm_id=B) == 1
    assert (await story.value(CAME), await story.value(WENT)) == (1, 1)
    moved = "azure_vmss_power_state_transitions_total"
    assert await story.value(moved, to="stopped") == 0, "it is another machine that is stopped"
    assert await story.value("azure_vmss_instances") == 2
    assert await story.lines("1") == other


async def test_an_id_that_comes_again_after_a_poll_without_it_counts_both_ways(
    story: Story,
) -> None:
    await story.poll_items(machine(0), machine(1))
    before = await story.lines("0")
    await story.poll_items(machine(1))
    assert await story.lines("0") == []
    assert (await story.value(CAME), await story.value(WENT)) == (0, 1)
    await story.poll_items(machine(0), machine(1))
    assert await story.lines("0") == before
    assert (await story.value(CAME), await story.value(WENT)) == (1, 1)


@pytest.mark.parametrize(("odd", "counted"), [("", 0), (" ", 0), (None, 0), (7, 1), (["7"], 1)])
async def test_the_end_of_the_resource_id_stands_for_an_odd_instance_id(
    story: Story, odd: Any, counted: int
) -> None:
    await story.poll_items(machine(0), machine(1))
    before = without_state_of_polls(await story.page())
    await story.poll_items(machine(0, instanceId=odd), machine(1))
    assert without_state_of_polls(await story.page()) == before
    assert await story.total(LEFT_OUT) == counted
    await story.poll_items(machine(0), machine(1))
    assert without_state_of_polls(await story.page()) == before


@pytest.mark.parametrize("odd", ["", None, 7, {}])
async def test_an_instance_without_any_id_is_counted_and_is_no_deletion(
    story: Story, odd: Any
) -> None:
    await story.poll_items(machine(0), machine(1))
    other, lost = await story.lines("1"), await story.lines("0")
    await story.poll_items(machine(0, id=odd, instanceId=odd), machine(1))
    assert await story.value("azure_vmss_up") == 1
    assert await story.value("azure_vmss_instances") == 1
    assert (await story.lines("0"), await story.lines("1")) == ([], other)
    assert await story.total(LEFT_OUT, family="azure_vmss_instances") == 1
    assert (await story.value(CAME), await story.value(WENT)) == (0, 0)
    await story.poll_items(machine(0), machine(1))
    assert (await story.lines("0"), await story.lines("1")) == (lost, other)
    assert (await story.value(CAME), await story.value(WENT)) == (0, 0)


async def test_another_letter_case_of_an_id_makes_no_other_series_and_no_machine(
    story: Story,
) -> None:
    await story.poll_items(machine("Web_A1b"))
    before = without_state_of_polls(await story.page())
    await story.poll_items(machine("Web_A1b", instanceId="WEB_a1B"))
    assert without_state_of_polls(await story.page()) == before
    await story.poll_items(machine("Web_A1b", instanceId="web_a1b"))
    assert without_state_of_polls(await story.page()) == before


async def test_the_letter_case_of_the_set_and_its_group_in_the_answer_is_never_served(
    story: Story,
) -> None:
    ids = ("0", "1")
    await story.poll_items(*(machine(number) for number in ids))
    before = without_state_of_polls(await story.page())
    for change in (str.lower, str.upper, str.swapcase):
        items = [machine(number) for number in ids]
        await story.poll_items(*(item | {"id": change(item["id"])} for item in items))
        assert without_state_of_polls(await story.page()) == before


@pytest.mark.parametrize("again", ["1", "0"])
async def test_an_instance_listed_twice_is_one_and_the_first_counts(
    story: Story, again: str
) -> None:
    await story.poll_items(machine(0), machine(1))
    before = without_state_of_polls(await story.page())
    twice = machine(again, statuses=[status("PowerState/stopped")])
    await story.poll_items(machine(0), machine(1), twice)
    assert without_state_of_polls(await story.page()) == before
    # On a later page, as of a list that moves while it is read.
    story.azure.pages["web"] = [[machine(0), machine(1)], [twice], []]
    await story.poll()
    assert without_state_of_polls(await story.page()) == before
    await story.poll_items(machine(0), machine(1))
    assert without_state_of_polls(await story.page()) == before


@pytest.mark.parametrize(
    "odd",
    [
        '"',
        '0",up="1',
        "a\nb",
        "a\\",
        "\\n",
        "😀",
        "\uff57",
        "a\x00b",
        "a\rb",
        "a\x85b",
        "a\u2028b",
        "{}",
        "\u0131",
        " 1",
    ],
)
async def test_any_text_in_an_id_is_one_label_value_and_no_other_line(
    story: Story, odd: str
) -> None:
    await story.poll_items(machine(1))
    other = await story.lines("1")
    await story.poll_items(machine(1), machine(0, id="", instanceId=odd, name=odd))
    page = await story.page()
    assert await story.value("azure_vmss_instance_power_state", instance_id=odd, state="running")
    assert await story.lines("1") == other
    ids = {dict(labels).get("instance_id") for _, labels in samples(page)}
    assert ids == {None, "1", odd}
    open_page = await story.exporter.metrics_page.render(OPENMETRICS)
    assert set(open_page.text.decode().split("\n")) >= set(other)
    await story.poll_items(machine(1))
    assert await story.lines("1") == other
    assert await story.value(WENT) == 1
