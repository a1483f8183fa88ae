"""`--demo`: what a newcomer sees."""

from __future__ import annotations

import json
import signal

import pytest

from support.answers import samples
from support.process import ExporterProcess, running
from support.waiting import eventually

pytestmark = pytest.mark.process


def test_the_demo_shows_a_lively_fleet_and_ends_cleanly() -> None:
    with running("--demo") as demo:
        ready = _when_ready(demo)
        found = samples(ready)
        instances = {
            dict(labels)["scale_set"]: value
            for (name, labels), value in found.items()
            if name == "azure_vmss_instances"
        }
        assert sum(instances.values()) > 200
        assert instances["standby"] == 0
        states = {
            dict(labels)["state"]
            for (name, labels), value in found.items()
            if name == "azure_vmss_instances_by_power_state" and value
        }
        assert {"running", "stopped", "deallocated"} <= states
        assert any(name == "azure_vmss_instance_provisioning_failure" for name, _ in found)
        shown = json.loads(
            demo.get("/api/v1/scale_sets/11111111-2222-4333-8444-555555555555/RG-SHOP/Web")
        )
        assert len(shown["instances"]) == instances["web"]
        fleet = demo.get("/")
        assert "team=storefront" in fleet
        assert "VMScaleSetVMViewsSubscriptionMaximum" in fleet, "the quota of a region"
        assert "Resource Graph" in fleet
        assert demo.stop() == 0


def test_ctrl_c_ends_cleanly_too() -> None:
    with running("--demo") as demo:
        assert demo.stop(signal.SIGINT) == 0


def _when_ready(demo: ExporterProcess) -> str:
    return eventually(
        lambda: demo.get("/metrics") if "is ready" in demo.get("/-/ready") else None, seconds=10
    )
