"""One instance as Azure answers it, in the shape of the api-version and the query options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from exporter.simulator import statuses
from exporter.simulator.instance import SimulatedInstance
from exporter.simulator.scale_set import SimulatedScaleSet
from exporter.simulator.times import azure_time

Json = dict[str, Any]

LIST_TYPE = "Microsoft.Compute/virtualMachineScaleSets/virtualMachines"

# First api-version with a field, as recorded; Microsoft's models are a little later for some.
PLACEMENT_GROUP, HEALTH, ENCRYPTION = "2016-04-30-preview", "2017-03-30", "2017-03-30"
COMPUTER_NAME, MAINTENANCE = "2017-12-01", "2017-12-01"
ZONES, EMPTY_HARDWARE = "2018-04-01", "2018-04-01"
GENERATION, PROTECTION = "2019-03-01", "2019-03-01"
TEXT_STATE = "2019-07-01"  # before it, provisioningState is the number 0 under $select
TIME_CREATED, ETAG = "2023-07-01", "2024-03-01"

_SYSTEMS = {
    "linux": ("ubuntu", "22.04"),
    "windows": ("Windows Server 2022 Datacenter", "10.0.20348.2529"),
}
_IMAGES = {
    "linux": ("Canonical", "0001-com-ubuntu-server-jammy", "22_04-lts-gen2", "22.04.202408060"),
    "windows": ("MicrosoftWindowsServer", "WindowsServer", "2022-datacenter-g2", "20348.2582.1"),
}


@dataclass(frozen=True, slots=True)
class View:
    """How the client wants its instances, and the moment it asks at.

    Attributes:
        version: the api-version; they compare as text.
        expand: whether the instance view is wanted.
        select: `instanceView` or `instanceView/statuses`, else None.
        start: the Unix time of the fleet's start.
        now: the Unix time of the answer.
        upper_case: whether this answer writes the resource group in upper case.
    """

    version: str
    expand: bool
    select: str | None
    start: float
    now: float
    upper_case: bool = False


def group_path(scale_set: SimulatedScaleSet, *, upper_case: bool) -> str:
    """The path of the set's resource group, in one of Azure's spellings."""
    identity = scale_set.identity
    group = identity.resource_group.upper() if upper_case else identity.resource_group
    return f"/subscriptions/{identity.subscription_id}/resourceGroups/{group}"


def instance_view(scale_set: SimulatedScaleSet, instance: SimulatedInstance, view: View) -> Json:
    """`instanceView` of an instance."""
    description = scale_set.description
    uniform = not scale_set.is_flexible
    reports = instance.agent in ("ready", "silent")
    os_name, os_version = _SYSTEMS[description.os] if reports else (None, None)
    print_ = instance.disk.upper() + instance.disk[:8].upper()
    shown = bool(instance.extensions) and instance.power is not None
    fields = (
        ("placementGroupId", PLACEMENT_GROUP, scale_set.placement_group if uniform else None),
        ("platformUpdateDomain", "", instance.update_domain if uniform else None),
        ("platformFaultDomain", "", instance.fault_domain),
        ("computerName", COMPUTER_NAME, computer_name(scale_set, instance) if reports else None),
        ("osName", COMPUTER_NAME, os_name),
        ("osVersion", COMPUTER_NAME, os_version),
        ("rdpThumbPrint", "", print_ if description.os == "windows" and reports else None),
        ("vmAgent", "", statuses.vm_agent(instance, description, view.now)),
        ("maintenanceRedeployStatus", MAINTENANCE, statuses.maintenance_view(instance, view.start)),
        ("disks", "", [_disk(scale_set, instance, view)]),
        ("extensions", "", statuses.extension_views(instance) if shown else None),
        ("vmHealth", HEALTH, statuses.health_view(instance, view.start)),
        ("hyperVGeneration", GENERATION, "V2"),
        ("statuses", "", statuses.instance_statuses(instance, view.start)),
    )
    return {
        name: value
        for name, first_version, value in fields
        if value is not None and view.version >= first_version
    }


def list_item(scale_set: SimulatedScaleSet, instance: SimulatedInstance, view: View) -> Json:
    """One item of the instance list of a Uniform set."""
    group = group_path(scale_set, upper_case=view.upper_case)
    path = (
        f"{group}/providers/Microsoft.Compute/virtualMachineScaleSets/"
        f"{scale_set.identity.name}/virtualMachines/{instance.instance_id}"
    )
    if view.select is None:
        return _full_item(scale_set, instance, view, path)
    # $select was seen to trim, and to answer false here for every instance.
    properties: Json = {"latestModelApplied": False}
    if view.expand:
        whole = instance_view(scale_set, instance, view)
        if view.select == "instanceView/statuses":
            whole = {"statuses": whole["statuses"]}
        properties["instanceView"] = whole
    if view.version >= TEXT_STATE:
        properties["provisioningState"] = _state_word(instance)
    else:
        properties["provisioningState"] = 0
    if view.version >= EMPTY_HARDWARE:
        properties["hardwareProfile"] = {}
    return {"id": path, "instanceId": instance.instance_id, "properties": properties}


def flexible_item(scale_set: SimulatedScaleSet, instance: SimulatedInstance, view: View) -> Json:
    """One item of the instance list of a Flexible set: bare, with its famous null zone."""
    group = group_path(scale_set, upper_case=view.upper_case)
    return {
        "name": instance.instance_id,
        "id": f"{group}/providers/Microsoft.Compute/virtualMachineScaleSets/"
        f"{scale_set.identity.name}/virtualMachines/{instance.instance_id}",
        "type": LIST_TYPE,
        "location": scale_set.description.location,
        "instanceId": instance.instance_id,
        "zones": [instance.zone],
    }


def machine_item(scale_set: SimulatedScaleSet, instance: SimulatedInstance, view: View) -> Json:
    """A Flexible instance as the virtual machine that it is."""
    group = group_path(scale_set, upper_case=view.upper_case)
    properties: Json = {
        "hardwareProfile": {"vmSize": scale_set.description.sku or "Standard_D2s_v3"},
        "provisioningState": _state_word(instance),
        "vmId": instance.vm_id,
        "virtualMachineScaleSet": {"id": scale_set.identity.resource_id},
    }
    if instance.fault_domain is not None:
        properties["platformFaultDomain"] = instance.fault_domain
    properties |= _model(scale_set, instance)
    if view.expand:
        properties["instanceView"] = instance_view(scale_set, instance, view)
    if instance.resilient_deletion is not None:
        properties["resilientVMDeletionStatus"] = instance.resilient_deletion
    if view.version >= TIME_CREATED:
        properties["timeCreated"] = azure_time(view.start + instance.created)
    item: Json = {
        "name": instance.instance_id,
        "id": f"{group}/providers/Microsoft.Compute/virtualMachines/{instance.instance_id}",
        "type": "Microsoft.Compute/virtualMachines",
        "location": scale_set.description.location,
        "tags": scale_set.description.tags,
        "properties": properties,
    }
    if instance.zone is not None:
        item["zones"] = [instance.zone]
    return item


def computer_name(scale_set: SimulatedScaleSet, instance: SimulatedInstance) -> str:
    """The prefix, and the id to the base of 36; Flexible instances are called by their name."""
    if scale_set.is_flexible:
        return instance.instance_id.replace("_", "").casefold()
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    number, text = int(instance.instance_id), ""
    while number:
        number, rest = divmod(number, 36)
        text = digits[rest] + text
    return f"{scale_set.identity.name.casefold()[:9]}{text.rjust(6, '0')}"


def disk_name(scale_set: SimulatedScaleSet, instance: SimulatedInstance) -> str:
    """The name of the system disk."""
    if scale_set.is_flexible:
        return f"{instance.instance_id}_OsDisk_1_{instance.disk}"
    name = scale_set.identity.name
    return f"{name}_{name}_{instance.instance_id}_OsDisk_1_{instance.disk}"


def _full_item(
    scale_set: SimulatedScaleSet, instance: SimulatedInstance, view: View, path: str
) -> Json:
    description = scale_set.description
    size = description.sku or "Standard_D2s_v3"
    properties: Json = {"latestModelApplied": instance.latest_model}
    if view.version >= PROTECTION:
        properties["modelDefinitionApplied"] = "VirtualMachineScaleSet"
    if view.expand:
        properties["instanceView"] = instance_view(scale_set, instance, view)
    if view.version >= PROTECTION:
        properties["networkProfileConfiguration"] = _network(scale_set)
        if instance.protected:
            properties["protectionPolicy"] = {
                "protectFromScaleIn": True,
                "protectFromScaleSetActions": False,
            }
    properties["provisioningState"] = _state_word(instance)
    properties["hardwareProfile"] = {"vmSize": size} if view.version >= "2022-03-01" else {}
    properties["vmId"] = instance.vm_id
    properties |= _model(scale_set, instance)
    if instance.resilient_deletion is not None:
        properties["resilientVMDeletionStatus"] = instance.resilient_deletion
    properties["networkProfile"] = {
        "networkInterfaces": [{"id": f"{path}/networkInterfaces/{scale_set.identity.name}Nic"}]
    }
    if view.version >= TIME_CREATED:
        properties["timeCreated"] = azure_time(view.start + instance.created)
    item: Json = {
        "name": f"{scale_set.identity.name}_{instance.instance_id}",
        "id": path,
        "type": LIST_TYPE,
        "location": description.location,
        "tags": description.tags,
        "instanceId": instance.instance_id,
        "sku": {"name": size, "tier": "Standard"},
        "properties": properties,
    }
    if instance.zone is not None and view.version >= ZONES:
        item["zones"] = [instance.zone]
    if view.version >= ETAG:
        item["etag"] = '"1"'
    return item


def _state_word(instance: SimulatedInstance) -> str:
    return instance.provisioning.partition("/")[0].capitalize()


def _model(scale_set: SimulatedScaleSet, instance: SimulatedInstance) -> Json:
    system = scale_set.description.os
    publisher, offer, sku, exact = _IMAGES[system]
    name = disk_name(scale_set, instance)
    group = group_path(scale_set, upper_case=False)
    profile: Json = {
        "computerName": computer_name(scale_set, instance),
        "adminUsername": "azureuser",
    }
    if system == "windows":
        profile["windowsConfiguration"] = {
            "provisionVMAgent": True,
            "enableAutomaticUpdates": True,
        }
    else:
        profile["linuxConfiguration"] = {
            "disablePasswordAuthentication": True,
            "provisionVMAgent": True,
        }
    profile["secrets"] = []
    profile["allowExtensionOperations"] = True
    profile["requireGuestProvisionSignal"] = True
    return {
        "storageProfile": {
            "imageReference": {
                "publisher": publisher,
                "offer": offer,
                "sku": sku,
                "version": "latest",
                "exactVersion": exact,
            },
            "osDisk": {
                "osType": system.capitalize(),
                "name": name,
                "createOption": "FromImage",
                "caching": "ReadWrite",
                "managedDisk": {
                    "storageAccountType": "Premium_LRS",
                    "id": f"{group}/providers/Microsoft.Compute/disks/{name}",
                },
                "diskSizeGB": 127 if system == "windows" else 30,
            },
            "dataDisks": [],
        },
        "osProfile": profile,
    }


def _network(scale_set: SimulatedScaleSet) -> Json:
    name = scale_set.identity.name
    network = f"{group_path(scale_set, upper_case=False)}/providers/Microsoft.Network"
    pool = f"{network}/loadBalancers/{name}LB/backendAddressPools/{name}LBBEPool"
    address: Json = {
        "name": f"{name}IPConfig",
        "properties": {
            "subnet": {"id": f"{network}/virtualNetworks/{name}VNET/subnets/{name}Subnet"},
            "privateIPAddressVersion": "IPv4",
            "loadBalancerBackendAddressPools": [{"id": pool}],
        },
    }
    interface: Json = {
        "name": f"{name}Nic",
        "properties": {
            "primary": True,
            "enableAcceleratedNetworking": False,
            "disableTcpStateTracking": False,
            "dnsSettings": {"dnsServers": []},
            "enableIPForwarding": False,
            "ipConfigurations": [address],
        },
    }
    return {"networkInterfaceConfigurations": [interface]}


def _disk(scale_set: SimulatedScaleSet, instance: SimulatedInstance, view: View) -> Json:
    description = scale_set.description
    name = disk_name(scale_set, instance)
    disk = statuses.disk_view(instance, description, name, view.start)
    if not description.encrypted or view.version < ENCRYPTION:
        return disk
    return {"name": name, "encryptionSettings": [_encryption(scale_set, instance)]} | disk


def _encryption(scale_set: SimulatedScaleSet, instance: SimulatedInstance) -> Json:
    group = group_path(scale_set, upper_case=False)
    vault = f"vault-{scale_set.identity.name}"
    return {
        "enabled": True,
        "diskEncryptionKey": {
            "sourceVault": {"id": f"{group}/providers/Microsoft.KeyVault/vaults/{vault}"},
            "secretUrl": f"https://{vault}.vault.azure.net/secrets/{instance.disk[:8]}/{instance.disk}",
        },
    }
