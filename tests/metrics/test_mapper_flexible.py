"""The virtual machines of a Flexible set: this answer of Azure → this exposition text."""

from __future__ import annotations

from exporter.metrics.mapper import MappedInstances, Mapper, TargetMemory
from support.answers import ROOT, SUBSCRIPTION, WEB_TARGET, decode_page, text_of

ANSWER = (ROOT / "tests/fixtures/azure/flexible-virtual-machines.json").read_bytes()
MACHINES = f"azure:///subscriptions/{SUBSCRIPTION}/resourceGroups/rg-web/providers/Microsoft.Compute/virtualMachines"


def mapped(memory: TargetMemory | None = None) -> MappedInstances:
    """Map the machines as they are served by default, with `detail: instance_view`."""
    mapping = Mapper().start(WEB_TARGET, memory or TargetMemory(), flexible=True)
    for _ in mapping.steps(decode_page(ANSWER)):
        pass
    return mapping.finish()


def test_a_machine_is_an_instance_by_its_name() -> None:
    assert text_of(mapped(), "azure_vmss_instance_info") == (
        'azure_vmss_instance_info{instance_id="web_a1b2c3d4",instance_name="web_a1b2c3d4",computer_name="weba1b2c3d4",os_name="ubuntu",os_version="24.04",hyper_v_generation="V2",vm_size="Standard_D4s_v5",vm_id="22222222-2222-2222-2222-222222222222",'
        f'provider_id="{MACHINES}/web_a1b2c3d4"}} 1\n'
        'azure_vmss_instance_info{instance_id="vm-attached",instance_name="vm-attached",computer_name="",os_name="",os_version="",hyper_v_generation="",vm_size="Standard_D8s_v5",vm_id="33333333-3333-3333-3333-333333333333",'
        f'provider_id="{MACHINES}/vm-attached"}} 1\n'
    )


def test_the_fault_domain_stands_beside_the_instance_view_and_a_null_zone_is_none() -> None:
    assert text_of(mapped(), "azure_vmss_instance_placement_info") == (
        'azure_vmss_instance_placement_info{instance_id="web_a1b2c3d4",fault_domain="0",update_domain="",availability_zone="2"} 1\n'
    )


def test_sizes_are_counted_whatever_the_detail() -> None:
    assert text_of(mapped(), "azure_vmss_instances_by_vm_size") == (
        'azure_vmss_instances_by_vm_size{vm_size="Standard_D4s_v5"} 1\n'
        'azure_vmss_instances_by_vm_size{vm_size="Standard_D8s_v5"} 1\n'
    )


def test_states_and_failures_are_those_of_a_uniform_set() -> None:
    found = mapped()
    assert 'azure_vmss_instances_by_power_state{state="running"} 1\n' in text_of(found)
    assert 'azure_vmss_instances_by_provisioning_state{state="failed"} 1\n' in text_of(found)
    assert text_of(found, "azure_vmss_instance_provisioning_failure") == (
        'azure_vmss_instance_provisioning_failure{instance_id="vm-attached",code="allocationfailed"} 1\n'
    )
    assert text_of(found, "azure_vmss_vm_agent_info") == (
        'azure_vmss_vm_agent_info{instance_id="web_a1b2c3d4",version="2.11.1.12"} 1\n'
    )


def test_a_name_keeps_its_first_spelling() -> None:
    memory = TargetMemory()
    mapped(memory)
    mapping = Mapper().start(WEB_TARGET, memory, flexible=True)
    for _ in mapping.steps(decode_page(ANSWER.replace(b"/web_a1b2c3d4", b"/WEB_A1B2C3D4"))):
        pass
    assert 'instance_id="web_a1b2c3d4"' in text_of(mapping.finish(), "azure_vmss_instance_info")
