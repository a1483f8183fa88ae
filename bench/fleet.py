"""The fleet of the benches: `python -m bench.fleet --sets 100 --size 100 --token-file FILE`.

The simulated Azure of `exporter.simulator`, where the instances differ in ids, times and state,
and one in twenty has failed provisioning. A compressor gains too much from a fleet of equals.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path
from typing import Literal

from bench.limits import WIDE
from exporter.simulator import Fleet, SimulatedAzure
from exporter.simulator.buckets import DEFAULTS
from exporter.simulator.description import (
    BucketDescription,
    FleetDescription,
    LimitsDescription,
    ScaleSetDescription,
)
from exporter.simulator.instance import SimulatedInstance

FAILED_EVERY = 20
FAILURES = {
    "AllocationFailed": "Allocation failed. We do not have sufficient capacity for the requested "
    "VM size in this region.",
    "OSProvisioningTimedOut": "OS Provisioning for VM '{id}' did not finish in the allotted time.",
    "VMExtensionProvisioningError": "VM has reported a failure when processing extension 'setup' "
    "of VM {id}.",
    "InternalExecutionError": "An internal execution error occurred. Please retry later.",
}
_WIDE = BucketDescription(capacity=WIDE, refill=WIDE)
WIDE_LIMITS = LimitsDescription(
    policies=dict.fromkeys(DEFAULTS, _WIDE), principal_reads=_WIDE, subscription_reads=_WIDE
)

GROUP = "rg-bench"
SET_NAME = "workers"


def set_names(sets: int) -> list[str]:
    """The scale sets' names, all in the group `GROUP`."""
    return [SET_NAME] if sets == 1 else [f"{SET_NAME}-{number:03d}" for number in range(sets)]


Orchestration = Literal["uniform", "flexible"]


def build(
    sets: int, size: int, *, extensions: int = 1, orchestration: Orchestration = "uniform"
) -> Fleet:
    """A still fleet: a second poll finds what the first one found.

    Args:
        sets: the number of scale sets.
        size: instances in each.
        extensions: extensions of each instance.
        orchestration: the kind of the sets.
    """
    names = ["AzureMonitorLinuxAgent", "CustomScript", "AzureDiskEncryption"][:extensions]
    description = ScaleSetDescription(
        name=SET_NAME,
        resource_group=GROUP,
        size=size,
        repeat=sets,
        zones=["1", "2", "3"],
        health=True,
        extensions=names,
        orchestration=orchestration,
    )
    fleet = Fleet(FleetDescription(limits=WIDE_LIMITS, scale_sets=[description]))
    number = 0
    for scale_set in fleet.scale_sets:
        for instance in scale_set.instances.values():
            _differ(instance, number)
            number += 1
    return fleet


def _differ(instance: SimulatedInstance, number: int) -> None:
    if number % FAILED_EVERY == 0:
        code = list(FAILURES)[number // FAILED_EVERY % len(FAILURES)]
        instance.provisioning = f"failed/{code}"
        instance.provisioning_message = FAILURES[code].format(id=instance.vm_id)
        if code == "AllocationFailed":
            instance.power, instance.agent = "deallocated", "absent"
    elif number % FAILED_EVERY == 1:
        instance.power, instance.agent = "stopped", "silent"
    elif number % FAILED_EVERY == 2:  # noqa: PLR2004 - the next one in twenty
        instance.agent = "unavailable"


def main() -> None:
    """Serve the fleet on a free port until SIGTERM; the address is printed."""
    parser = argparse.ArgumentParser(prog="python -m bench.fleet")
    parser.add_argument("--sets", type=int, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--extensions", type=int, default=1)
    parser.add_argument("--token-file", type=Path, required=True)
    flags = parser.parse_args()
    fleet = build(flags.sets, flags.size, extensions=flags.extensions)
    asyncio.run(_serve(SimulatedAzure(fleet, token=flags.token_file.read_text("utf-8"))))


async def _serve(azure: SimulatedAzure) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await azure.start()
    try:
        print(f"listening on {azure.url}", flush=True)  # noqa: T201 - for the one who started it
        await stopped.wait()
    finally:
        await azure.close()


if __name__ == "__main__":
    main()
