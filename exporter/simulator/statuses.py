"""The statuses of an instance, its agent, its extensions and its disks, as Azure words them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from exporter.simulator import extensions
from exporter.simulator.description import ScaleSetDescription
from exporter.simulator.extensions import ExtensionState
from exporter.simulator.instance import SimulatedInstance
from exporter.simulator.times import agent_time, azure_time

Json = dict[str, Any]

HEARTBEAT = 30.0  # seconds between two reports of an agent

_PROVISIONING = {
    "creating": "Creating",
    "updating": "Updating",
    "deleting": "Deleting",
    "migrating": "Migrating",
    "failed": "Provisioning failed",
    "succeeded": "Provisioning succeeded",
}
_HEALTH = {
    "healthy": ("Info", "The VM is reporting itself as healthy"),
    "unhealthy": ("Error", "The VM is reporting itself as unhealthy or is unreachable"),
    "initializing": ("Info", "The VM is initializing its application health"),
    "unknown": ("Warning", "The VM is not reporting its application health"),
}
_OS_STEPS = {
    "osProvisioningInProgress": "OS provisioning in progress",
    "osProvisioningComplete": "OS provisioning complete",
}
_AGENT_READY = {
    "linux": "Guest Agent is running",
    "windows": "GuestAgent is running and processing the extensions.",
}
_SETTLED = ("succeeded", "failed")


def instance_statuses(instance: SimulatedInstance, start: float) -> list[Json]:
    """`instanceView.statuses`: provisioning, its step where there is one, and power."""
    state, _, step = instance.provisioning.partition("/")
    status: Json = {
        "code": f"ProvisioningState/{instance.provisioning}",
        "level": "Error" if state == "failed" else "Info",
        "displayStatus": _PROVISIONING.get(state, state.capitalize()),
    }
    statuses = [status]
    if step in _OS_STEPS:
        # Azure lists the plain state first, and the step as a status of its own.
        status["code"] = f"ProvisioningState/{state}"
        statuses.append(
            {
                "code": f"ProvisioningState/{instance.provisioning}",
                "level": "Info",
                "displayStatus": _OS_STEPS[step],
            }
        )
    if instance.provisioning_message is not None:
        status["message"] = instance.provisioning_message
    if state in _SETTLED:
        status["time"] = azure_time(start + instance.provisioning_changed)
    if instance.power is not None:
        statuses.append(
            {
                "code": f"PowerState/{instance.power}",
                "level": "Info",
                "displayStatus": f"VM {instance.power}",
            }
        )
    return statuses


def vm_agent(
    instance: SimulatedInstance, description: ScaleSetDescription, now: float
) -> Json | None:
    """`vmAgent`; None where there is none, as on deallocated instances."""
    if instance.agent == "absent":
        return None
    if instance.agent != "ready":
        silent = instance.agent == "silent"
        return {
            "vmAgentVersion": instance.agent_version if silent else "Unknown",
            "statuses": [
                {
                    "code": "ProvisioningState/Unavailable",
                    "level": "Warning",
                    "displayStatus": "Not Ready",
                    "message": "VM Agent is unresponsive."
                    if silent
                    else "VM status blob is found but not yet populated.",
                    # The time of the answer, not of anything the agent did.
                    "time": agent_time(now),
                }
            ],
        }
    due = now - (now + int(instance.disk[:4], 16)) % HEARTBEAT
    return {
        "vmAgentVersion": instance.agent_version,
        "statuses": [
            {
                "code": "ProvisioningState/succeeded",
                "level": "Info",
                "displayStatus": "Ready",
                "message": _AGENT_READY[description.os],
                "time": agent_time(due),
            }
        ],
        "extensionHandlers": [_handler(name, state) for name, state in instance.extensions.items()],
    }


def extension_views(instance: SimulatedInstance) -> list[Json]:
    """`extensions`: only names where no agent tells of them."""
    if instance.agent in ("absent", "unavailable"):
        return [{"name": name} for name in instance.extensions]
    return [_extension(name, state) for name, state in instance.extensions.items()]


def disk_view(
    instance: SimulatedInstance, description: ScaleSetDescription, name: str, start: float
) -> Json:
    """One of `disks`, without its encryption settings."""
    if instance.provisioning == "deleting" and instance.power is None:
        gone = {"code": "ProvisioningState/deleting", "level": "Info", "displayStatus": "Deleting"}
        return {"name": name, "statuses": [gone]}
    statuses = [
        {
            "code": "ProvisioningState/succeeded",
            "level": "Info",
            "displayStatus": "Provisioning succeeded",
            "time": azure_time(start + instance.provisioning_changed - 0.03),
        }
    ]
    if description.encrypted:
        statuses.append(
            {
                "code": "EncryptionState/encrypted",
                "level": "Info",
                "displayStatus": "Encryption is enabled on disk",
            }
        )
    return {"name": name, "statuses": statuses}


def health_view(instance: SimulatedInstance, start: float) -> Json | None:
    """`vmHealth`; None where health is not watched."""
    if instance.health is None:
        return None
    level, display = _HEALTH.get(instance.health, ("Info", instance.health))
    return {
        "status": {
            "code": f"HealthState/{instance.health}",
            "level": level,
            "displayStatus": display,
            "time": azure_time(start + instance.health_changed),
        }
    }


def maintenance_view(instance: SimulatedInstance, start: float) -> Json | None:
    """`maintenanceRedeployStatus`; None while no maintenance is announced."""
    if not instance.maintenance:
        return None
    day = 86400.0
    return {
        "isCustomerInitiatedMaintenanceAllowed": True,
        "preMaintenanceWindowStartTime": azure_time(start + day),
        "preMaintenanceWindowEndTime": azure_time(start + 8 * day),
        "maintenanceWindowStartTime": azure_time(start + 8 * day),
        "maintenanceWindowEndTime": azure_time(start + 9 * day),
        "lastOperationResultCode": "None",
    }


# Extensions in the same state look the same on every instance, so they are made once.
@lru_cache(maxsize=1024)
def _handler(name: str, state: ExtensionState) -> Json:
    kind = extensions.kind(name)
    word = state.state.partition("/")[0]
    status: Json = {
        "code": "ProvisioningState/succeeded",
        "level": "Info",
        "displayStatus": "Ready",
    }
    if word == "transitioning":
        # Azure tells of a handler that is not ready at level Info, too.
        status["code"], status["displayStatus"] = "ProvisioningState/NotReady", "Not Ready"
        status["message"] = f"Enabling plugin (handler name: {kind.type}, version: {kind.version})."
    elif word == "failed" and kind.bad_code not in ("1", "3"):
        status["code"], status["displayStatus"] = "ProvisioningState/NotReady/1007", "Not Ready"
        status["message"] = f"Install failed for plugin (name: {kind.type})."
    return {"type": kind.type, "typeHandlerVersion": kind.version, "status": status}


@lru_cache(maxsize=1024)
def _extension(name: str, state: ExtensionState) -> Json:
    kind = extensions.kind(name)
    word = state.state.partition("/")[0]
    level, display, message = {
        "succeeded": ("Info", "Provisioning succeeded", kind.good),
        "failed": ("Error", "Provisioning failed", kind.bad),
    }.get(word, ("Info", word.capitalize(), ""))
    view: Json = {"name": name, "type": kind.type, "typeHandlerVersion": kind.version}
    if kind.substatus is not None and word != "transitioning":
        good = word == "succeeded"
        view["substatuses"] = [
            {
                "code": f"ComponentStatus/{kind.substatus}/{'succeeded' if good else 'failed/1'}",
                "level": level,
                "displayStatus": display,
                "message": '{"os": "Encrypted", "data": "Encrypted"}'
                if kind.substatus == "BitlockerExtension" and good
                else "",
            }
        ]
    view["statuses"] = [
        {
            "code": f"ProvisioningState/{state.state}",
            "level": level,
            "displayStatus": display,
            "message": message if state.message is None else state.message,
        }
    ]
    return view
