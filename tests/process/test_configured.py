"""The exporter as a process, from a configuration file, against a simulated Azure of its own."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from support.answers import ROOT, SUBSCRIPTION, samples
from support.process import run, running
from support.simulated import TOKEN, configured, simulated_azure
from support.waiting import eventually

pytestmark = pytest.mark.process

FLEET = f"""\
subscription_id: {SUBSCRIPTION}
scale_sets:
  - {{name: web, resource_group: rg-web, size: 3}}
  - {{name: slow, resource_group: rg-web, size: 3}}
"""
SLOW_RESOLVER = """\
import os, socket, threading
resolve = socket.getaddrinfo
def slowly(host, *rest, **more):
    if host == "slow.example":
        open(os.environ["MARK"], "w").close()
        threading.Event().wait(60)
    return resolve(host, *rest, **more)
socket.getaddrinfo = slowly
"""
STALLED = FLEET + "faults: [{kind: stalled, scale_set: slow}]\n"


def configuration(folder: Path, url: str, *names: str) -> str:
    return configured(folder, url, *names, polling="interval: 1s, budget_share: 0.5")


def test_one_hanging_set_delays_neither_the_other_nor_the_end(tmp_path: Path) -> None:
    with simulated_azure(tmp_path, STALLED) as url:
        flag = configuration(tmp_path, url, "web", "slow")
        with running(flag, "--log.level=debug", "--log.format=json") as exporter:

            def polled_three_times() -> bool | None:
                found = samples(exporter.get("/metrics?name[]=azure_vmss_exporter_polls_total"))
                done = found.get(
                    ("azure_vmss_exporter_polls_total", frozenset({("result", "success")}))
                )
                return True if done and done >= 3 else None

            assert eventually(polled_three_times, seconds=15)
            found = samples(exporter.get("/metrics?name[]=azure_vmss_up"))
            up = {dict(labels)["scale_set"]: value for (_, labels), value in found.items()}
            assert up == {"web": 1, "slow": 0}
            assert "Not ready" in exporter.get("/-/ready")
            assert exporter.stop() == 0
            assert TOKEN not in "".join(exporter.log)


def test_a_filter_that_matches_nothing_is_reported(tmp_path: Path) -> None:
    with simulated_azure(tmp_path, FLEET) as url:
        flag = configuration(tmp_path, url, "web")
        with (tmp_path / "config.yaml").open("a") as file:
            file.write(
                "metrics: {deny: [azure_vmss_dsk_*, azure_vmss_exporter_polls_total, python_*]}\n"
            )
        ended = run(flag, "--once")
    said = [line for line in ended.stderr.splitlines() if "matches no family" in line]
    assert len(said) == 1
    assert "azure_vmss_dsk_*" in said[0]
    assert "azure_vmss_exporter_polls_total" not in ended.stdout
    assert "azure_vmss_exporter_targets" in ended.stdout


def test_once_exits_0_when_every_set_was_polled(tmp_path: Path) -> None:
    with simulated_azure(tmp_path, FLEET) as url:
        flag = configuration(tmp_path, url, "web", "slow")
        ended = run(flag, "--once", environment={"PYTHONIOENCODING": "ascii"})
    assert ended.returncode == 0, ended.stderr
    assert 'city="Zürich"' in ended.stdout
    instances = [v for (n, _), v in samples(ended.stdout).items() if n == "azure_vmss_instances"]
    assert instances == [3, 3]


def test_a_name_look_up_that_hangs_does_not_delay_the_end(tmp_path: Path) -> None:
    # The exporter runs with a resolver that takes a minute, as with dead name servers.
    (tmp_path / "sitecustomize.py").write_text(SLOW_RESOLVER)
    (tmp_path / "token").write_text(TOKEN)
    flag = configuration(tmp_path, "https://slow.example", "web")
    with running(
        flag, environment={"PYTHONPATH": f"{tmp_path}:{ROOT}", "MARK": str(tmp_path / "asked")}
    ) as exporter:
        assert eventually(lambda: (tmp_path / "asked").exists() or None, seconds=10)
        assert exporter.stop() == 0


def test_once_names_missing_facts_and_still_succeeds(tmp_path: Path) -> None:
    forbidden = FLEET + "faults: [{kind: status, status: 403, operation: scale_set}]\n"
    with simulated_azure(tmp_path, forbidden) as url:
        ended = run(configuration(tmp_path, url, "web"), "--once", "--log.level=error")
    assert ended.returncode == 0
    assert "Microsoft.Compute/virtualMachineScaleSets/read" in ended.stderr


def test_once_names_what_does_not_exist(tmp_path: Path) -> None:
    with simulated_azure(tmp_path, FLEET) as url:
        ended = run(configuration(tmp_path, url, "web", "typo"), "--once", "--log.level=error")
    assert ended.returncode == 1
    assert f"{SUBSCRIPTION}/rg-web/typo: " in ended.stderr
    assert "check the scale set's name" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_malformed_requests_of_the_last_minute_are_counted_at_the_end() -> None:
    with running("--demo") as exporter:
        address = ("127.0.0.1", int(exporter.url.rpartition(":")[2]))
        for _ in range(5):
            with socket.create_connection(address) as connection:
                connection.sendall(b"\x16\x03\x01\r\n\r\n")
                assert connection.recv(1024).startswith(b"HTTP/1.0 400 ")
        assert exporter.stop() == 0
        exporter.wait_for_log("malformed requests.* count=1 ")
        exporter.wait_for_log("malformed requests.* count=4 ")
