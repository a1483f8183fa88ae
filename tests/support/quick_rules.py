"""The committed rules in a quicker time: every duration divided by one factor, all else equal.

With a factor of 60 a minute of the rules is a second of the test. Prometheus and Alertmanager
compare times only with each other and with what the exporter tells, so that their verdicts stay.
"""

from __future__ import annotations

import copy
import re
from typing import Any

from support.rules import seconds

AGES = ("azure_vmss:data_age_seconds:threshold", "azure_vmss:poll_lag_seconds:threshold")
"""Thresholds that are ages. How late the event loop is says how quick this machine is, and not how
long ago something was: its threshold stays."""

WAITS = ("group_wait", "group_interval", "repeat_interval")

_RANGE = re.compile(r"(?<=\[)[0-9a-z]+(?=\])|(?<=\boffset )[0-9a-z]+")
_NUMBER = re.compile(r"[0-9.]+")


def quick_rules(document: dict[str, Any], factor: float) -> dict[str, Any]:
    """A file of rules with every `for`, `keep_firing_for`, range and age divided."""
    made = copy.deepcopy(document)
    for group in made["groups"]:
        _divide(group, ("interval",), factor)
        for rule in group["rules"]:
            _divide(rule, ("for", "keep_firing_for"), factor)
            rule["expr"] = _RANGE.sub(lambda found: _shorter(found[0], factor), rule["expr"])
            if rule.get("record") in AGES:
                rule["expr"] = _NUMBER.sub(
                    lambda found: f"{float(found[0]) / factor:g}", rule["expr"]
                )
    return made


def quick_alertmanager(document: dict[str, Any], factor: float, receivers: str) -> dict[str, Any]:
    """Alertmanager's configuration with every wait divided, and receivers of the test's.

    Args:
        factor: by what the waits of the routes are divided.
        receivers: the address that takes the place of the webhooks' scheme and host.
    """
    made = copy.deepcopy(document)
    routes = [made["route"]]
    for route in routes:
        _divide(route, WAITS, factor)
        routes.extend(route.get("routes", ()))
    for receiver in made["receivers"]:
        for hook in receiver.get("webhook_configs", ()):
            hook["url"] = f"{receivers}/{receiver['name']}"
    return made


def _divide(holder: dict[str, Any], names: tuple[str, ...], factor: float) -> None:
    for name in names:
        if name in holder:
            holder[name] = _shorter(holder[name], factor)


def _shorter(duration: str, factor: float) -> str:
    return f"{round(seconds(duration) * 1000 / factor)}ms"
