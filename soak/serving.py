"""What the exporter serves, read back from the text of its page."""

from __future__ import annotations

import re
from collections.abc import Iterable

from exporter.exposition.gzip_block import Block
from exporter.polling.publisher import Publisher
from exporter.polling.target_state import TargetState
from soak.truth import Facts, Key

STATE_FAMILIES = (
    "azure_vmss_instance_power_state",
    "azure_vmss_instance_provisioning_state",
    "azure_vmss_instance_provisioning_failure",
    "azure_vmss_instance_placement_info",
    "azure_vmss_instance_health_state",
    "azure_vmss_vm_agent_state",
    "azure_vmss_vm_agent_info",
    "azure_vmss_extension_state",
)
"""Families whose samples with the value 1 are compared."""

TIME_FAMILY = "azure_vmss_instance_status_timestamp_seconds"
FAMILIES = frozenset({*STATE_FAMILIES, TIME_FAMILY})

_PREFIX = "azure_vmss_"
_SAMPLE = re.compile(
    r'^azure_vmss_(\w+)\{subscription_id="([^"]*)",resource_group="([^"]*)",scale_set="([^"]*)",'
    r'instance_id="([^"]*)",([^}]*)\} (\S+)'
)
_TIMED = 'status="provisioning_state"'


def of_state(publisher: Publisher, state: TargetState) -> dict[str, Facts]:
    """What is served of a target now, by instance id."""
    blocks = [
        block
        for lines in publisher.lines(state)
        for name, block in lines.items()
        if name in FAMILIES
    ]
    return next(iter(_read(_texts(blocks)).values()), {})


def of_page(publisher: Publisher) -> dict[Key, dict[str, Facts]]:
    """What the whole page says now, by set and instance id."""
    page = publisher.cache.page(FAMILIES)
    return _read([b"".join(page.plain_chunks(1 << 20)).decode()])


def _texts(blocks: Iterable[Block]) -> list[str]:
    return [block.text.decode() for block in blocks]


def _read(texts: Iterable[str]) -> dict[Key, dict[str, Facts]]:
    found: dict[Key, dict[str, set[str]]] = {}
    for text in texts:
        for line in text.splitlines():
            # Zeros of state sets are most of the lines.
            if line.endswith(" 0") or line.startswith("#"):
                continue
            sample = _SAMPLE.fullmatch(line)
            if sample is None:
                raise ValueError(f"no sample: {line}")
            family, subscription, group, name, instance, labels, value = sample.groups()
            fact = f"{family}{{{labels}}}"
            if _PREFIX + family == TIME_FAMILY:
                if labels != _TIMED:
                    continue
                fact += f" {float(value):.3f}"
            key = (subscription.lower(), group.lower(), name.lower())
            facts = found.setdefault(key, {}).setdefault(instance, set())
            if fact in facts:
                raise ValueError(f"served twice: {fact} of {instance}")
            facts.add(fact)
    return {
        key: {identifier: frozenset(facts) for identifier, facts in instances.items()}
        for key, instances in found.items()
    }
