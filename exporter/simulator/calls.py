"""What a request asks for: its path, its query options and its skiptoken, read as ARM does."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from exporter.model.scale_set import ScaleSetId
from exporter.simulator import errors
from exporter.simulator.scale_set import SimulatedScaleSet

_SUBSCRIPTION = r"/subscriptions/(?P<subscription>[^/]+)"
_GROUP = _SUBSCRIPTION + r"/resourceGroups/(?P<group>[^/]+)"
_COMPUTE = r"/providers/Microsoft\.Compute"
_STANDBY = r"/providers/Microsoft\.StandbyPool"
_SET = _GROUP + _COMPUTE + r"/virtualMachineScaleSets/(?P<name>[^/]+)"

_PATHS = [
    (operation, re.compile(pattern + "/?", re.IGNORECASE))
    for operation, pattern in (
        ("instances", _SET + "/virtualMachines"),
        ("instance", _SET + "/virtualMachines/(?P<instance>[^/]+)(?P<view>/instanceView)?"),
        ("scale_set_view", _SET + "/instanceView"),
        ("rolling_upgrade", _SET + "/rollingUpgrades/latest"),
        ("lifecycle_hooks", _SET + "/lifecycleHookEvents"),
        ("scale_set", _SET),
        ("scale_sets", _GROUP + _COMPUTE + "/virtualMachineScaleSets"),
        (
            "scale_sets",
            _SUBSCRIPTION + _COMPUTE + "(/locations/(?P<location>[^/]+))?/virtualMachineScaleSets",
        ),
        ("virtual_machines", _GROUP + _COMPUTE + "/virtualMachines"),
        ("virtual_machine", _GROUP + _COMPUTE + "/virtualMachines/(?P<instance>[^/]+)"),
        (
            "standby_pool",
            _GROUP + _STANDBY + "/standbyVirtualMachinePools/(?P<name>[^/]+)/runtimeViews/latest",
        ),
        ("standby_pools", _SUBSCRIPTION + _STANDBY + "/standbyVirtualMachinePools"),
        ("autoscale", _SUBSCRIPTION + r"/providers/Microsoft\.Insights/autoscalesettings"),
        ("resource_groups", _SUBSCRIPTION + "/resourcegroups"),
        ("subscriptions", r"/subscriptions"),
        ("graph", r"/providers/Microsoft\.ResourceGraph/resources"),
    )
]
_VERSION = re.compile(r"20\d\d-\d\d-\d\d(-preview)?")
_SKIPTOKEN = re.compile(r"(?:^|&)(?:\$|%24)skiptoken=([^&]*)", re.IGNORECASE)
_TOKEN_TEXT = re.compile(
    r"[0-9a-f-]{24}(?P<page>\d{12})!(?P<owner>/Subscriptions/.*)/VMs/(?P<start>[^/]+)"
)


@dataclass(slots=True, kw_only=True)
class Call:
    """One request to ARM, taken apart. Every name keeps the spelling of the request.

    Attributes:
        body: what a POST asks, as plain values.
    """

    operation: str
    origin: str
    path: str
    raw_query: str
    subscription: str
    group: str | None = None
    name: str | None = None
    instance: str | None = None
    instance_view_only: bool = False
    location: str | None = None
    options: dict[str, str]
    page: int = 1
    body: Any = None

    @property
    def identity(self) -> ScaleSetId:
        """The scale set that the path names."""
        return ScaleSetId(self.subscription, self.group or "", self.name or "")

    @property
    def version(self) -> str:
        """The api-version. Raises ArmError where it is missing or none."""
        version = self.options.get("api-version", "")
        if not version:
            raise errors.missing_api_version()
        if not _VERSION.fullmatch(version):
            raise errors.invalid_api_version(version)
        return version

    @property
    def skiptoken(self) -> str | None:
        """The skiptoken as it came, percent-decoded once; None on the first page."""
        found = _SKIPTOKEN.search(self.raw_query)
        return unquote(found[1]) if found else None

    def start(self, owner: str) -> str | None:
        """The id that the wanted page starts at. Raises ArmError on a token that is not ours."""
        if self.skiptoken is None:
            return None
        try:
            text = base64.b64decode(self.skiptoken, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise errors.invalid_skiptoken() from None
        found = _TOKEN_TEXT.fullmatch(text)
        if found is None or found["owner"] != owner:
            raise errors.invalid_skiptoken()
        return found["start"]

    def link(self, token: str | None) -> str:
        """This call's own address with another skiptoken, un-encoded as Azure writes it."""
        query = _SKIPTOKEN.sub("", self.raw_query).lstrip("&")
        if token is not None:
            query += f"&$skiptoken={token}"
        return f"{self.origin}{self.path}?{query}"


def skiptoken(scale_set: SimulatedScaleSet, *, page: int, start: str) -> str:
    """The skiptoken of a page: its number, the set in upper case, and the first id."""
    text = f"{scale_set.placement_group[:24]}{page:012d}!{owner(scale_set.identity)}/VMs/{start}"
    return base64.b64encode(text.encode()).decode()


def owner(identity: ScaleSetId) -> str:
    """How a skiptoken names the scale set that it belongs to."""
    return (
        f"/Subscriptions/{identity.subscription_id.upper()}"
        f"/ResourceGroups/{identity.resource_group.upper()}/VMScaleSets/{identity.name.upper()}"
    )


def read(request: web.Request) -> Call | None:
    """Take a request apart; None where the path is nothing the simulator knows."""
    url = request.rel_url
    for operation, pattern in _PATHS:
        found = pattern.fullmatch(url.path)
        if found is None:
            continue
        names = found.groupdict()
        call = Call(
            operation=operation,
            origin=f"{request.scheme}://{request.host}",
            path=url.raw_path,
            raw_query=url.raw_query_string,
            subscription=names.get("subscription", ""),
            group=names.get("group"),
            name=names.get("name"),
            instance=names.get("instance"),
            instance_view_only=names.get("view") is not None,
            location=names.get("location"),
            options={key.casefold(): value for key, value in url.query.items()},
        )
        call.page = _page_number(call.skiptoken)
        return call
    return None


def _page_number(token: str | None) -> int:
    if token is None:
        return 1
    try:
        found = _TOKEN_TEXT.fullmatch(base64.b64decode(token, validate=True).decode())
    except (binascii.Error, UnicodeDecodeError):
        return 1
    return int(found["page"]) if found else 1
