"""Standby pools and resilient deletions: this answer of Azure → this exposition text."""

from __future__ import annotations

import pytest

from exporter.metrics.mapper import TargetMemory
from support.answers import decode_page, instance, map_instances, text_of

RUNNING = [{"code": "ProvisioningState/succeeded"}, {"code": "PowerState/running"}]
DEALLOCATED = [{"code": "ProvisioningState/succeeded"}, {"code": "PowerState/deallocated"}]
FAILED = [{"code": "ProvisioningState/failed/InternalExecutionError", "level": "Error"}]


def test_an_instance_in_a_standby_pool_is_counted_apart_and_has_its_own_series() -> None:
    found = map_instances(
        instance({"statuses": RUNNING}),
        instance({"statuses": DEALLOCATED, "isVMInStandbyPool": True}, instance_id="1"),
        instance({"statuses": DEALLOCATED, "isVMInStandbyPool": False}, instance_id="2"),
    )
    assert text_of(found, "azure_vmss_instances") == "azure_vmss_instances 2\n"
    assert text_of(found, "azure_vmss_instances_in_standby_pool") == (
        "azure_vmss_instances_in_standby_pool 1\n"
    )
    assert 'azure_vmss_instances_by_power_state{state="deallocated"} 1\n' in text_of(found)
    assert text_of(found, "azure_vmss_instance_in_standby_pool") == (
        'azure_vmss_instance_in_standby_pool{instance_id="1"} 1\n'
    )
    assert 'power_state{instance_id="1",state="deallocated"} 1\n' in text_of(found)


def test_without_standby_pools_nothing_is_said_of_them() -> None:
    assert "standby" not in text_of(map_instances(instance({"statuses": RUNNING})))


@pytest.mark.parametrize("name", ["isVMInStandbyPool", "isVmInStandbyPool", "IsVMInStandbyPool"])
def test_the_field_has_any_letter_case(name: str) -> None:
    body = b'{"value":[{"instanceId":"1","properties":{"instanceView":{"%b":true}}}]}'
    (found,) = decode_page(body % name.encode()).instances
    assert "azure_vmss_instances_in_standby_pool 1\n" in text_of(map_instances(found))


@pytest.mark.parametrize("status", ["InProgress", "inprogress"])
def test_a_failed_state_in_a_resilient_deletion_is_neither_a_failure_nor_counted(
    status: str,
) -> None:
    memory = TargetMemory()
    map_instances(instance({"statuses": RUNNING}), memory=memory)
    going = instance({"statuses": FAILED}, properties={"resilientVMDeletionStatus": status})
    found = map_instances(going, memory=memory)
    text = text_of(found)
    assert 'azure_vmss_instances_by_provisioning_state{state="failed"} 0\n' in text
    assert 'azure_vmss_instances_by_provisioning_state{state="deleting"} 1\n' in text
    assert "azure_vmss_instance_provisioning_failure" not in text
    assert text_of(found, "azure_vmss_instance_resilient_deletion_state") == (
        'azure_vmss_instance_resilient_deletion_state{instance_id="0",state="inprogress"} 1\n'
    )
    assert memory.transitions is not None
    assert sum(memory.transitions.counts.failures.values()) == 0


@pytest.mark.parametrize(("status", "failures"), [("Failed", 1), ("Enabled", 1), (None, 1)])
def test_a_deletion_that_has_failed_is_a_failure(status: str | None, failures: int) -> None:
    going = instance({"statuses": FAILED}, properties={"resilientVMDeletionStatus": status})
    text = text_of(map_instances(going))
    assert text.count("azure_vmss_instance_provisioning_failure{") == failures
    assert ('resilient_deletion_state{instance_id="0",state="failed"} 1' in text) == (
        status == "Failed"
    )
