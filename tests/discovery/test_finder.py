"""One search: what was found, and what could not be searched."""

from __future__ import annotations

from structlog.testing import capture_logs

from discovery.conftest import OTHER, FakeLists, configured
from exporter.azure.decode_scale_sets import ResourceGroup
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


async def test_groups_of_aks_of_which_the_subscription_s_list_has_no_set_are_listed(
    lists: FakeLists,
) -> None:
    lists.put("web")
    lists.put("known", group="MC_rg_known_westeurope")
    lists.put("late", group="MC_rg_late_westeurope")
    lists.missed.add("late")
    lists.groups[SUBSCRIPTION] = [
        ResourceGroup("rg-web", is_of_aks=False),
        ResourceGroup("rg-empty", is_of_aks=False),
        ResourceGroup("MC_rg_known_westeurope", is_of_aks=True),
        ResourceGroup("MC_rg_late_westeurope", is_of_aks=True),
    ]
    entry = f"{{subscriptions: [{SUBSCRIPTION}]}}"
    made = await search(lists, entry)
    assert names(made) == ["known", "late", "web"]
    assert dict(lists.asked) == {(SUBSCRIPTION, ""): 1, (SUBSCRIPTION, "MC_rg_late_westeurope"): 1}
    entry = f"{{subscriptions: [{SUBSCRIPTION}], resource_groups: [rg-*]}}"
    assert names(await search(lists, entry)) == ["web"]
    assert lists.asked[SUBSCRIPTION, "MC_rg_late_westeurope"] == 1, "it is not wanted"


async def test_without_the_right_to_list_groups_the_subscription_s_list_is_all(
    lists: FakeLists,
) -> None:
    lists.put("web")
    lists.groups_failure = Forbidden("no", action="read")
    (made,) = configured(f"[{{subscriptions: [{SUBSCRIPTION}]}}]").discovery
    finder = Finder(lists)
    with capture_logs() as logs:
        for _ in range(2):
            found = await finder.search(Selection(made))
            assert (names(found), found.failures) == (["web"], [])
    assert [line["event"] for line in logs] == ["resource groups not listed"]
