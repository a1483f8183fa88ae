"""What is found wrong with a configuration before anything is built from it."""

from __future__ import annotations

import pytest

from exporter.azure import endpoints
from exporter.configuration import ConfigurationError, load
from exporter.preparation import prepare, unknown_patterns

SET = "scale_sets: [{subscription_id: 00000000-0000-0000-0000-000000000000, resource_group: rg, name: web}]\n"


@pytest.mark.parametrize("fault", [UnicodeError("idna"), ValueError("hunter2"), KeyError("x")])
def test_whatever_a_library_refuses_is_a_problem_that_quotes_nothing(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def refuse(_: object) -> None:
        raise fault

    monkeypatch.setattr(endpoints, "resolve", refuse)
    with pytest.raises(ConfigurationError) as raised:
        prepare(load(SET, environment={}))
    assert raised.value.problems == (f"cannot be used ({type(fault).__name__})",)


def test_a_proxy_on_the_way_to_the_login_service_counts_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    monkeypatch.setenv("NO_PROXY", "management.azure.com")
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY names a proxy of socks5"):
        prepare(load(SET, environment={}))
    # Whoever does not go that way is not held up by it.
    prepare(load("azure: {credential: {type: managed_identity}}\n" + SET, environment={}))


def test_patterns_are_matched_with_families_of_azure_of_the_exporter_and_of_the_process() -> None:
    known = "[azure_vmss_up, azure_vmss_exporter_polls_total, 'python_*', process_open_fds]"
    text = f"metrics: {{deny: {known}, opt_in: [azure_vmss_exporter_polls, 'azure_vmss_instance_*']}}\n"
    configuration = load(text + SET, environment={})
    assert list(unknown_patterns(configuration)) == [
        "metrics.opt_in[0]: 'azure_vmss_exporter_polls' matches no metric family"
    ]
