"""`credentials`: of other tenants and clouds, by name."""

from __future__ import annotations

import pytest

from exporter.azure.endpoints import resolve
from exporter.configuration import Configuration, ConfigurationError, load
from exporter.preparation import prepare
from support.answers import SUBSCRIPTION

SET = f"{{subscription_id: {SUBSCRIPTION}, resource_group: rg, name: web"
SECRET = "type: client_secret, tenant_id: t, client_id: c, client_secret: hidden"
CUSTOM = (
    "azure: {cloud: custom, endpoint: https://a.example, audience: https://a.example, "
    "credential: {type: static, token_file: f}}\n"
)


def configured(credentials: str, entry: str = "", *, before: str = "") -> Configuration:
    text = f"{before}credentials: {{{credentials}}}\nscale_sets: [{SET}{entry}}}]\n"
    return load(text, environment={})


def problem(credentials: str, entry: str = "", *, before: str = "") -> str:
    with pytest.raises(ConfigurationError) as raised:
        prepare(configured(credentials, entry, before=before))
    (found,) = raised.value.problems
    return found


def test_an_entry_names_the_credential_of_its_targets() -> None:
    configuration = load(
        f"""
        credentials: {{other: {{{SECRET}}}}}
        scale_sets: [{SET}}}, {SET}-2, credential: other}}]
        discovery: [{{subscriptions: [all], credential: other}}]
        """,
        environment={},
    )
    assert [target.credential for target in configuration.targets()] == ["", "other"]
    entry = configuration.discovery[0]
    found = configuration.target(configuration.targets()[0].scale_set, entry)
    assert found.credential == "other"


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        (SECRET, "https://management.azure.com"),
        (f"{SECRET}, cloud: usgovernment", "https://management.usgovcloudapi.net"),
        (
            (
                f"{SECRET}, cloud: custom, endpoint: https://b.example, audience: "
                "https://b.example, authority_host: https://login.example"
            ),
            "https://b.example",
        ),
    ],
)
def test_a_credential_may_be_of_another_cloud(settings: str, address: str) -> None:
    configuration = configured(f"other: {{{settings}}}")
    named = configuration.credentials["other"]
    assert resolve(configuration.azure, named).resource_manager == address
    assert prepare(configuration).endpoints["other"].resource_manager == address
    assert prepare(configuration).endpoints[""].resource_manager == "https://management.azure.com"


def test_without_a_cloud_it_is_of_the_one_of_azure() -> None:
    configuration = configured("other: {type: static, token_file: f}", before=CUSTOM)
    assert prepare(configuration).endpoints["other"].resource_manager == "https://a.example"


@pytest.mark.parametrize(
    ("credentials", "entry", "before", "message"),
    [
        (
            f"other: {{{SECRET}}}, third: {{type: default}}",
            ", credential: othr",
            "",
            "scale_sets[0].credential: not one of credentials: there are other, third",
        ),
        ("", ", credential: x", "", "scale_sets[0].credential: not one of credentials: there are"),
        ("'a b': {type: default}", "", "", "a name of 1 to 64 letters, digits, - _ ."),
        (
            "other: {type: client_secret, client_id: c, client_secret: hidden}",
            "",
            "",
            "credentials.other.tenant_id: is required for credential type client_secret",
        ),
        (
            "other: {type: default, endpoint: https://b.example}",
            "",
            "",
            "credentials.other.endpoint: is for cloud custom only",
        ),
        (
            (
                "other: {type: default, cloud: custom, audience: https://b.example, "
                "authority_host: https://b.example}"
            ),
            "",
            "",
            "credentials.other.endpoint: is required for cloud custom",
        ),
        (
            f"other: {{{SECRET}}}",
            "",
            CUSTOM,
            "credentials.other.type: client_secret needs azure.authority_host",
        ),
    ],
)
def test_what_is_wrong_is_named(credentials: str, entry: str, before: str, message: str) -> None:
    found = problem(credentials, entry, before=before)
    assert message in found
    assert "hidden" not in found


def test_a_secret_of_a_named_credential_is_not_shown() -> None:
    configuration = configured(f"other: {{{SECRET}}}")
    assert "hidden" not in repr(configuration)
    assert "hidden" not in problem(f"other: {{{SECRET}, tenant: hidden}}")
    wrong = "other: {type: client_secret, tenant_id: t, client_id: c, client_secret: [hidden]}"
    assert "hidden" not in problem(wrong)
