"""Azure's answer to the VM list of a scale set, as typed structures.

The source is `VirtualMachineScaleSetVMs_List` with `$expand=instanceView`, in every api-version
from 2015-06-15 on. Every field may be missing or null, so every field has None as its default;
unknown fields are ignored. Times stay text here: the mapper reads those that it serves.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Raw, Struct, field

Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
"""What Azure counts: its own type has 32 bits, and any other number is none."""


class Status(Struct, rename="camel", gc=False):
    """`InstanceViewStatus`: one status of an instance, an agent, an extension or a disk."""

    code: str | None = None
    level: str | None = None
    display_status: str | None = None
    message: str | None = None
    time: str | None = None


class ExtensionHandler(Struct, rename="camel", gc=False):
    """`vmAgent.extensionHandlers[]`: what the agent says of an extension's handler."""

    type: str | None = None
    type_handler_version: str | None = None
    status: Status | None = None


class VmAgent(Struct, rename="camel", gc=False):
    """`vmAgent`: absent on nearly every deallocated instance."""

    vm_agent_version: str | None = None
    statuses: list[Status | None] | None = None
    extension_handlers: list[ExtensionHandler | None] | None = None


class Extension(Struct, rename="camel", gc=False):
    """`extensions[]`: may have only a name."""

    name: str | None = None
    type: str | None = None
    type_handler_version: str | None = None
    statuses: list[Status | None] | None = None
    substatuses: list[Status | None] | None = None


class Disk(Struct, rename="camel", gc=False):
    """`disks[]`: provisioning and encryption statuses come in one list."""

    name: str | None = None
    statuses: list[Status | None] | None = None


class VmHealth(Struct, rename="camel", gc=False):
    """`vmHealth`: only with the application health extension or a load balancer's probe."""

    status: Status | None = None


class WindowsConfiguration(Struct, rename="camel", gc=False):
    """`windowsConfiguration`: the old place of the remote desktop certificate's thumbprint."""

    rdp_thumb_print: str | None = None


class MaintenanceRedeployStatus(Struct, rename="camel", frozen=True, gc=False):
    """`maintenanceRedeployStatus`: planned maintenance, from api-version 2017-12-01 on."""

    is_customer_initiated_maintenance_allowed: bool | None = None
    pre_maintenance_window_start_time: str | None = None
    pre_maintenance_window_end_time: str | None = None
    maintenance_window_start_time: str | None = None
    maintenance_window_end_time: str | None = None
    last_operation_result_code: str | None = None
    last_operation_message: str | None = None


class AvailablePatches(Struct, rename="camel", frozen=True, gc=False):
    """`patchStatus.availablePatchSummary`: the last assessment."""

    reboot_pending: bool | None = None
    critical_and_security_patch_count: Count | None = None
    other_patch_count: Count | None = None
    last_modified_time: str | None = None


class PatchInstallation(Struct, rename="camel", frozen=True, gc=False):
    """`patchStatus.lastPatchInstallationSummary`."""

    status: str | None = None


class PatchStatus(Struct, rename="camel", frozen=True, gc=False):
    """`patchStatus`: of virtual machines only, so of Flexible sets."""

    available_patch_summary: AvailablePatches | None = None
    last_patch_installation_summary: PatchInstallation | None = None


class InstanceView(Struct, rename="camel", gc=False):
    """`properties.instanceView` of one instance."""

    platform_upgrade_domain: int | str | None = None
    platform_update_domain: int | str | None = None
    platform_fault_domain: int | str | None = None
    statuses: list[Status | None] | None = None
    windows_configuration: WindowsConfiguration | None = None
    rdp_thumb_print: str | None = None
    vm_agent: VmAgent | None = None
    disks: list[Disk | None] | None = None
    extensions: list[Extension | None] | None = None
    vm_health: VmHealth | None = None
    computer_name: str | None = None
    os_name: str | None = None
    os_version: str | None = None
    hyper_v_generation: str | None = None
    maintenance_redeploy_status: MaintenanceRedeployStatus | None = None
    patch_status: PatchStatus | None = None
    is_vm_in_standby_pool: bool | None = field(default=None, name="isVMInStandbyPool")


class HardwareProfile(Struct, rename="camel", gc=False):
    """`properties.hardwareProfile`: empty under `$select=instanceView`."""

    vm_size: str | None = None


class ProtectionPolicy(Struct, rename="camel", frozen=True, gc=False):
    """`properties.protectionPolicy`: only without `$select`, from 2019-03-01 on."""

    protect_from_scale_in: bool | None = None
    protect_from_scale_set_actions: bool | None = None


class ScaleSetReference(Struct, rename="camel", gc=False):
    """`properties.virtualMachineScaleSet`: the Flexible set that a virtual machine is in."""

    id: str | None = None


class InstanceProperties(Struct, rename="camel", gc=False):
    """`properties` of one instance. `provisioningState` is the integer 0 up to 2019-03-01."""

    instance_view: InstanceView | None = None
    latest_model_applied: bool | None = None
    provisioning_state: int | str | None = None
    vm_id: str | None = None
    time_created: str | None = None
    hardware_profile: HardwareProfile | None = None
    protection_policy: ProtectionPolicy | None = None
    platform_fault_domain: int | str | None = None
    virtual_machine_scale_set: ScaleSetReference | None = None
    resilient_vm_deletion_status: str | None = field(default=None, name="resilientVMDeletionStatus")


class Sku(Struct, rename="camel", gc=False):
    """`sku` of one instance: only without `$select`."""

    name: str | None = None


class Instance(Struct, rename="camel", gc=False):
    """One item of the list: a `VirtualMachineScaleSetVM`, or a `VirtualMachine` of a Flexible set.

    A virtual machine has no `instanceId`: its name stands for that.
    """

    id: str | None = None
    instance_id: str | None = None
    name: str | None = None
    sku: Sku | None = None
    zones: list[str | None] | None = None
    properties: InstanceProperties | None = None


class Problem(Struct, frozen=True):
    """A field of the answer that was left out, and why.

    `path` names the field from the item on, without indices, as in
    `properties.instanceView.vmAgent.statuses[].code`; it is empty for an item left out whole.
    """

    path: str
    reason: str


class InstancePage(Struct, eq=False):
    """One page of the list.

    Attributes:
        instances: the readable items, in Azure's order.
        problems: what was left out of them.
        lost: the number of items left out whole, being no object or having no id. No instances
            and `lost` above 0 in all chunks of a list: nothing of it could be read, which is not
            the same as a list that is empty.
        next_link: the address of the next page; None on the last one.
        source: the items' own JSON texts, those that could not be read among them; None where
            they are too long to be kept.
    """

    instances: list[Instance]
    problems: list[Problem]
    lost: int = 0
    next_link: str | None = None
    source: list[Raw] | None = None

    def __eq__(self, other: object) -> bool:
        """Whether both say the same, in whatever words."""
        return isinstance(other, InstancePage) and self._said() == other._said()

    __hash__ = None  # type: ignore[assignment] # Python's own way to say: not hashable

    def _said(self) -> tuple[object, ...]:
        return self.instances, self.problems, self.lost, self.next_link
