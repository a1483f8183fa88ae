"""What changed in a scale set from one poll to the next, counted."""

from __future__ import annotations

from exporter.metrics.family import STABLE, CounterFamily, Family

_STATUS = "properties.instanceView.statuses[].code"
_ABSENT = (
    "No poll has succeeded yet; served for ever after. The first poll after a cold start counts "
    "nothing."
)

FAMILIES: tuple[Family, ...] = (
    CounterFamily(
        name="azure_vmss_instance_creations_total",
        stability=STABLE,
        help="Instances that came, seen between polls.",
        source=("id", "instanceId", "properties.vmId", "properties.timeCreated"),
        absent_when=_ABSENT,
        derivation="An instance is the same by its VM id where both answers tell it, else by its "
        "instance id, which Azure uses again. One that comes back after an answer without it "
        "counts again. A virtual machine that is 15 minutes older than the last answer without it "
        "was attached to its Flexible set, and does not count.",
        rows=lambda counts: (((), counts.creations),),
    ),
    CounterFamily(
        name="azure_vmss_instance_deletions_total",
        stability=STABLE,
        help="Instances that went, seen between polls.",
        source=("id", "instanceId", "properties.vmId"),
        absent_when=_ABSENT,
        derivation="Azure does not say why an instance went. While items of the answer cannot be "
        "read, as many missing instances are not taken for deleted. Of up to five virtual machines "
        "that a Flexible set has lost in a poll, each is asked for: one that exists with the same "
        "VM id was detached, and does not count.",
        rows=lambda counts: (((), counts.deletions),),
    ),
    CounterFamily(
        name="azure_vmss_power_state_transitions_total",
        stability=STABLE,
        help="Power states that instances entered, seen between polls.",
        source=(_STATUS,),
        absent_when=_ABSENT,
        derivation="A new instance counts as a creation only. One that was unknown for a while "
        "and is back in the state before counts under unknown only.",
        labels=("to",),
        rows=lambda counts: [((state,), count) for state, count in counts.power_states.items()],
    ),
    CounterFamily(
        name="azure_vmss_provisioning_failures_total",
        stability=STABLE,
        help="Entries of instances into a failed provisioning state, seen between polls.",
        source=(_STATUS, "properties.provisioningState"),
        absent_when=_ABSENT,
        derivation="By the code of the entry; an instance that is new and failed has entered. A "
        "new code is served as 0 for 2 minutes before it counts. At most 100 codes per set "
        "beside unspecified, then other.",
        labels=("code",),
        rows=lambda counts: [((code,), count) for code, count in counts.failures.items()],
    ),
)
