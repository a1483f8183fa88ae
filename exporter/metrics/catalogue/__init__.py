"""Every metric about Azure, declared. A new metric is one entry in one of these files.

`scale_set.py` has what holds for a set: its polls and counts; `model.py` its model, `details.py`
what is asked for beside it. `instance.py`, `vm_agent.py`, `extension.py` and `disk.py` have what
holds for one instance, by the part of the instance view that tells it, `patches.py` what waits to
be installed on it. `lifecycle.py` has what Azure keeps out of service on purpose, `transitions.py`
what changed from poll to poll.
"""

from exporter.metrics.catalogue import (
    details,
    disk,
    extension,
    instance,
    lifecycle,
    patches,
    scale_set,
    transitions,
    vm_agent,
)
from exporter.metrics.family import Family

CATALOGUE: tuple[Family, ...] = (
    *scale_set.FAMILIES,
    *details.FAMILIES,
    *instance.FAMILIES,
    *lifecycle.FAMILIES,
    *patches.FAMILIES,
    *vm_agent.FAMILIES,
    *extension.FAMILIES,
    *disk.FAMILIES,
    *transitions.FAMILIES,
)

RESERVED_LABELS: frozenset[str] = frozenset(
    label for family in CATALOGUE for label in (*family.identity, *family.labels)
)
"""The labels that families use: extra labels of the configuration may not have these names."""

__all__ = ["CATALOGUE", "RESERVED_LABELS"]
