"""What a declaration of a family may be, and which families are served."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.family import CounterFamily, FamilyFilter, PollFamily

IDENTITY = ("subscription_id", "resource_group", "scale_set", "instance_id")


def family(**changed: Any) -> PollFamily:
    fields: dict[str, Any] = {
        "name": "azure_vmss_a",
        "help": "Help.",
        "source": ("x",),
        "absent_when": "Never.",
        "rows": lambda poll: [((), poll.interval)],
    }
    return PollFamily(**(fields | changed))


@pytest.mark.parametrize("name", ["vmss_a", "azure_vmss_A", "azure_vmss_a-b", "azure_vmss_"])
def test_a_name_that_is_not_the_exporters_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a metric name"):
        family(name=name)


@pytest.mark.parametrize("label", ["a-b", "1a", "", "Ä"])
def test_a_label_that_is_none_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match="not label names"):
        family(labels=("good", label))


@pytest.mark.parametrize("labels", [*((label,) for label in IDENTITY), ("a", "b", "a")])
def test_a_label_that_repeats_itself_or_the_identity_is_refused(labels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="repeats"):
        family(labels=labels)


def test_every_family_is_a_gauge_or_by_its_name_a_counter_and_tells_whose_it_is() -> None:
    for each in CATALOGUE:
        counts = each.name.endswith("_total")
        assert each.kind == ("counter" if counts else "gauge")
        assert isinstance(each, CounterFamily) is counts
        assert each.identity in {IDENTITY, IDENTITY[:-1]}


def test_what_is_denied_is_not_served_and_what_is_optional_only_where_asked_for() -> None:
    served = FamilyFilter(deny=("azure_vmss_disk_*",), opt_in=("azure_vmss_[cd]*_info",)).serves
    assert served("azure_vmss_up")
    assert not served("azure_vmss_disk_info")
    assert not served("azure_vmss_disk_info", opt_in=True)
    assert served("azure_vmss_cert_info", opt_in=True)
    assert not served("azure_vmss_other_info", opt_in=True)
    assert not FamilyFilter().serves("azure_vmss_up", opt_in=True)
    assert not FamilyFilter(deny=("AZURE_*", "azure_vmss_up")).serves("azure_vmss_up")
    assert FamilyFilter(deny=("AZURE_*",)).serves("azure_vmss_up")
