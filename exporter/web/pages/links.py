"""Addresses: of the pages, relative to each other, and of Azure's portal and Grafana.

The pages' own are relative, so that they work behind a reverse proxy, whatever its prefix is.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

from exporter.model.scale_set import ScaleSetId

PORTALS = {
    "public": "https://portal.azure.com",
    "usgovernment": "https://portal.azure.us",
    "china": "https://portal.azure.cn",
}
"""Where the portal of each cloud is."""

_DOTS = frozenset((".", ".."))


def segment(text: str) -> str:
    """A text as one part of a path; empty for one that no path can have.

    Browsers take one or two dots for steps in the tree, also percent-encoded.
    """
    return "" if text in _DOTS else quote(text, safe="", errors="replace")


def path_of(scale_set: ScaleSetId, *more: str) -> str:
    """The path of a set, or of something in it, below the root; empty where there is none."""
    parts = (scale_set.subscription_id, scale_set.resource_group, scale_set.name, *more)
    quoted = [segment(part) for part in parts]
    return "/".join(quoted) if all(quoted) else ""


def page_of(scale_set: ScaleSetId, *more: str) -> str:
    """The page of a set or of one of its instances, below the root; empty where there is none."""
    path = path_of(scale_set, *more)
    return path and f"scale-sets/{path}"


def json_of(scale_set: ScaleSetId) -> str:
    """The JSON of a set, below the root; empty where there is none."""
    path = path_of(scale_set)
    return path and f"api/v1/scale_sets/{path}"


def portal_of(portal: str, scale_set: ScaleSetId, instance_id: str, *, flexible: bool) -> str:
    """The page of a set, or of one of its instances, in Azure's portal; empty without a portal.

    Args:
        portal: its address; empty for none.
        scale_set: the set.
        instance_id: the instance; empty for the set itself.
        flexible: whether the instance is a virtual machine of its own.
    """
    if not portal:
        return ""
    resource = scale_set.resource_id
    if instance_id and flexible:
        group = f"/subscriptions/{scale_set.subscription_id}/resourceGroups/"
        group += scale_set.resource_group
        resource = f"{group}/providers/Microsoft.Compute/virtualMachines/{instance_id}"
    elif instance_id:
        resource += f"/virtualMachines/{instance_id}"
    return f"{portal}/#@/resource{quote(resource, errors='replace')}"


def grafana_of(
    grafana: str, dashboard: str, scale_set: ScaleSetId | None = None, instance_id: str = ""
) -> str:
    """A dashboard in Grafana, with its variables set; empty without a Grafana.

    Args:
        grafana: its address; empty for none.
        dashboard: `fleet`, `scale-set` or `instance`.
        scale_set: what the dashboard is to show.
        instance_id: the same.
    """
    if not grafana:
        return ""
    variables: dict[str, str] = {}
    if scale_set is not None:
        variables = {
            "var-subscription": scale_set.subscription_id,
            "var-resource_group": scale_set.resource_group,
            "var-scale_set": scale_set.name,
        }
    if instance_id:
        variables["var-instance"] = instance_id
    address = f"{grafana.rstrip('/')}/d/azure-vmss-{dashboard}"
    return f"{address}?{urlencode(variables, errors='replace')}" if variables else address
