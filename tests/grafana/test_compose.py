"""The stack of `compose.yaml` fits together. It is never run here: there is no Docker engine."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml

from grafana.source.panels import DATASOURCE
from support.answers import ROOT
from support.prometheus import tool

GRAFANA = ROOT / "grafana"


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


COMPOSE = read(ROOT / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def mounts(service: str) -> dict[str, str]:
    """What is mounted, by where the service sees it."""
    split = [volume.split(":") for volume in SERVICES[service]["volumes"]]
    return {parts[1]: parts[0] for parts in split}


def listens(service: str) -> set[int]:
    return {int(port.split(":")[-1]) for port in SERVICES[service]["ports"]}


def test_the_compose_file_holds_the_compose_specification() -> None:
    schema = json.loads((ROOT / "tests/fixtures/compose/compose-spec.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.Draft7Validator(schema).validate(COMPOSE)


def test_the_schema_would_find_a_mistake() -> None:
    schema = json.loads((ROOT / "tests/fixtures/compose/compose-spec.json").read_text())
    wrong = {**COMPOSE, "services": {"exporter": {"imagee": "x"}}}
    assert not jsonschema.Draft7Validator(schema).is_valid(wrong)


def test_what_is_mounted_exists_and_is_not_written_to() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source, _, *mode = volume.split(":")
            if source.startswith("."):
                assert (ROOT / source).exists(), source
                assert mode == ["ro"], volume
            else:
                assert source in COMPOSE["volumes"], source


def test_nothing_is_open_to_other_machines() -> None:
    ports = [port for service in SERVICES.values() for port in service["ports"]]
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert len(set(ports)) == len(ports)


def test_services_find_each_other() -> None:
    prometheus = read(GRAFANA / "prometheus.yml")
    alerting = prometheus["alerting"]["alertmanagers"]
    groups = [
        group
        for part in (*prometheus["scrape_configs"], *alerting)
        for group in part["static_configs"]
    ]
    addresses = [f"//{target}" for group in groups for target in group["targets"]]
    sources = read(GRAFANA / "provisioning/datasources/datasources.yaml")["datasources"]
    addresses += [source["url"] for source in sources]
    for address in addresses:
        parts = urlsplit(address)
        assert parts.hostname in SERVICES, address
        assert parts.port in listens(parts.hostname), address


def test_grafana_loads_the_dashboards_and_their_data_source() -> None:
    mounted = mounts("grafana")
    assert (ROOT / mounted["/etc/grafana/provisioning"]) == GRAFANA / "provisioning"
    (provider,) = read(GRAFANA / "provisioning/dashboards/dashboards.yaml")["providers"]
    folder = ROOT / mounted[provider["options"]["path"]]
    assert folder == GRAFANA / "dashboards"
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (folder / Path(home).name).exists()
    sources = read(GRAFANA / "provisioning/datasources/datasources.yaml")["datasources"]
    assert [source["type"] for source in sources if source.get("isDefault")] == [
        DATASOURCE.type_val
    ]


def test_grafana_knows_how_often_prometheus_scrapes() -> None:
    sources = read(GRAFANA / "provisioning/datasources/datasources.yaml")["datasources"]
    interval = read(GRAFANA / "prometheus.yml")["global"]["scrape_interval"]
    assert sources[0]["jsonData"]["timeInterval"] == interval


@pytest.mark.prometheus
@pytest.mark.parametrize(
    "command",
    [
        ["promtool", "check", "config", "grafana/prometheus.yml"],
        ["amtool", "check-config", "grafana/alertmanager.demo.yaml"],
    ],
    ids=lambda command: str(command[0]),
)
def test_the_tools_accept_the_configurations(command: list[str]) -> None:
    checked = subprocess.run(
        [tool(command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "FAILED" not in checked.stdout


def test_the_exporter_is_where_the_dashboards_link_to() -> None:
    for name in ("fleet", "scale-set", "instance"):
        text = (GRAFANA / "dashboards" / f"{name}.json").read_text(encoding="utf-8")
        assert "http://localhost:10048" in text
    assert listens("exporter") == {10048}
