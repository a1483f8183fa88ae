"""No author of a name, a code or a version makes series or label values without end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.exposition.text_format import LONGEST_VALUE, cut, cut_id, header
from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.limited_names import MOST_NAMES, OTHER
from exporter.metrics.mapper import MappedInstances, Mapper, TargetMemory
from exporter.model.scale_set import ScaleSetId, ScaleSetModel, Target
from support.answers import WEB_TARGET, instance, lines_of, map_instances, samples

Named = Callable[[list[str]], dict[str, Any]]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def status(code: str, level: str = "Info") -> dict[str, str]:
    return {"code": code, "level": level, "time": "2024-07-08T07:27:29Z"}


def extensions(names: list[str]) -> dict[str, Any]:
    return {
        "extensions": [
            {
                "name": name,
                "type": f"type of {name}",
                "typeHandlerVersion": f"1.{name}",
                "statuses": [status("ProvisioningState/failed/-1", "Error")],
                "substatuses": [status("ComponentStatus/StdOut/succeeded")],
            }
            for name in names
        ]
    }


def handlers(names: list[str]) -> dict[str, Any]:
    found = [
        {
            "type": name,
            "typeHandlerVersion": f"1.{name}",
            "status": status("ProvisioningState/NotReady/21"),
        }
        for name in names
    ]
    return {"vmAgent": {"extensionHandlers": found}}


def disks(names: list[str]) -> dict[str, Any]:
    statuses = [status("ProvisioningState/succeeded"), status("EncryptionState/notEncrypted")]
    return {"disks": [{"name": name, "statuses": statuses} for name in names]}


KINDS = [(extensions, "extension"), (handlers, "handler"), (disks, "disk")]


def page_of(mapped: MappedInstances) -> Samples:
    """All samples; one that is there twice is an error."""
    text = "".join(
        header(family.name, family.kind, family.help) + lines_of(mapped, family.name)
        for family in CATALOGUE
        if family.name in mapped.all_lines
    )
    return samples(text)


def shown(found: Samples, label: str) -> set[str]:
    """The values of a label, without those of families that have it beside another name."""
    return {dict(at)[label] for name, at in found if label in dict(at) and "info" not in name}


@pytest.mark.parametrize(("make", "label"), KINDS)
def test_of_8000_names_64_have_series_and_the_rest_is_other(make: Named, label: str) -> None:
    names = [f"name-{number}" for number in range(8000)]
    assert (MOST_NAMES, OTHER) == (64, "other")
    mapped = map_instances(instance(make(names)), instance(make(names[:3]), instance_id="1"))
    found = page_of(mapped)
    assert shown(found, label) == {*names[:MOST_NAMES], OTHER}
    families = {name for name, at in found if label in dict(at)}
    assert len(families) >= 4
    assert mapped.series < 1000


@pytest.mark.parametrize(("make", "label"), KINDS)
def test_exactly_64_names_all_have_series(make: Named, label: str) -> None:
    names = [f"name-{number}" for number in range(MOST_NAMES)]
    assert shown(page_of(map_instances(instance(make(names)))), label) == set(names)


@pytest.mark.parametrize(("make", "label"), KINDS)
def test_a_name_keeps_its_series_while_it_lasts_and_then_its_place_is_free(
    make: Named, label: str
) -> None:
    memory = TargetMemory()
    old = [f"old-{number}" for number in range(MOST_NAMES)]
    new = [f"new-{number}" for number in range(MOST_NAMES)]
    map_instances(instance(make(old)), memory=memory)
    both = page_of(map_instances(instance(make([*new, *old])), memory=memory))
    assert shown(both, label) == {*old, OTHER}
    map_instances(instance(make(old[1:])), memory=memory)
    late = page_of(map_instances(instance(make([*new[:2], *old[1:]])), memory=memory))
    assert shown(late, label) == {*old[1:], new[0], OTHER}


def test_other_has_the_worst_of_those_that_it_stands_for() -> None:
    memory = TargetMemory(extensions={f"kept-{number}" for number in range(MOST_NAMES)})
    view = extensions(["a", "b", "c"])
    for extension, level in zip(view["extensions"], ("Info", "Error", "Warning"), strict=True):
        code = f"ProvisioningState/{extension['name']}/7"
        extension["statuses"] = [status(code, level)]
    found = page_of(map_instances(instance(view), instance(view, instance_id="1"), memory=memory))
    assert shown(found, "extension") == {OTHER}
    by_name = {name: (dict(at), value) for (name, at), value in found.items()}
    assert by_name["azure_vmss_extension_status_level"][1] == 2
    assert by_name["azure_vmss_extension_state"][0]["state"] == "b"
    info, _ = by_name["azure_vmss_extension_info"]
    assert (info["handler"], info["version"]) == ("", ""), "of three, none is theirs"
    counted = {
        dict(at)["level"]: value
        for (name, at), value in found.items()
        if name == "azure_vmss_extension_instances"
    }
    assert counted == {"info": 0, "warning": 0, "error": 2}, "instances, not extensions"


def test_an_extension_that_is_named_other_takes_no_place() -> None:
    names = [OTHER, *(f"name-{number}" for number in range(MOST_NAMES))]
    found = page_of(map_instances(instance(extensions(names))))
    assert shown(found, "extension") == set(names)
    infos = [dict(at) for name, at in found if name == "azure_vmss_extension_info"]
    assert {info["version"] for info in infos if info["extension"] == OTHER} == {"1.other"}


@pytest.mark.parametrize(
    ("value", "length"),
    [
        ("x" * 256, 256),
        ("x" * 257, 256),
        ("é" * 128, 256),
        ("é" * 129, 255),
        ("😀" * 64, 256),
        ("😀" * 65, 255),
        ("x" * 3_000_000, 256),
    ],
)
def test_a_text_is_cut_between_two_characters(value: str, length: int) -> None:
    for found in (cut(value), cut_id(value)):
        raw = found.encode()
        assert len(raw) <= LONGEST_VALUE
        assert found.endswith("…") == (len(value.encode()) > LONGEST_VALUE)
    assert len(cut(value).encode()) == length


LONG = "é" * 1_500_000


def everywhere(end: str) -> dict[str, Any]:
    """An instance whose texts are all very long, and whose names differ in their ends only."""
    long = LONG + end
    return {
        "computerName": long,
        "osName": long,
        "platformFaultDomain": long,
        "rdpThumbPrint": long,
        "statuses": [
            status(f"ProvisioningState/failed/{long}", "Error"),
            status(f"PowerState/{long}"),
            status(f"OSState/{long}", long),
        ],
        "maintenanceRedeployStatus": {"lastOperationResultCode": long},
        **extensions([long, long + "2"]),
        **disks([long, long + "2"]),
        "vmAgent": {
            "vmAgentVersion": long,
            "statuses": [status(f"ProvisioningState/{long}")],
            **handlers([long, long + "2"])["vmAgent"],
        },
    }


def test_no_label_value_is_longer_than_256_bytes_and_none_makes_a_series_twice() -> None:
    mapper, memory = Mapper(full=True), TargetMemory()
    machines = [
        instance(
            everywhere(end),
            instance_id="i" * 100_000 + end,
            name=LONG + end,
            properties={"vmId": LONG + end, "hardwareProfile": {"vmSize": LONG}},
        )
        for end in "ab"
    ]
    target = Target(WEB_TARGET.scale_set, 60.0, (("team", LONG),))
    mapped = map_instances(*machines, target=target, memory=memory, mapper=mapper)
    map_instances(*machines, target=target, memory=memory, mapper=mapper)
    lines = [mapped.all_lines, mapper.counters(target, memory)]
    facts = ScaleSetModel(location=LONG, sku=LONG, tags={"a": LONG})
    lines.append(mapper.model(target, facts))
    found: Samples = {}
    for part in lines:
        for block in part.values():
            for family in text_string_to_metric_families(block.text.decode()):
                for sample in family.samples:
                    key = (sample.name, frozenset(sample.labels.items()))
                    assert key not in found
                    found[key] = sample.value
    for name, at in found:
        for label, value in at:
            assert len(value.encode()) <= LONGEST_VALUE, (name, label)
    ids = {dict(at).get("instance_id") for _, at in found} - {None}
    assert len(ids) == 2
    assert [v for (name, _), v in found.items() if name == "azure_vmss_instances"] == [2]
    assert memory.spellings.keys() <= {cut_id("i" * 100_000 + end) for end in "ab"}


def test_long_ids_that_differ_in_letter_case_only_are_one_instance() -> None:
    memory = TargetMemory()
    first = map_instances(instance({}, instance_id="A" * 300), memory=memory)
    second = map_instances(instance({}, instance_id="a" * 300), memory=memory)
    assert lines_of(first, "azure_vmss_instance_power_state") == lines_of(
        second, "azure_vmss_instance_power_state"
    )


def test_the_longest_names_that_azure_allows_still_join_with_kubernetes() -> None:
    scale_set = ScaleSetId("0" * 36, "g" * 90, "s" * 64)
    mapped = map_instances(instance({}, instance_id="123"), target=Target(scale_set, 60.0))
    provider = f"azure:///subscriptions/{'0' * 36}/resourceGroups/{'g' * 90}/providers/"
    provider += f"Microsoft.Compute/virtualMachineScaleSets/{'s' * 64}/virtualMachines/123"
    assert f'provider_id="{provider}"' in lines_of(mapped, "azure_vmss_instance_info")
