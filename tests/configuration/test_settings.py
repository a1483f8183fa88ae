"""What a good file becomes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr, ValidationError

from exporter.configuration import (
    Azure,
    Configuration,
    ConfigurationError,
    Credential,
    Metrics,
    Polling,
    ScaleSet,
    Web,
    load,
)
from exporter.model.scale_set import ScaleSetId, Target

FIXTURES = Path(__file__).parent.parent / "fixtures" / "config"
GUID = "00000000-0000-0000-0000-000000000000"
ONE_SET = f"scale_sets:\n- {{subscription_id: {GUID}, resource_group: rg-web, name: web}}\n"
WEB = ScaleSetId(GUID, "rg-web", "web")

ADDRESSES = """\
azure:
  cloud: custom
  endpoint: {0}
  audience: {0}
  credential: {{type: static, token_file: token}}
"""


def _good(text: str, **environment: str) -> Configuration:
    return load(text + ONE_SET, environment=environment)


@pytest.fixture
def full() -> Configuration:
    return load(
        (FIXTURES / "good-full.yaml").read_text(encoding="utf-8"),
        environment={"TENANT": "contoso", "SECRET": "${TENANT}", "INTERVAL": "1h30m"},
    )


def test_a_full_file_is_read_whole(full: Configuration) -> None:
    assert full.azure.model_dump() == {
        "cloud": "custom",
        "endpoint": "https://management.local.azurestack.external:30005",
        "audience": "https://management.example.onmicrosoft.com/0000",
        "authority_host": "https://login.example.com/adfs",
        "api_version": "2016-04-30-preview",
        "ca_file": "/etc/ssl/company.pem",
        "tls_strict": False,
        "detail": "full",
        "credential": {
            "type": "client_secret",
            "tenant_id": "contoso",
            "client_id": "the-application",
            "object_id": None,
            "resource_id": None,
            "client_secret": SecretStr("pa$$w$ord-${TENANT}"),
            "client_secret_file": None,
            "certificate_path": None,
            "token_file": None,
        },
    }
    assert full.polling.model_dump() == {
        "interval": 5400.0,
        "timeout": 90.0,
        "deadline": 300.0,
        "keep_for": 3600.0,
        "concurrency": 32,
        "state_dir": "/var/lib/azure-vmss-exporter",
        "budget_share": 1.0,
    }
    assert [entry.model_dump() for entry in full.scale_sets] == [
        {
            "id": None,
            "subscription_id": "00000000-0000-0000-0000-00000000000A",
            "resource_group": "RG-Web",
            "name": "web",
            "interval": 0.5,
            "labels": {"team": "web", "stage": "on"},
            "credential": None,
        },
        {
            "id": "/subscriptions/00000000-0000-0000-0000-00000000000a/resourcegroups/rg-jobs"
            "/providers/microsoft.compute/virtualmachinescalesets/Jobs/",
            "subscription_id": None,
            "resource_group": None,
            "name": None,
            "interval": None,
            "labels": {"rank": ""},
            "credential": None,
        },
    ]
    assert full.discovery == ()
    assert full.metrics.model_dump() == {
        "deny": ("azure_vmss_disk_*",),
        "opt_in": ("azure_vmss_extension_handler_info",),
        "state_sets": "active",
        "tags": ("team", "cost-center"),
        "max_series": 0,
    }
    assert full.web.model_dump() == {"messages": False, "grafana_url": "http://grafana:3000/g"}


def test_targets_have_their_interval_and_all_the_same_label_names(full: Configuration) -> None:
    assert full.targets() == (
        Target(
            scale_set=ScaleSetId("00000000-0000-0000-0000-00000000000A", "RG-Web", "web"),
            interval=0.5,
            labels=(("rank", ""), ("stage", "on"), ("team", "web")),
        ),
        Target(
            scale_set=ScaleSetId("00000000-0000-0000-0000-00000000000a", "rg-jobs", "Jobs"),
            interval=5400.0,
            labels=(("rank", ""), ("stage", ""), ("team", "")),
        ),
    )


def test_everything_but_the_scale_sets_has_a_default() -> None:
    configuration = _good("")

    assert configuration.azure == Azure()
    assert configuration.azure.model_dump() == {
        "cloud": "public",
        "endpoint": None,
        "audience": None,
        "authority_host": None,
        "api_version": "2024-07-01",
        "ca_file": "",
        "tls_strict": True,
        "detail": "instance_view",
        "credential": Credential().model_dump(),
    }
    assert set(Credential().model_dump().values()) == {"default", None}
    assert configuration.polling == Polling()
    assert configuration.polling.model_dump() == {
        "interval": 60.0,
        "timeout": 60.0,
        "deadline": 180.0,
        "keep_for": 600.0,
        "concurrency": 16,
        "state_dir": "",
        "budget_share": 0.5,
    }
    assert configuration.metrics == Metrics()
    assert configuration.metrics.model_dump() == {
        "deny": (),
        "opt_in": (),
        "state_sets": "full",
        "tags": (),
        "max_series": 500_000,
    }
    assert configuration.web == Web(messages=True)
    assert configuration.targets() == (Target(scale_set=WEB, interval=60.0),)


def test_a_key_without_a_value_is_not_given() -> None:
    configuration = _good("azure:\npolling:\n  interval:\n  state_dir:\n")

    assert configuration.polling == Polling()


def test_an_unquoted_date_is_an_api_version() -> None:
    assert _good("azure: {api_version: 2023-09-01}\n").azure.api_version == "2023-09-01"


@pytest.mark.parametrize(
    "address",
    [
        "http://localhost:8080",
        "http://127.0.0.1:8080",
        "http://127.1.2.3",
        "http://[::1]:8080/",
        "https://management.example.com/path",
        "HTTPS://management.example.com",
    ],
)
def test_addresses_are_kept_as_written(address: str) -> None:
    azure = _good(ADDRESSES.format(f'"{address}"')).azure

    assert (azure.endpoint, azure.audience, azure.authority_host) == (address, address, None)


IDENTITY = (
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
)


@pytest.mark.parametrize(
    "fields",
    [
        "type: default",
        "type: managed_identity",
        "type: managed_identity, client_id: c",
        "type: managed_identity, object_id: o",
        f"type: managed_identity, resource_id: {IDENTITY}",
        "type: workload_identity",
        "type: workload_identity, tenant_id: t, client_id: c, token_file: f",
        "type: client_secret, tenant_id: t, client_id: c, client_secret: s",
        "type: client_secret, tenant_id: t, client_id: c, client_secret_file: f",
        "type: client_certificate, tenant_id: t, client_id: c, certificate_path: f",
        "type: azure_cli",
        "type: azure_cli, tenant_id: t",
        "type: static, token_file: f",
        "client_id: ",
    ],
)
def test_each_credential_type_takes_its_fields(fields: str) -> None:
    credential = _good(f"azure: {{credential: {{{fields}}}}}\n").azure.credential

    given = {name: value for name, value in yaml.safe_load(f"{{{fields}}}").items() if value}
    assert credential.model_fields_set == given.keys()
    for name, value in given.items():
        read = getattr(credential, name)
        assert (read.get_secret_value() if isinstance(read, SecretStr) else read) == value


@pytest.mark.parametrize(
    ("written", "text"),
    [("=", "="), ("<<", "<<"), ("~x", "~x"), ("2024-07-01", "2024-07-01"), ("! x", "x")],
)
def test_plain_text_that_looks_like_yaml_s_own_is_text(written: str, text: str) -> None:
    labels = "scale_sets:\n- {id: '" + WEB.resource_id + "', labels: {a: " + written + "}}\n"

    assert load(labels, environment={}).scale_sets[0].labels == {"a": text}


def test_a_simulator_may_be_polled_every_100_ms() -> None:
    text = ADDRESSES.format("http://127.0.0.1:8080") + "polling: {interval: 100ms}\n"

    assert _good(text).polling.interval == 0.1


def test_azure_may_be_polled_every_6_seconds() -> None:
    assert _good("polling: {interval: 6s}\n").polling.interval == 6.0


def test_anchors_aliases_and_merges_work() -> None:
    configuration = load(
        f"""
        scale_sets:
          - &web
            subscription_id: &subscription {GUID}
            resource_group: rg-web
            name: web
            interval: &often 30s
          - <<: *web
            name: jobs
            interval: 90s
          - <<: [{{name: third}}, *web]
        polling:
          timeout: *often
        """,
        environment={},
    )

    assert configuration.polling.timeout == 30.0
    assert configuration.targets() == (
        Target(scale_set=WEB, interval=30.0),
        Target(scale_set=ScaleSetId(GUID, "rg-web", "jobs"), interval=90.0),
        Target(scale_set=ScaleSetId(GUID, "rg-web", "third"), interval=30.0),
    )


def test_a_set_keeps_the_spelling_of_the_file() -> None:
    entry = ScaleSet(subscription_id=GUID, resource_group="Rg-Ünï_(1).x", name="Web_1.x-y")

    assert entry.scale_set == ScaleSetId(GUID, "Rg-Ünï_(1).x", "Web_1.x-y")


def test_a_variable_is_replaced_once_and_other_dollars_are_themselves() -> None:
    text = 'polling: {state_dir: "$A ${A} ${A}${B} $${A} ${} ${1} ${a-b} $"}\n'

    state_dir = _good(text, A="${B}", B="").polling.state_dir

    assert state_dir == "$A ${B} ${B} $${B} ${} ${1} ${a-b} $"


def test_a_variable_is_no_yaml_and_no_key() -> None:
    labels = "scale_sets:\n- {id: '" + WEB.resource_id + "', labels: {a: '${A}'}}\n"

    assert load(labels, environment={"A": "{b: [c]}"}).scale_sets[0].labels == {"a": "{b: [c]}"}


def test_a_configuration_never_changes(full: Configuration) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        full.polling.interval = 1.0  # type: ignore[misc]  # the very thing under test


@pytest.mark.parametrize(
    ("text", "mode"), [("off", "off"), ("'off'", "off"), ("auto", "auto"), ("null", "auto")]
)
def test_the_resource_graph_is_switched_off_by_a_bare_word(text: str, mode: str) -> None:
    loaded = _good(f"resource_graph: {{mode: {text}}}\n")
    assert loaded.resource_graph.mode == mode
    assert "resource_graph" in loaded.model_fields_set


@pytest.mark.parametrize(
    "address", ["https://grafana.example.com", "http://grafana.internal:3000/g", ""]
)
def test_grafana_is_an_address_to_open(address: str) -> None:
    assert _good(f'web: {{grafana_url: "{address}"}}\n').web.grafana_url == address


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "grafana.example.com",
        "https://user:secret@grafana.example.com",
        "https://grafana.example.com/?orgId=1",
    ],
)
def test_grafana_is_nothing_else(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"web\.grafana_url: ") as raised:
        _good(f'web: {{grafana_url: "{address}"}}\n')
    assert "user:secret" not in str(raised.value)
