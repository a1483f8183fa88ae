"""SIGHUP: the configuration is read again, and taken whole or not at all."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from support.answers import SUBSCRIPTION, samples
from support.process import ExporterProcess, running
from support.simulated import TOKEN, configured, simulated_azure
from support.waiting import eventually

pytestmark = pytest.mark.process

FLEET = f"""\
subscription_id: {SUBSCRIPTION}
scale_sets:
  - {{name: web, resource_group: rg-web, size: 3}}
  - {{name: batch, resource_group: rg-web, size: 2}}
  - {{name: slow, resource_group: rg-web, size: 2}}
faults: [{{kind: stalled, scale_set: slow}}]
"""
OWN = "azure_vmss_exporter_"
HOURLY = "interval: 1h"


def by_set(exporter: ExporterProcess, family: str) -> dict[str, float]:
    """A family's values by scale set."""
    found = samples(exporter.get(f"/metrics?name[]={family}"))
    return {dict(labels)["scale_set"]: value for (_, labels), value in found.items()}


def own(exporter: ExporterProcess, name: str, **labels: str) -> float:
    """One of the exporter's own values, with these labels."""
    found = samples(exporter.get(f"/metrics?name[]={OWN}{name}"))
    (value,) = (value for (_, have), value in found.items() if labels.items() <= set(have))
    return value


def wait_until_up(exporter: ExporterProcess, *names: str) -> None:
    wanted = dict.fromkeys(names, 1.0)
    assert eventually(lambda: by_set(exporter, "azure_vmss_up") == wanted or None, seconds=15)


def reload(exporter: ExporterProcess) -> None:
    exporter.process.send_signal(signal.SIGHUP)
    exporter.wait_for_log("configuration reloaded")


def test_unchanged_sets_keep_their_data_new_ones_come_and_removed_ones_vanish(
    tmp_path: Path,
) -> None:
    with simulated_azure(tmp_path, FLEET) as url:
        flag = configured(tmp_path, url, "web", "slow", polling=HOURLY)
        with running(flag) as exporter:
            assert eventually(
                lambda: by_set(exporter, "azure_vmss_up") == {"web": 1, "slow": 0} or None,
                seconds=15,
            )
            fetched = by_set(exporter, "azure_vmss_last_success_timestamp_seconds")
            hash_before = own(exporter, "config_hash")
            configured(tmp_path, url, "web", "batch", polling=HOURLY)
            # While the poll of the slow set is under way.
            reload(exporter)
            # At once, before anything is polled: the data of web, and nothing of slow.
            assert by_set(exporter, "azure_vmss_instances")["web"] == 3
            assert "slow" not in exporter.get("/metrics")
            wait_until_up(exporter, "web", "batch")
            after = by_set(exporter, "azure_vmss_last_success_timestamp_seconds")
            assert after["web"] == fetched["web"], "an unchanged set keeps its schedule of an hour"
            assert own(exporter, "config_hash") != hash_before
            assert own(exporter, "targets", origin="configured") == 2
            assert own(exporter, "config_last_reload_successful") == 1
            assert exporter.stop() == 0
            assert TOKEN not in "".join(exporter.log)


def test_a_bad_configuration_changes_nothing_and_is_reported(tmp_path: Path) -> None:
    with simulated_azure(tmp_path, FLEET) as url:
        flag = configured(tmp_path, url, "web")
        with running(flag) as exporter:
            wait_until_up(exporter, "web")
            hash_before = own(exporter, "config_hash")
            good = (tmp_path / "config.yaml").read_text()
            (tmp_path / "config.yaml").write_text(good + "polling_typo: 1\n")
            exporter.process.send_signal(signal.SIGHUP)
            exporter.wait_for_log("configuration not reloaded.*polling_typo")
            assert own(exporter, "config_last_reload_successful") == 0
            assert own(exporter, "config_hash") == hash_before
            assert by_set(exporter, "azure_vmss_up") == {"web": 1}
            (tmp_path / "config.yaml").unlink()
            exporter.process.send_signal(signal.SIGHUP)
            exporter.wait_for_log("configuration not reloaded.*cannot be read")
            (tmp_path / "config.yaml").write_text(good)
            reload(exporter)
            assert own(exporter, "config_last_reload_successful") == 1
            wait_until_up(exporter, "web")
            assert exporter.stop() == 0


def test_families_and_messages_that_are_switched_off_go_at_once(tmp_path: Path) -> None:
    with simulated_azure(tmp_path, FLEET) as url:
        flag = configured(tmp_path, url, "web", polling=HOURLY)
        with running(flag) as exporter:
            wait_until_up(exporter, "web")
            path = f"/api/v1/scale_sets/{SUBSCRIPTION}/rg-web/web"
            assert "message" in exporter.get(path)
            person = f"/scale-sets/{SUBSCRIPTION}/rg-web/web"
            assert "grafana" not in exporter.get(person)
            with (tmp_path / "config.yaml").open("a") as file:
                file.write("metrics: {deny: [azure_vmss_disk_*]}\n")
                file.write("web: {messages: false, grafana_url: https://grafana.example.com}\n")
            reload(exporter)
            page = exporter.get("/metrics")
            assert "azure_vmss_disk_state{" not in page
            assert "azure_vmss_instance_info{" in page
            assert "Guest Agent" not in exporter.get(path)
            assert "https://grafana.example.com/d/" in exporter.get(person)
            assert exporter.stop() == 0


def test_the_demo_says_that_there_is_nothing_to_reload() -> None:
    with running("--demo") as exporter:
        exporter.process.send_signal(signal.SIGHUP)
        exporter.wait_for_log("nothing to reload")
        assert exporter.stop() == 0


def test_a_file_that_no_exporter_can_be_built_from_changes_nothing(tmp_path: Path) -> None:
    with simulated_azure(tmp_path, FLEET) as url:
        flag = configured(tmp_path, url, "web")
        file = tmp_path / "config.yaml"
        with running(flag) as exporter:
            wait_until_up(exporter, "web")
            good = file.read_text()
            file.write_text(good.replace(f"endpoint: {url}", 'endpoint: "https://xn--"'))
            exporter.process.send_signal(signal.SIGHUP)
            exporter.wait_for_log("configuration not reloaded.*azure.endpoint")
            file.write_text(good.replace("  cloud:", "  ca_file: none.pem\n  cloud:"))
            exporter.process.send_signal(signal.SIGHUP)
            exporter.wait_for_log("configuration not reloaded.*azure.ca_file: none.pem")
            file.unlink()
            os.mkfifo(file)
            exporter.process.send_signal(signal.SIGHUP)
            exporter.wait_for_log("configuration not reloaded.*it is a pipe")
            file.unlink()
            file.write_text(good)
            reload(exporter)
            assert own(exporter, "config_last_reload_successful") == 1
            assert by_set(exporter, "azure_vmss_up") == {"web": 1}
            assert exporter.stop() == 0


def test_a_reload_by_http_is_answered_with_its_end_and_one_of_a_file_comes_by_itself(
    tmp_path: Path,
) -> None:
    with simulated_azure(tmp_path, FLEET) as url:
        flag = configured(tmp_path, url, "web", polling=HOURLY)
        file = Path(flag.partition("=")[2])
        flags = ("--web.enable-lifecycle", "--config.enable-auto-reload")
        with running(flag, *flags, "--config.auto-reload-interval=100ms") as exporter:
            wait_until_up(exporter, "web")
            text = file.read_text()
            assert f"token_file: {tmp_path}" in exporter.get("/config")
            status, answer = exporter.post("/-/reload")
            assert (status, answer) == (200, "configuration reloaded\n")
            configured(tmp_path, url, "web", "batch", polling=HOURLY)
            exporter.wait_for_log("configuration file changed")
            wait_until_up(exporter, "web", "batch")
            file.write_text(text + "nonsense: 1\n")
            status, answer = exporter.post("/-/reload")
            assert status == 500
            assert answer.startswith("configuration not reloaded: nonsense: ")
            assert own(exporter, "config_last_reload_successful") == 0
