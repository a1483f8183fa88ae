"""The names and labels that dashboards and rules depend on."""

from __future__ import annotations

from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.catalogue.model import tags_family
from exporter.metrics.family import STABLE
from exporter.telemetry import OWN_METRICS

CONTRACT = """
azure_vmss_up
azure_vmss_poll_failure reason
azure_vmss_instance_series_suppressed
azure_vmss_last_success_timestamp_seconds
azure_vmss_poll_interval_seconds
azure_vmss_poll_duration_seconds
azure_vmss_model_last_success_timestamp_seconds
azure_vmss_info location sku orchestration_mode upgrade_policy priority eviction_policy
azure_vmss_tags_info
azure_vmss_capacity
azure_vmss_provisioning_state state
azure_vmss_orchestration_service_state service state
azure_vmss_rolling_upgrade_state state
azure_vmss_rolling_upgrade_instances state
azure_vmss_lifecycle_hook_wait_until_timestamp_seconds hook type
azure_vmss_standby_pool_instances availability_zone state
azure_vmss_autoscale_min_capacity
azure_vmss_autoscale_max_capacity
azure_vmss_instance_patch_reboot_pending
azure_vmss_instance_patches_available classification
azure_vmss_instance_patch_assessment_timestamp_seconds
azure_vmss_instance_patch_installation_state state
azure_vmss_instances
azure_vmss_instances_by_power_state state
azure_vmss_instances_by_provisioning_state state
azure_vmss_instances_by_health_state state
azure_vmss_instances_by_fault_domain availability_zone fault_domain
azure_vmss_instances_by_vm_agent_version version
azure_vmss_instances_by_vm_agent_state state
azure_vmss_instances_by_latest_model_applied applied
azure_vmss_instances_by_vm_size vm_size
azure_vmss_instances_in_standby_pool
azure_vmss_instance_in_standby_pool
azure_vmss_instance_resilient_deletion_state state
azure_vmss_instances_by_hibernation_state state
azure_vmss_disk_instances level
azure_vmss_extension_instances extension level
azure_vmss_instance_creations_total
azure_vmss_instance_deletions_total
azure_vmss_power_state_transitions_total to
azure_vmss_provisioning_failures_total code
azure_vmss_instance_info instance_name computer_name os_name os_version hyper_v_generation vm_size vm_id provider_id
azure_vmss_instance_placement_info fault_domain update_domain availability_zone
azure_vmss_instance_power_state state
azure_vmss_instance_provisioning_state state
azure_vmss_instance_provisioning_failure code
azure_vmss_instance_os_state state
azure_vmss_instance_hibernation_state state
azure_vmss_instance_health_state state
azure_vmss_instance_status_level status
azure_vmss_instance_status_timestamp_seconds status
azure_vmss_instance_latest_model_applied
azure_vmss_instance_rdp_certificate_info thumbprint
azure_vmss_instance_protection_info protect_from_scale_in protect_from_scale_set_actions
azure_vmss_instance_maintenance_info customer_initiated_allowed last_result
azure_vmss_instance_maintenance_window_start_timestamp_seconds window
azure_vmss_instance_maintenance_window_end_timestamp_seconds window
azure_vmss_vm_agent_info version
azure_vmss_vm_agent_status_level
azure_vmss_vm_agent_state state
azure_vmss_vm_agent_status_timestamp_seconds
azure_vmss_extension_handler_info handler version
azure_vmss_extension_handler_status_level handler
azure_vmss_extension_handler_state handler state
azure_vmss_extension_handler_status_code handler
azure_vmss_extension_info extension handler version
azure_vmss_extension_status_level extension
azure_vmss_extension_state extension state
azure_vmss_extension_status_code extension
azure_vmss_extension_status_timestamp_seconds extension
azure_vmss_extension_substatus_level extension substatus state
azure_vmss_disk_state disk state
azure_vmss_disk_status_level disk
azure_vmss_disk_status_timestamp_seconds disk
azure_vmss_disk_encryption_state disk state
"""
OPT_IN = {
    "azure_vmss_instance_rdp_certificate_info",
    "azure_vmss_extension_handler_info",
    "azure_vmss_extension_substatus_level",
}
OWN = {
    "build_info",
    "config_last_reload_successful",
    "config_last_reload_success_timestamp_seconds",
    "config_hash",
    "polls_total",
    "poll_failures_total",
    "poll_duration_seconds",
    "poll_lag_seconds",
    "azure_requests_total",
    "azure_request_duration_seconds",
    "azure_throttled_total",
    "azure_throttle_allowed_requests",
    "azure_throttle_measured_requests",
    "azure_ratelimit_remaining",
    "azure_throttled_until_timestamp_seconds",
    "budget_used_ratio",
    "targets",
    "discovery_up",
    "discovery_last_success_timestamp_seconds",
    "discovery_failures_total",
    "graph_queries_total",
    "series",
    "exposition_bytes",
    "mapping_errors_total",
    "unknown_status_codes_total",
    "state_write_failures_total",
    "azure_circuit_open",
    "azure_retries_total",
    "state_refused_total",
    "token_expiry_timestamp_seconds",
    "token_failures_total",
    "event_loop_lag_seconds",
    "log_lines_lost_total",
}


def test_the_stable_families_are_those_of_the_contract_with_their_labels() -> None:
    lines = [line.split() for line in CONTRACT.strip().splitlines()]
    expected = {name: tuple(labels) for name, *labels in lines}
    stable = [family for family in CATALOGUE if family.stability is STABLE]
    assert {family.name: family.labels for family in stable} == expected


def test_only_the_named_families_are_opt_in() -> None:
    assert {family.name for family in CATALOGUE if family.opt_in} == OPT_IN


def test_tags_become_labels() -> None:
    assert tags_family(("team", "cost-center")).labels == ("tag_team", "tag_cost_center")


def test_the_exporters_own_metrics_have_their_names() -> None:
    assert {metric.name for metric in OWN_METRICS} == OWN
