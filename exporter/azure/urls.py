"""The addresses of requests: built by hand, or taken from `nextLink` nearly byte for byte.

Azure's skiptokens do not survive a decoding and encoding again, and some `nextLink`s come with
raw spaces and quotes in them. So only what may not stand in a URI at all is encoded, and neither
yarl nor aiohttp may touch the rest.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from yarl import URL

from exporter.azure.endpoints import Endpoints
from exporter.azure.errors import BrokenAnswer
from exporter.model.scale_set import ScaleSetId

FILTER_VERSION = "2023-03-01"
"""The first version of `Microsoft.Compute` that lists the machines of one Flexible set."""

RESOURCES_VERSION = "2022-12-01"
"""The version of `Microsoft.Resources` by which subscriptions and resource groups are listed."""

GRAPH_VERSION = "2021-03-01"
"""The version of `Microsoft.ResourceGraph`: the first that queries all subscriptions at once."""

_LONGEST = 65_536
# All but RFC 3986's unreserved and reserved characters, and the percent sign.
_ILLEGAL = re.compile(r"[^A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]")

# Scheme, host and port, and nothing else before the path. All that is odder is refused here: URL
# parsers disagree on it, and some fall over it.
_ORIGIN = re.compile(
    r"https?://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?(?=[/?#]|\Z)", re.IGNORECASE
)


def scale_set_url(endpoints: Endpoints, scale_set: ScaleSetId, *, api_version: str) -> URL:
    """`VirtualMachineScaleSets_Get`: the set itself."""
    return URL(f"{_path(endpoints, scale_set)}?{_version(api_version)}", encoded=True)


def instances_url(
    endpoints: Endpoints, scale_set: ScaleSetId, *, api_version: str, full: bool
) -> URL:
    """`VirtualMachineScaleSetVMs_List`: its first page.

    Args:
        scale_set: whose instances.
        api_version: of `Microsoft.Compute`.
        full: whether all fields are wanted; else `$select` leaves the instance view only.
    """
    select = "" if full else "&$select=instanceView"
    path = _path(endpoints, scale_set)
    query = f"$expand=instanceView{select}&{_version(api_version)}"
    return URL(f"{path}/virtualMachines?{query}", encoded=True)


def virtual_machines_url(endpoints: Endpoints, scale_set: ScaleSetId, *, api_version: str) -> URL:
    """`VirtualMachines_List` of one Flexible set: its first page.

    Azure knows the filter together with the instance view from 2023-03-01 on only.
    """
    version = max(api_version, FILTER_VERSION)
    path, _, _ = _path(endpoints, scale_set).rpartition("/virtualMachineScaleSets/")
    wanted = quote(f"'virtualMachineScaleSet/id' eq '{scale_set.resource_id}'", safe="/'")
    query = f"$filter={wanted}&$expand=instanceView&{_version(version)}"
    return URL(f"{path}/virtualMachines?{query}", encoded=True)


def virtual_machine_url(
    endpoints: Endpoints, scale_set: ScaleSetId, name: str, *, api_version: str
) -> URL:
    """`VirtualMachines_Get` of a machine in the resource group of a set, in which it was."""
    path, _, _ = _path(endpoints, scale_set).rpartition("/virtualMachineScaleSets/")
    machine = f"virtualMachines/{quote(name, safe='')}"
    return URL(f"{path}/{machine}?{_version(api_version)}", encoded=True)


def scale_sets_url(
    endpoints: Endpoints, subscription_id: str, resource_group: str = "", *, api_version: str
) -> URL:
    """`VirtualMachineScaleSets_ListAll`, or `_List` of a resource group: its first page."""
    group = f"/resourceGroups/{quote(resource_group, safe='')}" if resource_group else ""
    return URL(
        f"{endpoints.resource_manager}/subscriptions/{quote(subscription_id, safe='')}{group}"
        f"/providers/Microsoft.Compute/virtualMachineScaleSets?{_version(api_version)}",
        encoded=True,
    )


def subscriptions_url(endpoints: Endpoints) -> URL:
    """`Subscriptions_List`: its first page."""
    return URL(
        f"{endpoints.resource_manager}/subscriptions?{_version(RESOURCES_VERSION)}",
        encoded=True,
    )


def resource_groups_url(endpoints: Endpoints, subscription_id: str) -> URL:
    """`ResourceGroups_List`: its first page."""
    return URL(
        f"{endpoints.resource_manager}/subscriptions/{quote(subscription_id, safe='')}"
        f"/resourcegroups?{_version(RESOURCES_VERSION)}",
        encoded=True,
    )


def graph_url(endpoints: Endpoints) -> URL:
    """Where Resource Graph answers queries."""
    return URL(
        f"{endpoints.resource_manager}/providers/Microsoft.ResourceGraph/resources"
        f"?{_version(GRAPH_VERSION)}",
        encoded=True,
    )


def of_scale_set_url(
    endpoints: Endpoints, scale_set: ScaleSetId, what: str, *, api_version: str
) -> URL:
    """Something of a scale set, as `rollingUpgrades/latest`."""
    return URL(f"{_path(endpoints, scale_set)}/{what}?{_version(api_version)}", encoded=True)


def of_subscription_url(
    endpoints: Endpoints, subscription_id: str, what: str, *, api_version: str
) -> URL:
    """Something of a subscription, as `providers/Microsoft.Insights/autoscalesettings`."""
    return URL(
        f"{endpoints.resource_manager}/subscriptions/{quote(subscription_id, safe='')}/{what}"
        f"?{_version(api_version)}",
        encoded=True,
    )


def of_resource_url(endpoints: Endpoints, resource_id: str, what: str, *, api_version: str) -> URL:
    """Something of a resource whose id Azure has told."""
    path = quote(resource_id.strip("/"), safe="/")
    return URL(f"{endpoints.resource_manager}/{path}/{what}?{_version(api_version)}", encoded=True)


def next_url(link: str, endpoints: Endpoints, *, api_version: str) -> URL:
    """The address of the next page.

    Raises:
        BrokenAnswer: the link is not an address, or leads away from the configured endpoint.
    """
    if len(link) > _LONGEST:
        raise BrokenAnswer("nextLink is too long")
    if not _ORIGIN.match(link):
        raise BrokenAnswer("nextLink is not a valid address")
    try:
        legal = _ILLEGAL.sub(_percent, link)
        if not _has_version(legal):
            legal = _with_version(legal, api_version)
        url = URL(legal, encoded=True)
        trusted = endpoints.may_have_token(url)
    except ValueError:
        # From yarl, for a host or a port that is none; it is a UnicodeError's base too.
        raise BrokenAnswer("nextLink is not a valid address") from None
    if not trusted:
        raise BrokenAnswer("nextLink leads away from the configured endpoint")
    return url


def _path(endpoints: Endpoints, scale_set: ScaleSetId) -> str:
    subscription, group, name = (
        quote(part, safe="")
        for part in (scale_set.subscription_id, scale_set.resource_group, scale_set.name)
    )
    return (
        f"{endpoints.resource_manager}/subscriptions/{subscription}/resourceGroups/{group}"
        f"/providers/Microsoft.Compute/virtualMachineScaleSets/{name}"
    )


def _version(api_version: str) -> str:
    return f"api-version={quote(api_version, safe='')}"


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match.group().encode())


def _has_version(link: str) -> bool:
    query = link.partition("#")[0].partition("?")[2]
    names = (part.partition("=")[0] for part in query.split("&"))
    return any(unquote(name).casefold() == "api-version" for name in names)


def _with_version(link: str, api_version: str) -> str:
    address, mark, fragment = link.partition("#")
    joint = "?" if "?" not in address else "" if address[-1] in "?&" else "&"
    return f"{address}{joint}{_version(api_version)}{mark}{fragment}"
