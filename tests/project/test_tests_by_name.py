"""The tests of a module are found by its name: `retry.py` is tested in `test_retry*.py`."""

from __future__ import annotations

import pytest

from support.answers import ROOT

ELSEWHERE = {
    # Wiring and declarations are tested by what they lead to.
    "assembly": "test_reloading.py",
    "process": "test_reloading.py",
    "azure/auth/token_advice": "azure/test_token_failures_unread.py",
    "azure/auth/token_file": "azure/test_credentials.py",
    "azure/auth/token_sources": "azure/test_credentials.py",
    "azure/endpoints": "configuration/test_settings.py",
    "azure/error_body": "azure/test_decode_model.py",
    "azure/exception_map": "azure/test_errors.py",
    "azure/decode_scale_sets": "azure/test_decode_model.py",
    "azure/lists": "azure/test_operation.py",
    "azure/paging": "azure/test_scale_sets.py",
    "azure/ratelimit/usage": "azure/test_budget_costs.py",
    "azure/session": "azure/test_connections.py",
    "checking": "process/test_cli.py",
    "configuration/variables": "configuration/test_configuration_secrecy.py",
    "configuration/wording": "configuration/test_loading.py",
    "configuration_file": "process/test_configured.py",
    "exposition/family_blocks": "exposition/test_gzip_block.py",
    "exposition/page": "exposition/test_gzip_block.py",
    "flags": "process/test_cli.py",
    "metrics/catalogue/disk": "metrics/test_mapper_of_parts.py",
    "metrics/catalogue/extension": "metrics/test_mapper_of_parts.py",
    "metrics/catalogue/lifecycle": "metrics/test_mapper_lifecycle.py",
    "metrics/catalogue/model": "metrics/test_mapper_of_parts.py",
    "metrics/catalogue/patches": "metrics/test_mapper_details.py",
    "metrics/catalogue/vm_agent": "metrics/test_mapper_of_parts.py",
    "metrics/field_families": "metrics/test_mapper.py",
    "metrics/instance_state": "metrics/test_normalize.py",
    "model/instance_view": "azure/test_decode.py",
    "model/lenient_decode": "azure/test_letter_case.py",
    "model/quota": "azure/test_budget_limits.py",
    "model/poll": "polling/test_poller.py",
    "once": "process/test_estimate.py",
    "persistence/directory": "persistence/test_store.py",
    "polling/model_poller": "polling/test_poller.py",
    "polling/jobs": "polling/test_scheduler.py",
    "polling/outage": "polling/test_poller.py",
    "polling/publisher": "polling/test_targets.py",
    "polling/saved": "persistence/test_restore.py",
    "polling/source": "polling/test_poller.py",
    "polling/target_state": "polling/test_targets.py",
    "printing": "process/test_unread_output.py",
    "running": "process/test_cli.py",
    "runtime/overdue": "polling/test_scheduler.py",
    "telemetry": "test_policy_names.py",
    "web/metrics_page": "web/test_application.py",
    "web/pages/commands": "web/pages/test_instance_page.py",
    "web/pages/endpoints": "web/pages/test_scale_set_page.py",
    "web/pages/fleet_filter": "web/pages/test_fleet_page.py",
    "web/pages/fleet_rows": "web/pages/test_fleet_page.py",
    "web/pages/grid": "web/pages/test_scale_set_page.py",
    "web/pages/instance_rows": "web/pages/test_scale_set_page.py",
    "web/pages/links": "web/pages/test_hostile_text.py",
    "web/pages/paging": "web/pages/test_fleet_page.py",
    "web/pages/set_head": "web/pages/test_scale_set_page.py",
    "web/pages/site": "web/pages/test_fleet_page.py",
    "web/server": "web/test_listening.py",
}
TESTS = {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
MODULES = sorted(
    str(path.relative_to(ROOT / "exporter").with_suffix(""))
    for path in (ROOT / "exporter").rglob("*.py")
    if path.stem not in ("__init__", "__main__") and "simulator" not in path.parts
)


def has_tests_of_its_name(module: str) -> bool:
    name = "test_" + module.rpartition("/")[2]
    return any(test == name or test.startswith(f"{name}_") for test in TESTS)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_s_tests_have_its_name_or_are_named_here(module: str) -> None:
    if module in ELSEWHERE:
        assert not has_tests_of_its_name(module), "its entry is of no use any more"
        assert (ROOT / "tests" / ELSEWHERE[module]).exists()
    else:
        assert has_tests_of_its_name(module)


def test_every_entry_is_of_a_module() -> None:
    assert set(ELSEWHERE) <= set(MODULES)
