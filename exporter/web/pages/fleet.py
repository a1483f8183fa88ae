"""`/`: the fleet. Sums, every set with what is wrong with it, the quota, the discovery."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from exporter.discovery.discovery import SearchStatus
from exporter.model.quota import QuotaUse
from exporter.web.pages import links
from exporter.web.pages.fleet_filter import FleetFilter
from exporter.web.pages.fleet_rows import SetFacts, SetRow, Share, shares_of
from exporter.web.pages.paging import Page
from exporter.web.pages.site import PagesSite
from exporter.web.pages.texts import FAILING, NEW, STATES, Since, label, shown

PER_PAGE = 100
"""Sets on one page."""

AT_A_TIME = 100
"""Sets that are looked at before others run: a few milliseconds of work."""

MOST_CHOICES = 200
"""Subscriptions to choose from."""

MOST_QUOTAS = 50
"""Regions of subscriptions whose quota is told, the fullest first."""


@dataclass(frozen=True, slots=True)
class Sums:
    """The fleet in numbers: not only the sets that are looked for."""

    sets: int
    failing: int
    new: int
    instances: int
    shares: list[Share]
    oldest: Since | None


@dataclass(frozen=True, slots=True)
class QuotaRow:
    """The limit of a subscription's region that is closest to being used up."""

    subscription: str
    location: str
    policy: str
    used: int
    allowed: int
    percent: int


@dataclass(frozen=True, slots=True)
class SearchRow:
    """An entry of `discovery`: how its last search went."""

    block: int
    found: int
    way: str
    because: str
    last_success: Since | None
    failures: list[tuple[str, str, str]]
    searched: bool


async def fleet_page(site: PagesSite, wanted: FleetFilter) -> dict[str, Any]:
    """What the template needs.

    Args:
        site: what is shown.
        wanted: the sets that are looked for.
    """
    now, monotonic = site.clock.now(), site.clock.monotonic()
    verdicts: Counter[str] = Counter()
    keys: Counter[str] = Counter()
    instances = 0
    oldest: float | None = None
    subscriptions: set[str] = set()
    found: list[SetFacts] = []
    for number, state in enumerate(site.targets):
        if number % AT_A_TIME == AT_A_TIME - 1:
            await asyncio.sleep(0)
        facts = SetFacts.of(state, monotonic, site.tags)
        verdicts.update(facts.summary.verdicts)
        keys[facts.key] += 1
        instances += facts.instances or 0
        if len(subscriptions) < MOST_CHOICES:
            subscriptions.add(facts.scale_set.subscription_id)
        if state.data.snapshot is not None and (at := state.data.poll.last_success) is not None:
            oldest = at if oldest is None else min(oldest, at)
        if wanted.wants(facts):
            found.append(facts)
    await asyncio.sleep(0)
    found.sort(key=SetFacts.order)
    page = Page.of(found, wanted.page, size=PER_PAGE)
    await asyncio.sleep(0)
    rows = [SetRow.of(facts, now) for facts in page.items]
    await asyncio.sleep(0)
    quotas = _quotas(site.quotas())
    return {
        "sums": Sums(
            sum(keys.values()),
            keys[FAILING.key],
            keys[NEW.key],
            instances,
            shares_of(verdicts),
            Since.of(oldest, now),
        ),
        "wanted": wanted,
        "choices": _choices(site, sorted(subscriptions)),
        "rows": rows,
        "found": len(found),
        "page_number": page.number,
        "pages": page.pages,
        "quotas": quotas[:MOST_QUOTAS],
        "more_quotas": max(0, len(quotas) - MOST_QUOTAS),
        "searches": [_search(one, now, messages=site.messages) for one in site.searches()],
        "grafana": links.grafana_of(site.grafana_url, "fleet"),
    }


def _choices(site: PagesSite, subscriptions: list[str]) -> dict[str, Any]:
    states = [("problems", "anything wrong"), (FAILING.key, FAILING.title), (NEW.key, NEW.title)]
    states += [(key, f"instances: {state.title}") for key, state in STATES.items()]
    return {
        "subscriptions": [(one, label(one)) for one in subscriptions],
        "states": states,
        "tags": [label(tag) for tag in site.tags],
    }


def _quotas(all_used: Iterable[QuotaUse]) -> list[QuotaRow]:
    """One row for each region, by the limit that is used most; the fullest first."""
    fullest: dict[tuple[str, str], QuotaUse] = {}
    for use in all_used:
        key = use.subscription_id, use.location
        if key not in fullest or use.ratio > fullest[key].ratio:
            fullest[key] = use
    ordered = sorted(fullest.values(), key=lambda use: (-use.ratio, use.subscription_id))
    return [
        QuotaRow(
            label(use.subscription_id),
            label(use.location),
            label(use.policy),
            round(use.used),
            round(use.allowed),
            round(100 * min(1.0, use.ratio)),
        )
        for use in ordered
        # Of sets whose region is not known yet, and of calls that belong to no subscription.
        if use.location or (use.used and use.subscription_id)
    ]


def _search(status: SearchStatus, now: float, *, messages: bool) -> SearchRow:
    search = status.search
    failures = list(search.failures) if search else []
    if search and search.graph_failure:
        failures.append(search.graph_failure)
    return SearchRow(
        status.block,
        status.found,
        {"resource_graph": "Resource Graph", "lists": "lists"}[search.way] if search else "",
        label(search.because) if search else "",
        Since.of(status.last_success, now),
        [
            (label(one.where), one.reason, shown(one.message) if messages else "")
            for one in failures[:20]
        ],
        search is not None,
    )
