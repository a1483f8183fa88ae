"""Every declaration is complete, and the declarations hold what the contract names."""

from __future__ import annotations

import pytest

from exporter.metrics.catalogue import CATALOGUE, RESERVED_LABELS
from exporter.metrics.family import Family, InstanceFamily
from exporter.metrics.mapper import Mapper
from support.answers import instance, map_instances

by_name = pytest.mark.parametrize("family", CATALOGUE, ids=lambda family: family.name)


@by_name
def test_help_is_one_plain_sentence(family: Family) -> None:
    assert family.help.endswith(".")
    assert not set(family.help) & set('"\\\n')


@by_name
def test_it_is_reported_when_a_family_is_absent(family: Family) -> None:
    assert family.absent_when.endswith(".")


@by_name
def test_names_follow_the_conventions(family: Family) -> None:
    assert family.name.startswith("azure_vmss_")
    assert family.name.endswith("_total") == (family.kind == "counter")
    assert ("timestamp" not in family.name) or family.name.endswith("_timestamp_seconds")


def test_no_family_is_declared_twice() -> None:
    names = [family.name for family in CATALOGUE]
    assert len(set(names)) == len(names)


def test_labels_of_families_are_reserved() -> None:
    assert {"subscription_id", "instance_id", "state", "extension", "disk"} <= RESERVED_LABELS


def test_an_instance_that_tells_nothing_has_only_its_existence() -> None:
    mapped = map_instances(instance(None))
    served = {family.name for family in CATALOGUE if isinstance(family, InstanceFamily)}
    assert served & set(mapped.all_lines) == {"azure_vmss_instance_info"}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": "vmss_up"}, "not a metric name"),
        ({"labels": ("Bad-Label",)}, "not label names"),
        ({"labels": ("instance_id",)}, "a label repeats"),
        ({"labels": ("state", "state")}, "a label repeats"),
    ],
)
def test_a_bad_declaration_is_refused(changes: dict[str, object], complaint: str) -> None:
    good = {"name": "azure_vmss_x", "help": "X.", "source": (), "absent_when": "Never."}
    with pytest.raises(ValueError, match=complaint):
        Family(**{**good, **changes})  # type: ignore[arg-type] # the mistakes are the point


def test_families_that_need_the_full_list_are_off_without_it() -> None:
    assert {f.name for f in Mapper(full=True).families} - {f.name for f in Mapper().families} == {
        "azure_vmss_instances_by_latest_model_applied",
        "azure_vmss_instance_latest_model_applied",
        "azure_vmss_instance_protection_info",
    }
