"""What an instance is, and its extensions and disks, on the Instance dashboard."""

from __future__ import annotations

from grafana.source import frame
from grafana.source.panels import Facts
from grafana.source.queries import ONE_INSTANCE
from grafana.source.states import BROKEN, LOOK, words
from grafana.source.tables import Column, rows


def section() -> frame.Section:
    """What the instance is, and its parts in words."""
    info = ONE_INSTANCE.value("azure_vmss_instance_info")
    place = ONE_INSTANCE.value("azure_vmss_instance_placement_info")
    levels = ONE_INSTANCE.value("azure_vmss_extension_status_level")
    states = ONE_INSTANCE.holding("azure_vmss_extension_state")
    versions = ONE_INSTANCE.value("azure_vmss_extension_info")
    codes = ONE_INSTANCE.value("azure_vmss_extension_status_code")
    disk_levels = ONE_INSTANCE.value("azure_vmss_disk_status_level")
    disk_states = ONE_INSTANCE.holding("azure_vmss_disk_state")
    encryption = ONE_INSTANCE.holding("azure_vmss_disk_encryption_state")
    agent = ONE_INSTANCE.value("azure_vmss_vm_agent_info")
    known = (
        "instance_id, instance_name, computer_name, os_name, os_version, vm_size, vm_id, "
        "hyper_v_generation"
    )
    domains = "instance_id, availability_zone, fault_domain, update_domain"
    level_words = words({"0": ("Info", "green"), "1": ("Warning", LOOK), "2": ("Error", BROKEN)})
    return frame.Section(
        title="Facts and parts",
        panels=[
            rows(
                Facts(
                    title="Facts",
                    about="What Azure tells of the machine. Computer name and operating system "
                    "come from the agent inside.",
                    empty="Azure does not list the instance, or its set's series are kept back.",
                    size=(24, 4),
                ),
                [
                    Column(title="Instance", label="instance_id", width=90),
                    Column(title="Name", label="instance_name"),
                    Column(title="Computer", label="computer_name"),
                    Column(title="System", label="os_name"),
                    Column(title="Version", label="os_version"),
                    Column(title="Size", label="vm_size"),
                    Column(title="Zone", label="availability_zone"),
                    Column(title="Fault domain", label="fault_domain"),
                    Column(title="Update domain", label="update_domain"),
                    Column(title="Agent's version", label="version"),
                    Column(title="VM id", label="vm_id", width=330),
                    Column(title="Generation", label="hyper_v_generation"),
                    Column(title="Known", expression=f"max by ({known}) ({info})", hidden=True),
                    Column(title="Placed", expression=f"max by ({domains}) ({place})", hidden=True),
                    Column(
                        title="Agent",
                        expression=f"max by (instance_id, version) ({agent})",
                        hidden=True,
                    ),
                ],
                order="Instance",
            ),
            rows(
                Facts(
                    title="Extensions",
                    about="Every extension with its version, state, level and the number at the "
                    "end of its code. Its message stands in the exporter's JSON.",
                    empty="The instance reports no extension.",
                ),
                [
                    Column(title="Extension", label="extension"),
                    Column(title="Version", label="version", width=90),
                    Column(title="State", label="state", width=120),
                    Column(
                        title="Level",
                        expression=f"max by (extension) ({levels})",
                        mapped=level_words,
                        width=90,
                    ),
                    Column(
                        title="Code",
                        expression=f"max by (extension) ({codes})",
                        unit="none",
                        width=70,
                    ),
                    Column(title="Handler", label="handler"),
                    Column(
                        title="Holds",
                        expression=f"max by (extension, state) ({states})",
                        hidden=True,
                    ),
                    Column(
                        title="Installed",
                        expression=f"max by (extension, handler, version) ({versions})",
                        hidden=True,
                    ),
                ],
                order="Level",
            ),
            rows(
                Facts(
                    title="Disks",
                    about="Every disk with its provisioning state and its encryption, where Azure "
                    "tells it.",
                    empty="Azure tells nothing of disks.",
                ),
                [
                    Column(title="Disk", label="disk"),
                    Column(title="State", label="state", width=110),
                    Column(
                        title="Level",
                        expression=f"max by (disk) ({disk_levels})",
                        mapped=level_words,
                        width=90,
                    ),
                    Column(title="Encryption", label="encryption", width=120),
                    Column(
                        title="Holds",
                        expression=f"max by (disk, state) ({disk_states})",
                        hidden=True,
                    ),
                    Column(
                        title="Encrypted",
                        expression="max by (disk, encryption) (label_replace("
                        f'{encryption}, "encryption", "$1", "state", "(.*)"))',
                        hidden=True,
                    ),
                ],
                order="Level",
            ),
        ],
    )
