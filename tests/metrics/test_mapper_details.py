"""Details of a set, its own state, and patches: this answer of Azure → this exposition text."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.metrics.mapper import Mapper
from exporter.model.details import NO_DETAILS, RollingUpgrade, SetDetails
from exporter.model.scale_set import ScaleSetModel
from support.answers import WEB_TARGET, instance, map_instances, text_of

REBOOT = "azure_vmss_instance_patch_reboot_pending"
AVAILABLE = "azure_vmss_instance_patches_available"
ASSESSED = "azure_vmss_instance_patch_assessment_timestamp_seconds"
INSTALLATION = "azure_vmss_instance_patch_installation_state"


def states(lines: dict[str, Any], family: str) -> dict[str, str]:
    """The values of a family's samples, by the state."""
    text = lines[family].text.decode() if family in lines else ""
    return {
        line.partition('state="')[2].partition('"')[0]: line.rpartition(" ")[2]
        for line in text.splitlines()
    }


def upgrade(status: str | None) -> SetDetails:
    return SetDetails(rolling_upgrade=RollingUpgrade(status, None, None, None, None))


@pytest.mark.parametrize(
    ("sent", "shown"),
    [("Succeeded", "succeeded"), ("UPDATING", "updating"), ("Canceled", "unknown")],
)
def test_a_set_has_a_provisioning_state_of_its_own(sent: str, shown: str) -> None:
    lines = Mapper().model(WEB_TARGET, ScaleSetModel(provisioning_state=sent))
    found = states(lines, "azure_vmss_provisioning_state")
    assert found.pop(shown) == "1"
    assert set(found.values()) == {"0"}
    active = Mapper(state_sets="active").model(WEB_TARGET, ScaleSetModel(provisioning_state=sent))
    assert states(active, "azure_vmss_provisioning_state") == {shown: "1"}


def test_without_one_the_set_has_none() -> None:
    lines = Mapper().model(WEB_TARGET, ScaleSetModel(location="westeurope"))
    assert "azure_vmss_provisioning_state" not in lines


@pytest.mark.parametrize(
    ("status", "shown"),
    [("RollingForward", "rollingforward"), ("RollingBack", "rollingback"), ("New", "unknown")],
)
def test_a_rolling_upgrade_is_a_state_set(status: str, shown: str) -> None:
    found = states(
        Mapper().details(WEB_TARGET, upgrade(status)), "azure_vmss_rolling_upgrade_state"
    )
    assert {state for state, value in found.items() if value == "1"} == {shown}
    assert len(found) == 6


def test_what_azure_does_not_tell_is_absent() -> None:
    assert Mapper().details(WEB_TARGET, NO_DETAILS) == {}
    assert Mapper().details(WEB_TARGET, upgrade(None)) == {}


@pytest.mark.parametrize(
    ("priority", "shown"),
    [("Spot", "spot"), ("SpotPlus", "spot"), ("Low", "spot"), (None, "regular")],
)
def test_the_priority_of_a_set(priority: str | None, shown: str) -> None:
    lines = Mapper().model(WEB_TARGET, ScaleSetModel(priority=priority, has_profile=True))
    assert f'priority="{shown}"' in lines["azure_vmss_info"].text.decode()


def patched(**status: Any) -> str:
    found = map_instances(instance({"patchStatus": status}))
    return text_of(found, REBOOT, AVAILABLE, ASSESSED, INSTALLATION)


def test_patches_of_a_machine() -> None:
    text = patched(
        availablePatchSummary={
            "rebootPending": True,
            "criticalAndSecurityPatchCount": 4,
            "otherPatchCount": 0,
            "lastModifiedTime": "2026-11-27T10:00:00Z",
        },
        lastPatchInstallationSummary={"status": "CompletedWithWarnings"},
    )
    assert text == (
        f'{REBOOT}{{instance_id="0"}} 1\n'
        f'{AVAILABLE}{{instance_id="0",classification="critical_and_security"}} 4\n'
        f'{AVAILABLE}{{instance_id="0",classification="other"}} 0\n'
        f'{ASSESSED}{{instance_id="0"}} 1795773600\n'
        f'{INSTALLATION}{{instance_id="0",state="completedwithwarnings"}} 1\n'
    )


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ({}, ""),
        ({"availablePatchSummary": None, "lastPatchInstallationSummary": {}}, ""),
        ({"availablePatchSummary": {"rebootPending": False}}, f'{REBOOT}{{instance_id="0"}} 0\n'),
        ({"lastPatchInstallationSummary": {"status": " "}}, ""),
    ],
)
def test_what_was_never_assessed_or_installed_is_absent(status: dict[str, Any], text: str) -> None:
    assert patched(**status) == text
