"""A fault in Azure becomes the right page, and only that, and the page ends with the fault."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from exporter.simulator.extensions import ExtensionState
from exporter.simulator.faults import Fault
from exporter.simulator.scale_set import SimulatedScaleSet
from exporter.simulator.server import SimulatedAzure
from support.alert_stage import JOB, Stage, stage
from support.answers import SUBSCRIPTION
from support.rules import ALERTS

pytestmark = [pytest.mark.process, pytest.mark.prometheus, pytest.mark.alerts]

OTHER_SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
RECEIVERS = {"critical": "on-call", "warning": "team"}
SEVERITY = {alert.name: alert.severity for alert in ALERTS}


def fleet(*names: str, **sets: dict[str, Any]) -> dict[str, Any]:
    """Sets of six instances that are still and well; those given by keyword are as said."""
    described = {name: sets.get(name, {}) for name in (*names, *sets)}
    return {
        "limits": {"enabled": False},
        "scale_sets": [
            {"name": name, "resource_group": "rg-web", "size": 6, **said}
            for name, said in described.items()
        ],
    }


def stop(scale_set: SimulatedScaleSet, *instance_ids: str) -> None:
    for instance_id in instance_ids or tuple(scale_set.instances):
        scale_set.instances[instance_id].power = "stopped"


def update(scale_set: SimulatedScaleSet, instance_id: str) -> None:
    scale_set.instances[instance_id].provisioning = "updating"


def recover(azure: SimulatedAzure) -> None:
    """Everything as at the start."""
    azure.faults.clear()
    for scale_set in azure.fleet.scale_sets:
        while len(scale_set.instances) < scale_set.target:
            scale_set.add()
        for instance in scale_set.instances.values():
            instance.power, instance.provisioning = "running", "succeeded"
            instance.agent = "ready"
            instance.health = instance.health and "healthy"
            instance.extensions = dict.fromkeys(instance.extensions, ExtensionState())


def check_notifications(on_stage: Stage, *, told: set[str]) -> None:
    """Receivers were told of these and no others, each once and by the right way, to its end."""
    assert on_stage.told_of("firing") == told
    assert on_stage.told_of("resolved") == told
    begun = defaultdict(set)
    for one in on_stage.told:
        assert one.receiver == RECEIVERS[SEVERITY[one.alert]], one
        assert one.labels["severity"] == SEVERITY[one.alert]
        assert one.labels["job"] == JOB
        assert not {"instance", "pod"} & one.labels.keys(), one
        assert "{{" not in str(one.annotations), one
        assert "<no value>" not in str(one.annotations), one
        begun[str(sorted(one.labels.items()))].add(one.since)
    again = {labels: since for labels, since in begun.items() if len(since) > 1}
    assert not again, "a page ended and began again"


def test_each_fault_is_reported_as_what_it_is_and_no_other_alert_comes(tmp_path: Path) -> None:
    plan = fleet(
        *("stopped", "failed", "starting", "silent", "capacity", "down"),
        *("forbidden", "gone", "broken"),
        unhealthy={"health": True},
        extension={"extensions": ["CustomScript"]},
        domain={"fault_domains": 3},
        throttled={"subscription_id": OTHER_SUBSCRIPTION, "location": "northeurope"},
    )
    told = {
        "InstanceStopped stopped/3",
        "InstanceProvisioningFailed failed/1",
        "InstanceStuckInTransition starting/2",
        "VMAgentNotReporting silent/0",
        "InstanceUnhealthy unhealthy/5",
        "ExtensionFailed extension/4",
        "FaultDomainDown domain",
        "SetDown down",
        "CapacityNotReached capacity",
        *("PollPermissionDenied forbidden", "DataStale forbidden"),
        *("PollNotFound gone", "DataStale gone"),
        *("PollBrokenAnswer broken", "DataStale broken"),
        *("PollThrottled throttled", "DataStale throttled", "Throttled"),
    }
    muted = {
        "ManyInstancesDown down",
        *(f"InstanceStopped down/{number}" for number in range(6)),
        "ManyInstancesDown domain",
        *(f"InstanceStopped domain/{number}" for number in (1, 4)),
    }

    def go_wrong(azure: SimulatedAzure) -> None:
        sets = azure.fleet.scale_set
        stop(sets("stopped"), "3")
        sets("failed").instances["1"].provisioning = "failed/AllocationFailed"
        sets("starting").instances["2"].power = "starting"
        sets("silent").instances["0"].agent = "silent"
        sets("unhealthy").instances["5"].health = "unhealthy"
        sets("extension").instances["4"].extensions["CustomScript"] = ExtensionState("failed/1")
        stop(sets("domain"), "1", "4")
        stop(sets("down"))
        sets("capacity").remove("5")
        azure.faults.append(Fault(kind="status", status=403, scale_set="forbidden"))
        azure.faults.append(Fault(kind="status", status=404, scale_set="gone"))
        azure.faults.append(Fault(kind="html_200", scale_set="broken"))
        azure.faults.append(Fault(kind="throttled", scale_set="throttled", retry_after="1"))

    with stage(tmp_path, plan) as on_stage:
        assert on_stage.firing() == set(), "all is well at first"
        on_stage.azure.change(go_wrong)
        on_stage.until_told(*told)
        on_stage.until(lambda: on_stage.muted() >= muted, "what a larger alert mutes")
        labels = {one.alert: one.labels for one in on_stage.told}
        on_stage.azure.change(recover)
        on_stage.until_told(*told, status="resolved")
        on_stage.until(lambda: on_stage.firing() == set(), "all is well again")
        check_notifications(on_stage, told=told)
        assert on_stage.ever_fired() == told | muted

    place = {"subscription_id": SUBSCRIPTION, "resource_group": "rg-web"}
    assert labels["AzureVMSSInstanceProvisioningFailed"]["code"] == "allocationfailed"
    assert labels["AzureVMSSInstanceStuckInTransition"]["state"] == "starting"
    assert labels["AzureVMSSVMAgentNotReporting"]["state"] == "unavailable"
    assert labels["AzureVMSSExtensionFailed"]["extension"] == "CustomScript"
    assert labels["AzureVMSSFaultDomainDown"]["fault_domain"] == "1"
    assert labels["AzureVMSSPollPermissionDenied"]["reason"] == "permission"
    assert labels["AzureVMSSThrottled"]["location"] == "northeurope"
    assert labels["AzureVMSSThrottled"]["subscription_id"] == OTHER_SUBSCRIPTION
    assert labels["AzureVMSSSetDown"].items() >= place.items()
    assert "state" not in labels["AzureVMSSSetDown"], "it would say that the set is running"


def test_an_outage_of_azure_is_one_page_and_mutes_what_old_data_say(tmp_path: Path) -> None:
    names = ("web", "api", "jobs", "batch", "mail", "search")
    with stage(tmp_path, fleet(*names)) as on_stage:
        # It becomes an alert while nobody can say whether it still holds.
        on_stage.change("web", lambda scale_set: update(scale_set, "3"))
        seen = 'azure_vmss_instance_provisioning_state{scale_set="web",state="updating"} == 1'
        on_stage.until(lambda: bool(on_stage.prometheus.query(seen)), "the update")
        on_stage.azure.go_wrong(Fault(kind="status", status=503))
        stale = {f"DataStale {name}" for name in names}
        failing = {f"PollFailing {name}" for name in names}
        muted = {*stale, *failing, "InstanceProvisioningStuck web/3"}
        on_stage.until_told("CircuitOpen")
        on_stage.until(lambda: on_stage.muted() >= muted, "muted by the outage")
        on_stage.azure.change(recover)
        on_stage.until_told("CircuitOpen", status="resolved")
        on_stage.until(lambda: on_stage.firing() == set(), "all is well again")
        check_notifications(on_stage, told={"CircuitOpen"})
        assert on_stage.ever_fired() == {"CircuitOpen", *muted}


def test_an_exporter_that_is_down_is_one_page_and_mutes_the_rest(tmp_path: Path) -> None:
    with stage(tmp_path, fleet("web", domain={"fault_domains": 3})) as on_stage:
        on_stage.change("domain", lambda scale_set: stop(scale_set, "1", "4"))
        on_stage.until_told("FaultDomainDown domain")
        on_stage.kill_exporter()
        on_stage.until_told("ExporterDown")
        on_stage.until(lambda: "FaultDomainDown domain" in on_stage.muted(), "muted by it")
        on_stage.azure.change(recover)
        on_stage.start_exporter()
        on_stage.until_told("ExporterDown", "FaultDomainDown domain", status="resolved")
        on_stage.until(lambda: on_stage.firing() == set(), "all is well again")
        check_notifications(on_stage, told={"ExporterDown", "FaultDomainDown domain"})
