"""How an instance is in one word, and why."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.metrics import verdict
from exporter.metrics.normalize import normalize
from exporter.metrics.verdict import Finding, Reason, Summing, findings, verdict_of
from support.answers import WEB, instance, map_instances

RUNNING = {"code": "PowerState/running"}
SUCCEEDED = {"code": "ProvisioningState/succeeded", "level": "Info"}
SINCE = "2024-01-01T00:00:00Z"


def found(view: Any, **more: Any) -> list[Finding]:
    observed = normalize(
        instance(view, **more), scale_set=WEB, instance_id="0", full=True, flexible=False
    )
    return findings(observed)


def well(**more: Any) -> dict[str, Any]:
    return {"statuses": [RUNNING, SUCCEEDED], **more}


def test_a_running_instance_of_which_nothing_bad_is_said_is_well() -> None:
    view = well(
        vmHealth={"status": {"code": "HealthState/healthy"}},
        vmAgent={"statuses": [SUCCEEDED], "extensionHandlers": [{"status": SUCCEEDED}]},
        extensions=[{"name": "a", "statuses": [SUCCEEDED]}, {"name": "b"}],
        disks=[{"statuses": [SUCCEEDED]}, {"statuses": [{"code": "EncryptionState/encrypted"}]}],
    )
    assert found(view) == []
    assert verdict_of([]) == "ok"


@pytest.mark.parametrize(
    ("power", "expected"),
    [
        ("stopped", [Finding("off", "stopped")]),
        ("deallocated", [Finding("off", "deallocated")]),
        ("starting", [Finding("changing", "starting")]),
        ("novel", [Finding("unknown", "power state unknown")]),
    ],
)
def test_power(power: str, expected: list[Finding]) -> None:
    assert found({"statuses": [{"code": f"PowerState/{power}"}, SUCCEEDED]}) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            "failed/AllocationFailed",
            Finding("failed", "provisioning failed: allocationfailed", SINCE),
        ),
        ("failed", Finding("failed", "provisioning failed", SINCE)),
        ("updating", Finding("changing", "provisioning: updating", SINCE)),
        ("novel", Finding("unknown", "provisioning state unknown")),
    ],
)
def test_provisioning(code: str, expected: Finding) -> None:
    status = {"code": f"ProvisioningState/{code}", "time": SINCE}
    assert found({"statuses": [RUNNING, status]}) == [expected]


def test_an_instance_that_is_being_made_has_no_power_state_yet() -> None:
    assert found({"statuses": [{"code": "ProvisioningState/creating"}]}) == [
        Finding("changing", "provisioning: creating")
    ]


def test_a_deletion_that_azure_tries_again_is_no_failure() -> None:
    failed = {"statuses": [RUNNING, {"code": "ProvisioningState/failed"}]}
    properties = {"resilientVMDeletionStatus": "InProgress"}
    assert found(failed, properties=properties) == [Finding("changing", "provisioning: deleting")]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("unhealthy", Finding("failed", "unhealthy", SINCE)),
        ("unknown", Finding("warning", "health unknown", SINCE)),
        ("initializing", Finding("changing", "health initializing", SINCE)),
    ],
)
def test_health(state: str, expected: Finding) -> None:
    health = {"status": {"code": f"HealthState/{state}", "time": SINCE}}
    assert found(well(vmHealth=health)) == [expected]


def test_a_machine_that_does_not_run_has_no_health_and_no_agent_to_miss() -> None:
    view = {
        "statuses": [{"code": "PowerState/deallocated"}, SUCCEEDED],
        "vmHealth": {"status": {"code": "HealthState/unknown"}},
        "vmAgent": {"statuses": [{"code": "ProvisioningState/Unavailable", "level": "Warning"}]},
    }
    assert found(view) == [Finding("off", "deallocated")]
    assert found({**view, "isVMInStandbyPool": True}) == [Finding("off", "in a standby pool")]
    hibernated = [*view["statuses"], {"code": "HibernationState/Hibernated"}]
    assert found({**view, "statuses": hibernated}) == [Finding("off", "hibernated")]


def test_an_agent_that_does_not_report_is_a_warning_without_a_time() -> None:
    status = {"code": "ProvisioningState/Unavailable", "level": "Warning", "time": SINCE}
    assert found(well(vmAgent={"statuses": [status]})) == [
        Finding("warning", "VM agent: unavailable")
    ]


def test_a_handler_that_is_not_ready_is_a_warning_though_its_level_is_info() -> None:
    status = {"code": "ProvisioningState/NotReady", "level": "Info"}
    handlers = [{"type": "h", "status": status}, {"type": "none"}]
    assert found(well(vmAgent={"extensionHandlers": handlers})) == [
        Finding("warning", "handler h: notready")
    ]


def test_extensions_disks_and_other_statuses_count_the_worst_first() -> None:
    view = {
        "statuses": [RUNNING, SUCCEEDED, {"code": "ColocationStatus/apart", "level": "Error"}],
        "extensions": [
            {"name": "slow", "statuses": [{"code": "ProvisioningState/transitioning"}]},
            {
                "name": "odd",
                "statuses": [{"code": "ProvisioningState/succeeded", "level": "Warning"}],
            },
            {"name": "bad", "statuses": [{"code": "ProvisioningState/failed/1", "time": SINCE}]},
        ],
        "disks": [{"statuses": [{"code": "ProvisioningState/failed", "time": SINCE}]}] * 2,
    }
    all_found = found(view)
    assert [(one.verdict, one.reason, one.since) for one in all_found] == [
        ("failed", "colocation status: apart", None),
        ("failed", "extension bad: failed", SINCE),
        ("failed", "disk: failed", SINCE),
        ("warning", "extension odd: succeeded", None),
        ("changing", "extension slow: transitioning", None),
    ]
    assert verdict_of(all_found) == "failed"


def test_a_walk_leaves_the_sums_and_since_when_at_least() -> None:
    def unhealthy(time: str) -> dict[str, Any]:
        return well(vmHealth={"status": {"code": "HealthState/unhealthy", "time": time}})

    mapped = map_instances(
        instance(unhealthy("2024-01-01T00:00:00Z"), instance_id="1"),
        instance(unhealthy("2023-01-01T00:00:00Z"), instance_id="2"),
        instance({"statuses": [{"code": "PowerState/stopped"}, SUCCEEDED]}, instance_id="3"),
        instance(well(), instance_id="4"),
    )
    assert mapped.summary is not None
    assert mapped.summary.verdicts == {"failed": 2, "off": 1, "ok": 1}
    assert mapped.summary.reasons == (
        Reason("failed", "unhealthy", 2, 1672531200.0),
        Reason("off", "stopped", 1, None),
    )


def test_reasons_without_end_are_counted_as_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict, "MOST_REASONS", 2)
    summing = Summing()
    for name in "abcd":
        view = well(extensions=[{"name": name, "statuses": [{"code": "ProvisioningState/failed"}]}])
        summing.see(
            normalize(instance(view), scale_set=WEB, instance_id="0", full=True, flexible=False)
        )
    reasons = {one.reason: one.instances for one in summing.finish().reasons}
    assert reasons == {"extension a: failed": 1, "extension b: failed": 1, "other reasons": 2}
