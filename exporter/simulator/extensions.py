"""The extensions that the simulated instances carry, with what Azure's own ones really say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExtensionKind:
    """One extension: its handler's type and version, and its messages."""

    type: str
    version: str
    good: str
    bad: str
    bad_code: str = "1"
    substatus: str | None = None


@dataclass(frozen=True, slots=True)
class ExtensionState:
    """How an extension stands on one instance.

    `state` is what follows `ProvisioningState/`: succeeded, transitioning or failed/CODE.
    """

    state: str = "succeeded"
    message: str | None = None


_KINDS = {
    "HealthExtension": ExtensionKind(
        type="Microsoft.ManagedServices.ApplicationHealthLinux",
        version="2.0.19",
        good="Extension is running.",
        bad="Failed to start the application health probe: address already in use.",
        substatus="AppHealthStatus",
    ),
    "CustomScript": ExtensionKind(
        type="Microsoft.Azure.Extensions.CustomScript",
        version="2.1.10",
        good="Enable succeeded: \n[stdout]\nService started.\n\n[stderr]\n",
        bad="Enable failed: failed to execute command: command terminated with exit status=1\n"
        "[stdout]\n\n[stderr]\ncurl: (6) Could not resolve host: packages.example.com\n",
    ),
    "CustomScriptExtension": ExtensionKind(
        type="Microsoft.Compute.CustomScriptExtension",
        version="1.10.15",
        good="Finished executing command",
        bad="Failed to download all specified files. Exiting...",
        bad_code="3",
        substatus="StdOut",
    ),
    "AzureMonitorLinuxAgent": ExtensionKind(
        type="Microsoft.Azure.Monitor.AzureMonitorLinuxAgent",
        version="1.33.2",
        good="Enable succeeded",
        bad="Install failed with exit code 52: the package manager is locked by another process.",
        bad_code="52",
    ),
    "AzureMonitorWindowsAgent": ExtensionKind(
        type="Microsoft.Azure.Monitor.AzureMonitorWindowsAgent",
        version="1.30.0.0",
        good="ExtensionOperation:enable. Status:Success",
        bad="ExtensionOperation:enable. Status:Error. The service did not start in time.",
        bad_code="1000",
    ),
    "AzureDiskEncryption": ExtensionKind(
        type="Microsoft.Azure.Security.AzureDiskEncryption",
        version="2.4.0.23",
        good="[2.4.0.23] ",
        bad="[2.4.0.23] Failed to configure bitlocker as expected. The key vault refused access.",
        substatus="BitlockerExtension",
    ),
    "BGInfo": ExtensionKind(
        type="Microsoft.Compute.BGInfo",
        version="2.1",
        good="Plugin enabled (name: Microsoft.Compute.BGInfo, version: 2.1).",
        bad="Error while parsing status of Handler (name Microsoft.Compute.BGInfo, version 2.1).",
        bad_code="1012",
    ),
    "DependencyAgentLinux": ExtensionKind(
        type="Microsoft.Azure.Monitoring.DependencyAgent.DependencyAgentLinux",
        version="9.10.18.4770",
        good="Plugin enabled",
        bad="The kernel is not supported by the dependency agent.",
        bad_code="51",
    ),
}

HEALTHY = ExtensionState()


def kind(name: str) -> ExtensionKind:
    """The extension of that name; for an unknown name one of the user's own making."""
    return _KINDS.get(name) or ExtensionKind(
        type=f"Contoso.Extensions.{name}",
        version="1.0.0.0",
        good="Enable succeeded",
        bad="Enable failed with exit code 1.",
    )
