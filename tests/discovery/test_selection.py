"""Which scale sets an entry of discovery wants."""

from __future__ import annotations

import pytest

from discovery.conftest import OTHER, configured
from exporter.discovery.selection import Selection
from exporter.model.scale_set import FoundScaleSet, ScaleSetId, ScaleSetModel
from support.answers import SUBSCRIPTION


def found(
    name: str = "web", group: str = "rg-web", subscription: str = SUBSCRIPTION, **tags: str
) -> FoundScaleSet:
    return FoundScaleSet(ScaleSetId(subscription, group, name), ScaleSetModel(tags=tags))


def selection(more: str = "", subscriptions: str = SUBSCRIPTION) -> Selection:
    (entry,) = configured(f"[{{subscriptions: [{subscriptions}]{more}}}]").discovery
    return Selection(entry)


@pytest.mark.parametrize(
    ("more", "wanted", "other"),
    [
        ("", found(), found(subscription=OTHER)),
        (", resource_groups: ['rg-*']", found(group="RG-WEB"), found(group="other")),
        (", names: ['web*', jobs]", found("WEB-1"), found("jobs-1")),
        (", tags: {team: web}", found(Team="web", env="x"), found(team="Web")),
        (", tags: {team: web, env: prod}", found(team="web", env="prod"), found(team="web")),
    ],
)
def test_a_set_is_wanted_by_patterns_without_letter_case_and_by_all_tags(
    more: str, wanted: FoundScaleSet, other: FoundScaleSet
) -> None:
    made = selection(more)
    assert made.wants(wanted)
    assert not made.wants(other)


def test_groups_are_listed_one_by_one_where_each_is_named() -> None:
    assert selection(", resource_groups: [rg-a, rg-b]").resource_groups == ("rg-a", "rg-b")
    assert selection(", resource_groups: [rg-a, 'rg-*']").resource_groups == ()
    assert selection().resource_groups == ()


def test_all_stands_for_every_subscription() -> None:
    made = selection(subscriptions="all")
    assert made.everywhere
    assert made.wants(found(subscription=OTHER))


def test_a_subscription_in_two_spellings_is_searched_once() -> None:
    spellings = f"{OTHER}, {OTHER}".replace("1111-1111-1111", "1111-1111-1111")
    assert selection(subscriptions=spellings).subscriptions == (OTHER,)
