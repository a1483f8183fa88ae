"""Commands of the Azure CLI for one instance, ready to be pasted into a shell."""

from __future__ import annotations

import shlex
from typing import NamedTuple

from exporter.model.scale_set import ScaleSetId
from exporter.redaction import plain


class Command(NamedTuple):
    """A command: what it does, its text, and whether it changes anything."""

    title: str
    text: str
    changes: bool


def commands_for(scale_set: ScaleSetId, instance_id: str, *, flexible: bool) -> list[Command]:
    """What to type for an instance, that which only looks first.

    None where a name has characters that a terminal would not show: what is pasted must be what
    was read.
    """
    names = (scale_set.subscription_id, scale_set.resource_group, scale_set.name, instance_id)
    if any(plain(name) != name or "\n" in name or not name for name in names):
        return []
    subscription, group, name, instance = map(shlex.quote, names)
    where = f"--subscription {subscription} --resource-group {group}"
    if flexible:
        which = f"{where} --name {instance}"
        return [
            Command("Show all statuses", f"az vm get-instance-view {which}", changes=False),
            Command(
                "Show the end of the serial console's log",
                f"az vm boot-diagnostics get-boot-log {which}",
                changes=False,
            ),
            Command("List the extensions", f"az vm extension list {_vm(which)}", changes=False),
            Command("Restart", f"az vm restart {which}", changes=True),
            Command("Start", f"az vm start {which}", changes=True),
            Command("Move to another host", f"az vm redeploy {which}", changes=True),
            Command("Apply the model again", f"az vm reapply {which}", changes=True),
        ]
    which = f"{where} --name {name}"
    one, many = f"{which} --instance-id {instance}", f"{which} --instance-ids {instance}"
    return [
        Command("Show all statuses", f"az vmss get-instance-view {one}", changes=False),
        Command("Show the instance", f"az vmss show {one}", changes=False),
        Command("Restart", f"az vmss restart {many}", changes=True),
        Command("Start", f"az vmss start {many}", changes=True),
        Command("Move to another host", f"az vmss redeploy {many}", changes=True),
        Command("Bring to the latest model", f"az vmss update-instances {many}", changes=True),
        Command("Set up the disk anew", f"az vmss reimage {many}", changes=True),
        Command("Delete", f"az vmss delete-instances {many}", changes=True),
    ]


def _vm(which: str) -> str:
    """The extension commands name the machine in another way."""
    return which.replace("--name ", "--vm-name ", 1)
