"""A search by Resource Graph, and the lists that check it."""

from __future__ import annotations

import pytest

from discovery.conftest import OTHER, FakeGraph, FakeLists, configured
from exporter.azure.errors import Forbidden, NotSent, Rejected
from exporter.discovery.finder import Failure, Finder, Search
from exporter.discovery.graph_finder import LISTED_AGAIN, LISTED_EVERY, GraphFinder, Key
from exporter.discovery.selection import Selection
from support.answers import SUBSCRIPTION
from support.clock import FakeClock

BOTH = f"{{subscriptions: [{SUBSCRIPTION}, {OTHER}]}}"
ALL = "{subscriptions: [all]}"
WEB: Key = (SUBSCRIPTION, "rg-web", "web")
JOBS: Key = (OTHER, "rg-web", "jobs")


class Searching:
    """A finder of one entry, over lists and an index that the test writes."""

    def __init__(self, lists: FakeLists, graph: FakeGraph, clock: FakeClock) -> None:
        self.lists = lists
        self.graph = graph
        self.clock = clock
        lists.put("web")
        lists.put("jobs", subscription=OTHER)
        graph.knows(lists)

    def finder(self, entry: str = ALL, *, graph: bool = True) -> GraphFinder:
        (made,) = configured(f"[{entry}]").discovery
        used = self.graph if graph else None
        return GraphFinder(Selection(made), Finder(self.lists), used, clock=self.clock)


@pytest.fixture
def searching(lists: FakeLists, graph: FakeGraph, clock: FakeClock) -> Searching:
    return Searching(lists, graph, clock)


def names(search: Search) -> list[str]:
    return sorted(found.scale_set.name for found in search.found.values())


@pytest.mark.parametrize(
    ("entry", "asked"), [(ALL, ()), (BOTH, (SUBSCRIPTION, OTHER))], ids=["all", "named"]
)
async def test_one_query_finds_what_the_lists_would(
    searching: Searching, entry: str, asked: tuple[str, ...]
) -> None:
    search = await searching.finder(entry).search()
    assert (names(search), search.failures) == (["jobs", "web"], [])
    assert (search.way, search.because) == ("resource_graph", "")
    assert searching.graph.asked == [asked]
    assert not searching.lists.asked
    listed = await searching.finder(entry, graph=False).search()
    assert listed.found == search.found
    assert (listed.way, listed.because) == ("lists", "resource_graph.mode is off")


async def test_patterns_and_tags_hold_for_the_rows_too(searching: Searching) -> None:
    assert names(await searching.finder("{subscriptions: [all], names: [w*]}").search()) == ["web"]
    assert names(await searching.finder("{subscriptions: [all], tags: {a: b}}").search()) == []


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (Forbidden("no", action="read"), "permission"),
        (Rejected("bad query", status=400), "rejected"),
        (NotSent("held", retry_after=9.0), "throttled"),
    ],
)
async def test_where_the_query_fails_lists_do_it_all_and_say_why(
    searching: Searching, failure: Exception, reason: str
) -> None:
    searching.graph.failure = failure
    search = await searching.finder().search()
    assert (names(search), search.failures, search.way) == (["jobs", "web"], [], "lists")
    assert search.graph_failure == Failure("resource_graph", reason, str(failure))
    assert search.because == "Resource Graph has failed"


async def test_rows_without_an_id_are_no_answer(searching: Searching) -> None:
    searching.graph.lost = 1
    search = await searching.finder().search()
    assert (names(search), search.way) == (["jobs", "web"], "lists")


@pytest.mark.parametrize("entry", [ALL, BOTH])
async def test_no_rows_at_all_are_checked_by_lists(searching: Searching, entry: str) -> None:
    searching.graph.sets.clear()
    search = await searching.finder(entry).search(known=[WEB, JOBS])
    assert (names(search), search.way) == (["jobs", "web"], "lists")
    assert search.because == "Resource Graph has no scale set"


async def test_a_known_set_without_a_row_is_looked_for_by_a_list_of_its_subscription(
    searching: Searching,
) -> None:
    searching.graph.sets = searching.graph.sets[:1]
    search = await searching.finder().search(known=[WEB, JOBS])
    assert (names(search), search.way) == (["jobs", "web"], "resource_graph")
    assert dict(searching.lists.asked) == {(OTHER, ""): 1}
    assert search.because == "lists have checked 1 subscriptions"
    searching.lists.sets[OTHER].clear()
    assert names(await searching.finder().search(known=[WEB, JOBS])) == ["web"]


async def test_a_subscription_that_is_named_and_has_no_row_is_listed(
    searching: Searching,
) -> None:
    searching.graph.sets = searching.graph.sets[:1]
    searching.lists.sets[OTHER] = [Forbidden("no", action="read")]
    search = await searching.finder(BOTH).search()
    assert [(failure.where, failure.reason) for failure in search.failures] == [
        (OTHER, "permission")
    ], "no rows may be no permission"
    assert names(search) == ["web"]


async def test_a_list_that_fails_takes_nothing_away(searching: Searching) -> None:
    searching.graph.sets = searching.graph.sets[:1]
    searching.lists.sets[OTHER].append(Forbidden("no", action="read"))
    search = await searching.finder().search(known=[WEB, JOBS], gone=[WEB])
    assert names(search) == ["jobs", "web"]
    assert search.failures


async def test_a_subscription_that_is_not_seen_any_more_is_no_failure_where_all_are_wanted(
    searching: Searching,
) -> None:
    searching.graph.sets = searching.graph.sets[:1]
    del searching.lists.sets[OTHER]
    search = await searching.finder().search(known=[WEB, JOBS])
    assert (names(search), search.failures) == (["web"], [])
    assert not searching.lists.asked
    searching.lists.failure = Forbidden("no", action="read")
    search = await searching.finder().search(known=[WEB, JOBS])
    assert [failure.where for failure in search.failures] == ["subscriptions"]


async def test_a_set_that_the_polls_do_not_find_goes_when_a_list_has_it_not(
    searching: Searching,
) -> None:
    finder = searching.finder()
    searching.lists.sets[SUBSCRIPTION].clear()
    assert names(await finder.search(known=[WEB, JOBS])) == ["jobs", "web"], "the index is late"
    assert names(await finder.search(known=[WEB, JOBS], gone=[WEB])) == ["jobs"]
    # The index still has it: it is not found anew by that.
    assert names(await finder.search(known=[JOBS])) == ["jobs"]
    searching.graph.knows(searching.lists)
    assert names(await finder.search(known=[JOBS])) == ["jobs"]
    searching.lists.put("web")
    searching.graph.knows(searching.lists)
    assert names(await finder.search(known=[JOBS])) == ["jobs", "web"], "it was made again"


async def test_a_set_that_only_the_index_has_stays_while_its_polls_succeed(
    searching: Searching,
) -> None:
    searching.lists.put("aks")
    searching.graph.knows(searching.lists)
    searching.lists.missed.add("aks")
    finder = searching.finder()
    aks: Key = (SUBSCRIPTION, "rg-web", "aks")
    searching.lists.sets[SUBSCRIPTION].pop(0)
    # Another set of its subscription is looked for by a list, which misses this one.
    search = await finder.search(known=[WEB, JOBS, aks], gone=[WEB])
    assert names(search) == ["aks", "jobs"]


async def test_once_in_an_hour_lists_search(searching: Searching, clock: FakeClock) -> None:
    finder = searching.finder()
    searching.lists.put("new")
    assert names(await finder.search()) == ["jobs", "web"]
    await clock.advance(LISTED_EVERY)
    search = await finder.search()
    assert (names(search), search.way) == (["jobs", "new", "web"], "lists")
    assert search.because == "they check Resource Graph once in an hour"
    search = await finder.search(known=list(search.found))
    assert (names(search), search.way) == (["jobs", "new", "web"], "resource_graph")


async def test_lists_that_fail_in_the_hour_s_search_are_tried_again_soon(
    searching: Searching, clock: FakeClock
) -> None:
    finder = searching.finder()
    await clock.advance(LISTED_EVERY)
    searching.lists.failure = Forbidden("no", action="read")
    assert (await finder.search()).failures
    assert (await finder.search()).way == "resource_graph"
    searching.lists.failure = None
    await clock.advance(LISTED_AGAIN)
    search = await finder.search()
    assert (search.way, search.failures) == ("lists", [])
