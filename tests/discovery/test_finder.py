"""One search: what was found, and what could not be searched."""

from __future__ import annotations

from discovery.conftest import OTHER, FakeLists, configured
from exporter.azure.errors import Forbidden, NotFound, NotSent
from exporter.discovery.finder import Failure, Finder, Search
from exporter.discovery.selection import Selection
from support.answers import SUBSCRIPTION


async def search(lists: FakeLists, entry: str) -> Search:
    (made,) = configured(f"[{entry}]").discovery
    return await Finder(lists).search(Selection(made))


def names(search: Search) -> list[str]:
    return sorted(found.scale_set.name for found in search.found.values())


async def test_every_subscription_that_the_identity_sees_is_searched(lists: FakeLists) -> None:
    lists.put("web")
    lists.put("jobs", subscription=OTHER)
    made = await search(lists, "{subscriptions: [all]}")
    assert (names(made), made.failures) == (["jobs", "web"], [])


async def test_without_the_subscriptions_nothing_is_searched(lists: FakeLists) -> None:
    lists.failure = NotSent("held", retry_after=5.0)
    made = await search(lists, "{subscriptions: [all]}")
    assert made.failures == [Failure("subscriptions", "throttled", "held")]
    assert not lists.asked


async def test_a_list_that_breaks_midway_gives_what_it_had_and_is_a_failure(
    lists: FakeLists,
) -> None:
    lists.put("web")
    lists.sets[SUBSCRIPTION].append(Forbidden("no", action="read"))
    lists.put("jobs", subscription=OTHER)
    made = await search(lists, f"{{subscriptions: [{SUBSCRIPTION}, {OTHER}]}}")
    assert names(made) == ["jobs", "web"]
    assert [(failure.where, failure.reason) for failure in made.failures] == [
        (SUBSCRIPTION, "permission")
    ]


async def test_named_groups_are_listed_alone_and_one_that_does_not_exist_is_empty(
    lists: FakeLists,
) -> None:
    lists.put("web")
    lists.put("jobs", group="rg-jobs")
    entry = f"{{subscriptions: [{SUBSCRIPTION}], resource_groups: [rg-web]}}"
    assert names(await search(lists, entry)) == ["web"]
    assert dict(lists.asked) == {(SUBSCRIPTION, "rg-web"): 1}
    lists.sets[SUBSCRIPTION] = [NotFound("no", missing="resource group", removes=True)]
    made = await search(lists, entry)
    assert (names(made), made.failures) == ([], [])
