"""A restart with `polling.state_dir`, as processes."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest

from support.answers import SUBSCRIPTION, samples
from support.process import ExporterProcess, running
from support.simulated import TOKEN, configured, simulated_azure
from support.waiting import eventually

pytestmark = pytest.mark.process

NAMES = [f"set-{number}" for number in range(20)]
FLEET = f"subscription_id: {SUBSCRIPTION}\nlimits: {{enabled: false}}\nscale_sets:\n" + "".join(
    f"  - {{name: {name}, resource_group: rg-web, size: 3}}\n" for name in NAMES
)


def values(exporter: ExporterProcess, family: str) -> dict[str, float]:
    """A family's values by the scale set's name."""
    found = samples(exporter.get(f"/metrics?name[]={family}"))
    return {dict(labels)["scale_set"]: value for (_, labels), value in found.items()}


def all_polled(exporter: ExporterProcess) -> dict[str, float] | None:
    up = values(exporter, "azure_vmss_up")
    return up if all(up.values()) else None


def state_files(folder: Path) -> list[Path]:
    return sorted((folder / "state").glob("*.state"))


def test_after_kill_9_and_with_azure_down_the_instances_are_served_as_old_as_they_are(
    tmp_path: Path,
) -> None:
    polling = f"interval: 1s, state_dir: {tmp_path}/state"
    with simulated_azure(tmp_path, FLEET) as url:
        flag = configured(tmp_path, url, *NAMES, polling=polling)
        with running(flag) as exporter:
            eventually(lambda: all_polled(exporter), seconds=15)
            eventually(lambda: len(state_files(tmp_path)) == len(NAMES) or None, seconds=5)
            instances = exporter.get("/metrics?name[]=azure_vmss_instance_info")
            exporter.process.kill()
            exporter.process.wait()
    killed = time.time()
    with running(flag) as exporter:
        assert exporter.get("/metrics?name[]=azure_vmss_instance_info") == instances
        assert set(values(exporter, "azure_vmss_up").values()) == {0.0}
        fetched = values(exporter, "azure_vmss_last_success_timestamp_seconds")
        assert fetched.keys() == set(NAMES)
        assert all(killed - 60 < moment <= killed for moment in fetched.values())
        assert "Not ready" in exporter.get("/-/ready")
        exporter.wait_for_log("scale set failing")
        assert exporter.get("/metrics?name[]=azure_vmss_instance_info") == instances
        assert values(exporter, "azure_vmss_last_success_timestamp_seconds") == fetched
        assert exporter.stop() == 0
    assert all(TOKEN.encode() not in path.read_bytes() for path in state_files(tmp_path))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_end_in_the_middle_of_writing_leaves_no_broken_file(tmp_path: Path, number: int) -> None:
    polling = f"interval: 100ms, state_dir: {tmp_path}/state"
    with simulated_azure(tmp_path, FLEET) as url:
        flag = configured(tmp_path, url, *NAMES, polling=polling)
        for life in range(3):
            with running(flag) as exporter:
                if life:
                    restored = next(line for line in exporter.log if "state restored" in line)
                    assert re.search(rf"scale_sets={len(NAMES)}\b", restored)
                    refused = exporter.get(
                        "/metrics?name[]=azure_vmss_exporter_state_refused_total"
                    )
                    assert set(samples(refused).values()) == {0.0}
                eventually(lambda: len(state_files(tmp_path)) == len(NAMES) or None, seconds=15)
                ended = exporter.stop(number)
            assert ended == (0 if number == signal.SIGTERM else -signal.SIGKILL)
            if number == signal.SIGTERM:
                assert not list((tmp_path / "state").glob("*.new"))
