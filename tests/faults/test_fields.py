"""Instances with every field odd in turn: each loses what hangs on that field, and no other any."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.instance_state import HEALTH_STATES, POWER_STATES, PROVISIONING_STATES
from faults.story import Story, lines_of, machine, status
from support.answers import ROOT

Step = str | int
Path = tuple[Step, ...]
FULL = json.loads((ROOT / "tests/fixtures/azure/made-up-full-page.json").read_text())["value"][0]
FULL["properties"]["instanceView"]["statuses"].append(status("PowerState/running"))
# No count has an instance in a standby pool, which is tested with the mapper.
del FULL["properties"]["instanceView"]["isVMInStandbyPool"]
NO_STATE = {"unknown", "unspecified", "other", ""}
SUBSTATUSES = "azure_vmss_extension_substatus_level"
NOT_READ = {"type"}
"""Fields that no family is made of."""
_VIEW = "properties.instanceView."
NAMES = {
    f"{_VIEW}statuses[].code",
    f"{_VIEW}vmAgent.extensionHandlers[].type",
    f"{_VIEW}disks[].name",
    f"{_VIEW}disks[].statuses[].code",
    f"{_VIEW}extensions[].name",
}
"""Fields that say what the object is in which they stand: all of it hangs on them."""


def paths_of(value: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of all fields and list items."""
    steps: Any = value.items() if isinstance(value, dict) else enumerate(value)
    for step, inner in steps:
        yield (*path, step)
        if isinstance(inner, dict | list):
            yield from paths_of(inner, (*path, step))


def at(item: Any, path: Path) -> Any:
    for step in path:
        item = item[step]
    return item


def replaced(path: Path, value: Any) -> dict[str, Any]:
    item = deepcopy(FULL)
    at(item, path[:-1])[path[-1]] = value
    return item  # type: ignore[no-any-return] # the fixture's JSON is an object


def removed(path: Path) -> dict[str, Any]:
    item = deepcopy(FULL)
    del at(item, path[:-1])[path[-1]]
    return item  # type: ignore[no-any-return] # as above


def dotted(path: Path) -> str:
    """The path as `source` of the catalogue has it: `properties.instanceView.statuses[].code`."""
    text = "".join("[]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def hang_on(path: Path) -> set[str]:
    """The instance families that are made of this field, of what is in it or around it."""
    if dotted(path) in NAMES:
        path = path[:-1]
    wanted = dotted(path)
    return {
        family.name
        for family in CATALOGUE
        for source in family.source
        if re.match(rf"{re.escape(source)}($|[.\[])", wanted)
        or re.match(rf"{re.escape(wanted)}($|[.\[])", source)
    }


def of_another_type(value: Any) -> Any:
    match value:
        case bool():
            return "yes"
        case str():
            return {"odd": 1}
        case int():
            return [value]
        case list():
            return {"0": value}
        case _:
            return "text"


def by_family(lines: list[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in lines:
        found.setdefault(line.partition("{")[0], set()).add(line)
    return found


class Odd:
    """The full instance beside a plain one, and what a change of it does to the page."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.before: dict[str, set[str]] = {}
        self.other: list[str] = []
        self.errors = 0.0

    async def begin(self) -> None:
        await self.poll(FULL)
        page = await self.story.page()
        self.before = by_family(lines_of(page, "0"))
        self.other = lines_of(page, "1")

    async def poll(self, item: Any) -> None:
        await self.story.poll_items(item, machine(1))

    async def served(self, item: Any) -> dict[str, set[str]]:
        """The odd one's lines by family, once all is checked that holds for every change."""
        await self.poll(item)
        page = await self.story.page()
        lines = lines_of(page, "0")
        assert re.search(r"^azure_vmss_up{.*} 1$", page, re.MULTILINE)
        assert re.search(r"^azure_vmss_instances{.*} 2$", page, re.MULTILINE)
        assert lines_of(page, "1") == self.other, "the other instance's lines are the same bytes"
        for state in ("power", "provisioning"):
            counts = re.findall(
                rf"^azure_vmss_instances_by_{state}_state{{.*}} (\d)$", page, re.MULTILINE
            )
            assert sum(map(int, counts)) == 2
            name = f"azure_vmss_instance_{state}_state{{"
            held = [line for line in lines if line.startswith(name) and line.endswith(" 1")]
            assert len(held) == 1, "one state holds"
        return by_family(lines)

    async def left_out(self) -> float:
        """How many fields were left out since the last look."""
        before = self.errors
        self.errors = sum((await self.story.counted("mapping_errors_total", "family")).values())
        return self.errors - before

    def changed(self, now: dict[str, set[str]]) -> set[str]:
        return {
            name
            for name in now.keys() | self.before.keys()
            if now.get(name, set()) != self.before.get(name, set())
        }

    def invented(self, now: dict[str, set[str]]) -> set[str]:
        """Words and times of the odd one that were not served when all was there."""
        words = {word for lines in self.before.values() for line in lines for word in _words(line)}
        words |= NO_STATE.union(POWER_STATES, PROVISIONING_STATES, HEALTH_STATES)
        return {word for lines in now.values() for line in lines for word in _words(line)} - words


def _words(line: str) -> list[str]:
    return [*re.findall(r'="((?:[^"\\]|\\.)*)"', line), line.rpartition(" ")[2]]


@pytest.fixture
async def odd(story: Story) -> Odd:
    odd = Odd(story)
    await odd.begin()
    return odd


PATHS = [path for path in paths_of(FULL) if path != ("id",)]


@pytest.mark.parametrize("path", PATHS, ids=dotted)
async def test_a_field_that_is_missing_costs_what_hangs_on_it_and_nothing_is_invented(
    odd: Odd, path: Path
) -> None:
    for item in (removed(path), replaced(path, None)):
        now = await odd.served(item)
        assert odd.changed(now) <= hang_on(path)
        assert not odd.invented(now)
        assert await odd.left_out() == 0, "absent is no error"
    assert odd.changed(await odd.served(FULL)) == set(), "as before"


@pytest.mark.parametrize("path", PATHS, ids=dotted)
async def test_a_field_of_another_type_is_as_absent_and_is_counted(odd: Odd, path: Path) -> None:
    absent = await odd.served(removed(path))
    now = await odd.served(replaced(path, of_another_type(at(FULL, path))))
    assert now == absent
    assert await odd.left_out() == (dotted(path) not in NOT_READ)
    counted = await odd.story.counted("mapping_errors_total", "family")
    assert {family for family, count in counted.items() if count} <= {
        *hang_on(path),
        "azure_vmss_instances",
    }
    assert odd.changed(await odd.served(FULL)) == set(), "as before"


TEXTS = [path for path in PATHS if isinstance(at(FULL, path), str) and path != ("instanceId",)]


@pytest.mark.parametrize("path", TEXTS, ids=dotted)
async def test_a_text_that_is_empty_or_new_stays_where_it_belongs(odd: Odd, path: Path) -> None:
    for text in ("", "New/Thing", "😀", 'a"b\\c\nd'):
        now = await odd.served(replaced(path, text))
        assert odd.changed(now) <= hang_on(path)
        if not text:
            assert not odd.invented(now)
        assert await odd.left_out() == 0
    assert odd.changed(await odd.served(FULL)) == set(), "as before"


@pytest.mark.parametrize(
    "path", [path for path in TEXTS if path[-1] in ("code", "level")], ids=dotted
)
async def test_codes_and_levels_in_another_letter_case_are_the_same(odd: Odd, path: Path) -> None:
    for change in (str.upper, str.lower, str.swapcase):
        text = at(FULL, path)
        now = await odd.served(replaced(path, change(text)))
        changed = odd.changed(now)
        # The text of a substatus is its author's.
        assert changed <= ({SUBSTATUSES} if "substatuses" in path else set())
        assert await odd.story.total("unknown_status_codes_total") == 0
