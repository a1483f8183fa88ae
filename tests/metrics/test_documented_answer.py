"""The answer printed in Azure's own documentation gives exactly this exposition text.

Every family is on, the opt-in ones too. The documented times are placeholders that do not parse,
so there is no timestamp series; nothing of that is an error.
"""

from __future__ import annotations

from exporter.exposition.text_format import header
from exporter.metrics.catalogue import CATALOGUE
from exporter.model.scale_set import ScaleSetId, Target
from support.answers import ROOT, decode_page, lines_of, map_instances

ANSWER = ROOT / "tests" / "fixtures" / "azure" / "documented-2016-04-30-preview.json"


def test_the_documented_answer_gives_exactly_this_text() -> None:
    page = decode_page(ANSWER.read_bytes())
    mapped = map_instances(*page.instances, target=Target(ScaleSetId("sub", "rg", "web"), 60.0))
    text = "".join(
        header(family.name, family.kind, family.help) + lines_of(mapped, family.name)
        for family in CATALOGUE
        if family.name in mapped.all_lines
    )
    assert text == EXPECTED
    assert page.problems == []
    assert mapped.mapping_errors == {}
    assert mapped.unknown_codes == 0


EXPECTED = """\
# HELP azure_vmss_instances Instances that Azure lists.
# TYPE azure_vmss_instances gauge
azure_vmss_instances{subscription_id="sub",resource_group="rg",scale_set="web"} 1
# HELP azure_vmss_instances_by_power_state Instances by power state; one without a power state is unknown.
# TYPE azure_vmss_instances_by_power_state gauge
azure_vmss_instances_by_power_state{subscription_id="sub",resource_group="rg",scale_set="web",state="creating"} 0
azure_vmss_instances_by_power_state{subscription_id="sub",resource_group="rg",scale_set="web",state="starting"} 0
azure_vmss_instances_by_power_state{subscription_id="sub",resource_group="rg",scale_set="web",state="running"} 1
azure_vmss_instances_by_power_state{subscription_id="sub",resource_group="rg",scale_set="web",state="stopping"} 0
azure_vmss_instances_by_power_state{subscription_id="sub",resource_group="rg",scale_set="web",state="stopped"} 0
azure_vmss_instances_by_power_state{subscription_id="sub",resource_group="rg",scale_set="web",state="deallocating"} 0
azure_vmss_instances_by_power_state{subscription_id="sub",resource_group="rg",scale_set="web",state="deallocated"} 0
azure_vmss_instances_by_power_state{subscription_id="sub",resource_group="rg",scale_set="web",state="unknown"} 0
# HELP azure_vmss_instances_by_provisioning_state Instances by provisioning state; one without a provisioning state is unknown.
# TYPE azure_vmss_instances_by_provisioning_state gauge
azure_vmss_instances_by_provisioning_state{subscription_id="sub",resource_group="rg",scale_set="web",state="creating"} 0
azure_vmss_instances_by_provisioning_state{subscription_id="sub",resource_group="rg",scale_set="web",state="updating"} 0
azure_vmss_instances_by_provisioning_state{subscription_id="sub",resource_group="rg",scale_set="web",state="succeeded"} 0
azure_vmss_instances_by_provisioning_state{subscription_id="sub",resource_group="rg",scale_set="web",state="failed"} 1
azure_vmss_instances_by_provisioning_state{subscription_id="sub",resource_group="rg",scale_set="web",state="deleting"} 0
azure_vmss_instances_by_provisioning_state{subscription_id="sub",resource_group="rg",scale_set="web",state="migrating"} 0
azure_vmss_instances_by_provisioning_state{subscription_id="sub",resource_group="rg",scale_set="web",state="unknown"} 0
# HELP azure_vmss_instances_by_fault_domain Instances by availability zone and fault domain; empty where Azure sends none.
# TYPE azure_vmss_instances_by_fault_domain gauge
azure_vmss_instances_by_fault_domain{subscription_id="sub",resource_group="rg",scale_set="web",availability_zone="",fault_domain="2"} 1
# HELP azure_vmss_instances_by_vm_agent_version Instances by the version of their VM agent.
# TYPE azure_vmss_instances_by_vm_agent_version gauge
azure_vmss_instances_by_vm_agent_version{subscription_id="sub",resource_group="rg",scale_set="web",version="version-of-agent"} 1
# HELP azure_vmss_instances_by_vm_agent_state Instances by the state of their VM agent.
# TYPE azure_vmss_instances_by_vm_agent_state gauge
azure_vmss_instances_by_vm_agent_state{subscription_id="sub",resource_group="rg",scale_set="web",state="succeeded"} 1
# HELP azure_vmss_disk_instances Instances by the worst level of their disks.
# TYPE azure_vmss_disk_instances gauge
azure_vmss_disk_instances{subscription_id="sub",resource_group="rg",scale_set="web",level="info"} 1
azure_vmss_disk_instances{subscription_id="sub",resource_group="rg",scale_set="web",level="warning"} 0
azure_vmss_disk_instances{subscription_id="sub",resource_group="rg",scale_set="web",level="error"} 0
# HELP azure_vmss_extension_instances Instances by extension and the worst level of its statuses.
# TYPE azure_vmss_extension_instances gauge
azure_vmss_extension_instances{subscription_id="sub",resource_group="rg",scale_set="web",extension="mydomainjoinscript",level="info"} 0
azure_vmss_extension_instances{subscription_id="sub",resource_group="rg",scale_set="web",extension="mydomainjoinscript",level="warning"} 0
azure_vmss_extension_instances{subscription_id="sub",resource_group="rg",scale_set="web",extension="mydomainjoinscript",level="error"} 1
# HELP azure_vmss_instance_info Properties of the instance; the value is 1, absent ones are empty.
# TYPE azure_vmss_instance_info gauge
azure_vmss_instance_info{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",instance_name="web_1",computer_name="",os_name="",os_version="",hyper_v_generation="",vm_size="",vm_id="",provider_id="azure:///subscriptions/sub/resourceGroups/rg/providers/Microsoft.Compute/virtualMachineScaleSets/web/virtualMachines/1"} 1
# HELP azure_vmss_instance_placement_info Where the instance sits; the value is 1.
# TYPE azure_vmss_instance_placement_info gauge
azure_vmss_instance_placement_info{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",fault_domain="2",update_domain="5",availability_zone=""} 1
# HELP azure_vmss_instance_power_state Power state of the instance: 1 for the state that holds.
# TYPE azure_vmss_instance_power_state gauge
azure_vmss_instance_power_state{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",state="creating"} 0
azure_vmss_instance_power_state{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",state="starting"} 0
azure_vmss_instance_power_state{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",state="running"} 1
azure_vmss_instance_power_state{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",state="stopping"} 0
azure_vmss_instance_power_state{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",state="stopped"} 0
azure_vmss_instance_power_state{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",state="deallocating"} 0
azure_vmss_instance_power_state{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",state="deallocated"} 0
azure_vmss_instance_power_state{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",state="unknown"} 0
# HELP azure_vmss_instance_provisioning_state Provisioning state of the instance: 1 for the state that holds.
# TYPE azure_vmss_instance_provisioning_state gauge
azure_vmss_instance_provisioning_state{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",state="creating"} 0
azure_vmss_instance_provisioning_state{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",state="updating"} 0
azure_vmss_instance_provisioning_state{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",state="succeeded"} 0
azure_vmss_instance_provisioning_state{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",state="failed"} 1
azure_vmss_instance_provisioning_state{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",state="deleting"} 0
azure_vmss_instance_provisioning_state{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",state="migrating"} 0
azure_vmss_instance_provisioning_state{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",state="unknown"} 0
# HELP azure_vmss_instance_provisioning_failure 1 while provisioning is failed, by the failure code.
# TYPE azure_vmss_instance_provisioning_failure gauge
azure_vmss_instance_provisioning_failure{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",code="vmagentprovisioningfailure"} 1
# HELP azure_vmss_instance_os_state 1 for the OS state that holds, such as generalized or specialized.
# TYPE azure_vmss_instance_os_state gauge
azure_vmss_instance_os_state{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",state="generalized"} 1
# HELP azure_vmss_instance_status_level Level of the instance's statuses: 0 Info, 1 Warning, 2 Error.
# TYPE azure_vmss_instance_status_level gauge
azure_vmss_instance_status_level{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",status="provisioning_state"} 2
azure_vmss_instance_status_level{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",status="power_state"} 0
azure_vmss_instance_status_level{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",status="os_state"} 0
# HELP azure_vmss_instance_rdp_certificate_info Thumbprint of the remote desktop certificate; the value is 1.
# TYPE azure_vmss_instance_rdp_certificate_info gauge
azure_vmss_instance_rdp_certificate_info{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",thumbprint="{rdp-thumbprint}"} 1
# HELP azure_vmss_vm_agent_info Version of the VM agent; the value is 1.
# TYPE azure_vmss_vm_agent_info gauge
azure_vmss_vm_agent_info{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",version="version-of-agent"} 1
# HELP azure_vmss_vm_agent_status_level Worst level of the VM agent's statuses: 0 Info, 1 Warning, 2 Error.
# TYPE azure_vmss_vm_agent_status_level gauge
azure_vmss_vm_agent_status_level{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1"} 0
# HELP azure_vmss_vm_agent_state 1 for the state of the VM agent that holds, such as succeeded or unavailable.
# TYPE azure_vmss_vm_agent_state gauge
azure_vmss_vm_agent_state{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",state="succeeded"} 1
# HELP azure_vmss_extension_handler_info Version of an extension handler as the VM agent reports it; the value is 1.
# TYPE azure_vmss_extension_handler_info gauge
azure_vmss_extension_handler_info{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",handler="Microsoft.Compute.CustomScriptExtension",version="1.1"} 1
# HELP azure_vmss_extension_handler_status_level Level of the extension handler's status: 0 Info, 1 Warning, 2 Error.
# TYPE azure_vmss_extension_handler_status_level gauge
azure_vmss_extension_handler_status_level{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",handler="Microsoft.Compute.CustomScriptExtension"} 0
# HELP azure_vmss_extension_handler_state 1 for the state of the extension handler that holds.
# TYPE azure_vmss_extension_handler_state gauge
azure_vmss_extension_handler_state{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",handler="Microsoft.Compute.CustomScriptExtension",state="<handlerstatus>"} 1
# HELP azure_vmss_extension_info Handler and version of an extension; the value is 1.
# TYPE azure_vmss_extension_info gauge
azure_vmss_extension_info{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",extension="mydomainjoinscript",handler="Microsoft.Compute.CustomScriptExtension",version="1.1"} 1
# HELP azure_vmss_extension_status_level Worst level of the extension's statuses: 0 Info, 1 Warning, 2 Error.
# TYPE azure_vmss_extension_status_level gauge
azure_vmss_extension_status_level{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",extension="mydomainjoinscript"} 2
# HELP azure_vmss_extension_state 1 for the state of the extension that holds.
# TYPE azure_vmss_extension_state gauge
azure_vmss_extension_state{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",extension="mydomainjoinscript",state="failed"} 1
# HELP azure_vmss_extension_status_code The number at the end of the extension's code, as -1 in failed/-1.
# TYPE azure_vmss_extension_status_code gauge
azure_vmss_extension_status_code{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",extension="mydomainjoinscript"} -1
# HELP azure_vmss_extension_substatus_level Level of the extension's substatuses: 0 Info, 1 Warning, 2 Error.
# TYPE azure_vmss_extension_substatus_level gauge
azure_vmss_extension_substatus_level{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",extension="mydomainjoinscript",substatus="StdOut",state="succeeded"} 0
# HELP azure_vmss_disk_state 1 for the provisioning state of the disk that holds.
# TYPE azure_vmss_disk_state gauge
azure_vmss_disk_state{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",disk="osdisk",state="succeeded"} 1
# HELP azure_vmss_disk_status_level Level of the disk's provisioning status: 0 Info, 1 Warning, 2 Error.
# TYPE azure_vmss_disk_status_level gauge
azure_vmss_disk_status_level{subscription_id="sub",resource_group="rg",scale_set="web",instance_id="1",disk="osdisk"} 0
"""
