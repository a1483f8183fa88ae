"""Each test: this answer about a part of an instance or set gives this exposition text."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.metrics.family import FamilyFilter
from exporter.metrics.mapper import Mapper, TargetMemory
from exporter.model.poll import PollState
from exporter.model.scale_set import ScaleSetId, ScaleSetModel, Target
from support.answers import WEB, WEB_TARGET, described, instance, map_instances, text_of


def status(code: str | None, level: str | None = "Info", **more: Any) -> dict[str, Any]:
    return {"code": code, "level": level, **more}


def test_disks_tell_provisioning_and_encryption_apart() -> None:
    mapped = map_instances(
        instance(
            {
                "disks": [
                    {
                        "name": "os",
                        "statuses": [
                            status("ProvisioningState/succeeded"),
                            status("EncryptionState/notEncrypted", "Warning"),
                        ],
                    },
                    {"name": "data", "statuses": [status("ProvisioningState/failed", "Error")]},
                    {"name": "bare"},
                ]
            }
        )
    )
    disks = tuple(name for name in mapped.all_lines if "disk" in name)
    assert text_of(mapped, *sorted(disks)) == (
        'azure_vmss_disk_encryption_state{instance_id="0",disk="os",state="notencrypted"} 1\n'
        'azure_vmss_disk_instances{level="info"} 0\n'
        'azure_vmss_disk_instances{level="warning"} 0\n'
        'azure_vmss_disk_instances{level="error"} 1\n'
        'azure_vmss_disk_state{instance_id="0",disk="os",state="succeeded"} 1\n'
        'azure_vmss_disk_state{instance_id="0",disk="data",state="failed"} 1\n'
        'azure_vmss_disk_status_level{instance_id="0",disk="os"} 0\n'
        'azure_vmss_disk_status_level{instance_id="0",disk="data"} 2\n'
    )


def test_extensions_of_one_name_are_one_extension_with_the_worst_status() -> None:
    mapped = map_instances(
        instance(
            {
                "extensions": [
                    {"name": "script", "type": "T", "statuses": [status("ProvisioningState/ok")]},
                    {
                        "name": "script",
                        "type": "U",
                        "statuses": [status("ProvisioningState/failed/1000", "Error")],
                    },
                    {"name": "named-only"},
                ]
            }
        )
    )
    extensions = sorted(name for name in mapped.all_lines if "extension" in name)
    assert text_of(mapped, *extensions) == (
        'azure_vmss_extension_info{instance_id="0",extension="script",handler="T",version=""} 1\n'
        'azure_vmss_extension_info{instance_id="0",extension="named-only",handler="",version=""} 1\n'
        'azure_vmss_extension_instances{extension="script",level="info"} 0\n'
        'azure_vmss_extension_instances{extension="script",level="warning"} 0\n'
        'azure_vmss_extension_instances{extension="script",level="error"} 1\n'
        'azure_vmss_extension_state{instance_id="0",extension="script",state="failed"} 1\n'
        'azure_vmss_extension_status_code{instance_id="0",extension="script"} 1000\n'
        'azure_vmss_extension_status_level{instance_id="0",extension="script"} 2\n'
    )


def test_substatuses_are_cut_bounded_and_never_repeated() -> None:
    substatuses = [
        status("ComponentStatus//succeeded"),
        status("ComponentStatus/" + "x" * 100 + "/failed/1", "Error"),
        status("ComponentStatus/" + "x" * 90 + "/failed/2", "Warning"),
        *(status(f"ComponentStatus/part {number}/succeeded") for number in range(20)),
    ]
    mapped = map_instances(
        instance({"extensions": [{"name": "e", "substatuses": substatuses}]}),
    )
    lines = text_of(mapped, "azure_vmss_extension_substatus_level").splitlines()
    begin = 'azure_vmss_extension_substatus_level{instance_id="0",extension="e",substatus='
    assert lines[0] == begin + '"",state="succeeded"} 0'
    assert lines[1] == begin + '"' + "x" * 64 + '",state="failed"} 2'
    assert lines[-1] == begin + '"other",state="other"} 0'
    assert len(lines) == 17


def test_a_handler_that_is_not_ready_shows_its_state_and_code() -> None:
    handlers = [{"type": "H", "status": status("ProvisioningState/NotReady/21")}, {"type": "I"}]
    mapped = map_instances(instance({"vmAgent": {"extensionHandlers": handlers}}))
    names = sorted(name for name in mapped.all_lines if "handler" in name)
    assert text_of(mapped, *names) == (
        'azure_vmss_extension_handler_info{instance_id="0",handler="H",version=""} 1\n'
        'azure_vmss_extension_handler_info{instance_id="0",handler="I",version=""} 1\n'
        'azure_vmss_extension_handler_state{instance_id="0",handler="H",state="notready"} 1\n'
        'azure_vmss_extension_handler_status_code{instance_id="0",handler="H"} 21\n'
        'azure_vmss_extension_handler_status_level{instance_id="0",handler="H"} 0\n'
    )


def test_health_is_counted_only_where_it_is_on() -> None:
    healthy = instance({"vmHealth": {"status": status("HealthState/healthy")}}, instance_id="1")
    without = instance({}, instance_id="2")
    assert "azure_vmss_instances_by_health_state" not in map_instances(without).all_lines
    mapped = map_instances(healthy, without, mapper=Mapper(state_sets="active"))
    assert text_of(
        mapped, "azure_vmss_instance_health_state", "azure_vmss_instances_by_health_state"
    ) == (
        'azure_vmss_instance_health_state{instance_id="1",state="healthy"} 1\n'
        'azure_vmss_instances_by_health_state{state="healthy"} 1\n'
        'azure_vmss_instances_by_health_state{state="unhealthy"} 0\n'
        'azure_vmss_instances_by_health_state{state="initializing"} 0\n'
        'azure_vmss_instances_by_health_state{state="unknown"} 0\n'
    )


@pytest.mark.parametrize("view", [{"platformUpgradeDomain": "5"}, {"platformUpdateDomain": 5}])
def test_both_names_of_the_update_domain_map(view: dict[str, Any]) -> None:
    mapped = map_instances(
        instance({**view, "platformFaultDomain": 0}, zones=[None, "2"]),
    )
    assert text_of(
        mapped, "azure_vmss_instance_placement_info", "azure_vmss_instances_by_fault_domain"
    ) == (
        "azure_vmss_instance_placement_info"
        '{instance_id="0",fault_domain="0",update_domain="5",availability_zone="2"} 1\n'
        'azure_vmss_instances_by_fault_domain{availability_zone="2",fault_domain="0"} 1\n'
    )


def test_an_instance_without_a_domain_has_no_placement_and_counts_under_empty_ones() -> None:
    mapped = map_instances(instance({}))
    assert "azure_vmss_instance_placement_info" not in mapped.all_lines
    assert text_of(mapped, "azure_vmss_instances_by_fault_domain") == (
        'azure_vmss_instances_by_fault_domain{availability_zone="",fault_domain=""} 1\n'
    )


def test_latest_model_and_protection_are_served_only_with_detail_full() -> None:
    item = instance(
        {},
        properties={
            "latestModelApplied": True,
            "protectionPolicy": {"protectFromScaleIn": True},
        },
    )
    selected = map_instances(item)
    assert not [
        name for name in selected.all_lines if "latest_model" in name or "protection" in name
    ]
    full = map_instances(item, mapper=Mapper(full=True))
    assert text_of(
        full,
        "azure_vmss_instance_latest_model_applied",
        "azure_vmss_instances_by_latest_model_applied",
        "azure_vmss_instance_protection_info",
    ) == (
        'azure_vmss_instance_latest_model_applied{instance_id="0"} 1\n'
        'azure_vmss_instances_by_latest_model_applied{applied="true"} 1\n'
        'azure_vmss_instances_by_latest_model_applied{applied="false"} 0\n'
        "azure_vmss_instance_protection_info"
        '{instance_id="0",protect_from_scale_in="true",protect_from_scale_set_actions=""} 1\n'
    )


def test_maintenance_shows_its_windows() -> None:
    maintenance = {
        "isCustomerInitiatedMaintenanceAllowed": True,
        "preMaintenanceWindowStartTime": "2024-07-08T00:00:00Z",
        "preMaintenanceWindowEndTime": "2024-07-09T00:00:00Z",
        "maintenanceWindowStartTime": "2024-07-10T00:00:00Z",
        "lastOperationResultCode": "RetryLater",
    }
    mapped = map_instances(instance({"maintenanceRedeployStatus": maintenance}))
    names = sorted(name for name in mapped.all_lines if "maintenance" in name)
    window = "azure_vmss_instance_maintenance_window"
    assert text_of(mapped, *names) == (
        "azure_vmss_instance_maintenance_info"
        '{instance_id="0",customer_initiated_allowed="true",last_result="retrylater"} 1\n'
        f'{window}_end_timestamp_seconds{{instance_id="0",window="pre"}} 1720483200\n'
        f'{window}_start_timestamp_seconds{{instance_id="0",window="pre"}} 1720396800\n'
        f'{window}_start_timestamp_seconds{{instance_id="0",window="scheduled"}} 1720569600\n'
    )


def test_every_status_kind_has_its_level_and_all_others_are_other() -> None:
    statuses = [
        status("ColocationStatus/Aligned"),
        status("MigrationPhase/commit", "Warning"),
        status("Novelty/one", "Warning"),
        status("Novelty", "Error"),
        status("PowerState/running", "Catastrophe"),
    ]
    mapped = map_instances(instance({"statuses": statuses}))
    assert text_of(mapped, "azure_vmss_instance_status_level") == (
        'azure_vmss_instance_status_level{instance_id="0",status="colocation_status"} 0\n'
        'azure_vmss_instance_status_level{instance_id="0",status="migration_phase"} 1\n'
        'azure_vmss_instance_status_level{instance_id="0",status="other"} 2\n'
    )
    assert mapped.unknown_codes == 1


def test_the_info_of_an_instance_joins_kubernetes_nodes() -> None:
    target = Target(ScaleSetId("SUB", "RG-Web", "Web"), 60.0)
    view = {"computerName": "web000001", "osName": "debian", "hyperVGeneration": "V2"}
    mapped = map_instances(instance(view, instance_id="1"), target=target)
    assert text_of(mapped, "azure_vmss_instance_info") == (
        'azure_vmss_instance_info{instance_id="1",instance_name="Web_1",'
        'computer_name="web000001",os_name="debian",os_version="",hyper_v_generation="V2",'
        'vm_size="",vm_id="",provider_id="azure:///subscriptions/SUB/resourceGroups/rg-web/'
        'providers/Microsoft.Compute/virtualMachineScaleSets/Web/virtualMachines/1"} 1\n'
    )


def test_a_hibernated_instance_is_deallocated_and_hibernated() -> None:
    hibernated = instance(
        {
            "statuses": [
                status("ProvisioningState/succeeded"),
                status("hibernationState/Hibernated"),
                status("PowerState/deallocated"),
            ]
        }
    )
    mapped = map_instances(hibernated, instance({}, instance_id="1"))
    families = (
        "azure_vmss_instances_by_hibernation_state",
        "azure_vmss_instance_hibernation_state",
    )
    assert text_of(mapped, *families) == (
        'azure_vmss_instances_by_hibernation_state{state="hibernated"} 1\n'
        'azure_vmss_instance_hibernation_state{instance_id="0",state="hibernated"} 1\n'
    )
    power = text_of(mapped, "azure_vmss_instance_power_state")
    assert 'instance_id="0",state="deallocated"} 1\n' in power
    level = text_of(mapped, "azure_vmss_instance_status_level")
    assert 'status="other"} 0\n' in level
    assert mapped.unknown_codes == 0
    assert not any("hibernation" in name for name in map_instances(instance({})).all_lines)


@pytest.mark.parametrize("priority", ["Low", "low", "LOW", "Spot"])
def test_low_is_the_old_name_of_spot_and_a_region_has_its_short_name(priority: str) -> None:
    facts = ScaleSetModel(location="West US 2", priority=priority, has_profile=True)
    text = b"".join(block.text for block in Mapper().model(WEB_TARGET, facts).values()).decode()
    assert 'location="westus2"' in text
    assert 'priority="spot"' in text


def test_both_places_of_the_rdp_thumbprint_map() -> None:
    for view in ({"rdpThumbPrint": "AB"}, {"windowsConfiguration": {"rdpThumbPrint": "AB"}}):
        assert text_of(
            map_instances(instance(view)), "azure_vmss_instance_rdp_certificate_info"
        ) == ('azure_vmss_instance_rdp_certificate_info{instance_id="0",thumbprint="AB"} 1\n')


def test_an_empty_set_has_its_counts_at_zero() -> None:
    mapped = map_instances()
    assert text_of(mapped, "azure_vmss_instances") == "azure_vmss_instances 0\n"
    assert 'state="running"} 0' in text_of(mapped, "azure_vmss_instances_by_power_state")
    assert described(mapped) == []


def test_labels_are_escaped() -> None:
    disk = {"name": 'a"b\\c\nd é', "statuses": [status("ProvisioningState/ok")]}
    assert text_of(map_instances(instance({"disks": [disk]})), "azure_vmss_disk_state") == (
        'azure_vmss_disk_state{instance_id="0",disk="a\\"b\\\\c\\nd é",state="ok"} 1\n'
    )


def test_an_instance_listed_twice_in_one_walk_is_served_once_in_any_case() -> None:
    mapped = map_instances(instance({}, instance_id="web_0A"), instance({}, instance_id="WEB_0a"))
    assert mapped.instances == 1


def test_a_changed_letter_case_of_an_id_makes_no_new_series() -> None:
    memory = TargetMemory()
    map_instances(instance({}, instance_id="web_0A"), memory=memory)
    mapped = map_instances(instance({}, instance_id="WEB_0a"), memory=memory)
    assert 'instance_id="web_0A"' in text_of(mapped, "azure_vmss_vm_info", *mapped.all_lines)
    assert "WEB_0a" not in text_of(mapped)


def test_extra_labels_are_on_every_series_of_the_set() -> None:
    target = Target(WEB, 60.0, (("team", "web"),))
    mapped = map_instances(instance({}), target=target)
    lines = b"".join(block.text for block in mapped.all_lines.values()).decode().splitlines()
    assert all(',scale_set="web",team="web"' in line for line in lines)


def test_denied_families_are_gone_and_opt_in_ones_come_when_named() -> None:
    view = {"rdpThumbPrint": "AB", "statuses": [status("PowerState/running")]}
    plain = map_instances(instance(view), mapper=Mapper())
    assert "azure_vmss_instance_rdp_certificate_info" not in plain.all_lines
    families = FamilyFilter(
        deny=("azure_vmss_instance_*state*",), opt_in=("azure_vmss_instance_rdp_*",)
    )
    chosen = map_instances(instance(view), mapper=Mapper(families=families))
    assert "azure_vmss_instance_rdp_certificate_info" in chosen.all_lines
    assert "azure_vmss_instance_power_state" not in chosen.all_lines
    assert "azure_vmss_instances_by_power_state" in chosen.all_lines


def test_the_facts_of_a_set_are_served_and_absent_ones_are_empty() -> None:
    facts = ScaleSetModel(
        location="WestEurope",
        sku="Standard_D2s_v3",
        capacity=3,
        orchestration_mode="Uniform",
        upgrade_policy="Manual",
        has_profile=True,
        priority="Spot",
        eviction_policy="Deallocate",
        tags={"Team": "web"},
    )
    mapper = Mapper(tags=("team", "cost-center"))
    text = b"".join(b.text for b in mapper.model(WEB_TARGET, facts).values()).decode()
    assert text.replace(
        'subscription_id="00000000-0000-0000-0000-000000000000",resource_group="rg-web",'
        'scale_set="web"',
        "SET",
    ) == (
        'azure_vmss_info{SET,location="westeurope",sku="Standard_D2s_v3",'
        'orchestration_mode="uniform",upgrade_policy="manual",priority="spot",'
        'eviction_policy="deallocate"} 1\n'
        "azure_vmss_capacity{SET} 3\n"
        'azure_vmss_tags_info{SET,tag_team="web",tag_cost_center=""} 1\n'
    )
    bare = b"".join(
        block.text for block in Mapper().model(WEB_TARGET, ScaleSetModel()).values()
    ).decode()
    assert "azure_vmss_capacity" not in bare
    assert 'orchestration_mode="uniform",upgrade_policy="",priority=""' in bare


def test_the_json_of_an_instance_holds_every_status_and_cuts_messages_at_one_kilobyte() -> None:
    view = {
        "statuses": [status("PowerState/Running", displayStatus="VM Running")],
        "extensions": [
            {
                "name": "script",
                "statuses": [status("ProvisioningState/failed/1", "Error", message="é" * 2000)],
                "substatuses": [status("ComponentStatus/StdErr/failed", message="boom")],
            }
        ],
    }
    (found,) = described(map_instances(instance(view)))
    running, failed, output = found["statuses"]
    assert running == {
        "part": "instance",
        "code": "PowerState/Running",
        "level": "Info",
        "display_status": "VM Running",
    }
    assert len(failed["message"].encode()) <= 1024
    assert failed["message"].endswith("…")
    assert output["message"] == "boom"
    (hidden,) = described(map_instances(instance(view), mapper=Mapper(messages=False)))
    assert not any("message" in entry for entry in hidden["statuses"])


def test_a_null_or_a_status_without_level_hides_no_substatus_that_comes_after_it() -> None:
    substatuses = [
        None,
        {"code": "ComponentStatus/odd/succeeded"},
        status("ComponentStatus/StdErr/failed", "Error"),
    ]
    extensions = [None, {"name": "e", "substatuses": substatuses}]
    mapped = map_instances(instance({"extensions": extensions}))
    assert text_of(mapped, "azure_vmss_extension_substatus_level") == (
        'azure_vmss_extension_substatus_level{instance_id="0",extension="e",substatus="StdErr",'
        'state="failed"} 2\n'
    )


def test_how_the_polls_stand_is_served_as_it_is() -> None:
    state = PollState(interval=60.0, duration=1.5, suppressed=True)
    lines = Mapper().poll(WEB_TARGET, state)
    values = {name: block.text.decode().rpartition("} ")[2] for name, block in lines.items()}
    assert values["azure_vmss_instance_series_suppressed"] == "1\n"
    assert values["azure_vmss_poll_duration_seconds"] == "1.5\n"
    assert values["azure_vmss_poll_interval_seconds"] == "60\n"
    assert values["azure_vmss_up"] == "0\n"
