"""What the simulated Azure held when it answered: read from its instances, not from its answers.

It is written down a second time on purpose, as plainly as possible: the exporter's reading of an
answer is compared with this.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

from yarl import URL

from exporter.simulator.faults import Fault, Faults
from exporter.simulator.fleet import Fleet
from exporter.simulator.instance import SimulatedInstance
from exporter.simulator.operations import MACHINE_PAGE_SIZE
from exporter.simulator.scale_set import SimulatedScaleSet
from exporter.simulator.times import azure_time
from soak.session import Head

Facts = frozenset[str]
"""All that is compared of one instance, each as `family{labels}` or as `family{labels} value`."""

Key = tuple[str, str, str]

LOWER_CASE_STATES = {
    "power": ("creating", "starting", "running", "stopping", "stopped", "deallocating",
              "deallocated"),
    "provisioning": ("creating", "updating", "succeeded", "failed", "deleting", "migrating"),
    "health": ("healthy", "unhealthy", "initializing", "unknown"),
}  # fmt: skip

_PATH = re.compile(
    r"/subscriptions/([^/]+)/resourceGroups/([^/]+)"
    r"/providers/Microsoft\.Compute/virtualMachineScaleSets/([^/]+)/virtualMachines",
    re.IGNORECASE,
)
_MACHINES = re.compile(
    r"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/Microsoft\.Compute/virtualMachines",
    re.IGNORECASE,
)
_SKIPTOKEN = re.compile(r"skiptoken=([^&]*)")
_NO_LONGER_LISTED = ("item_without_id",)
_WITHOUT_VIEW = ("item_without_view",)

_struck: ContextVar[tuple[str, ...]] = ContextVar("struck", default=())
_answered_at: ContextVar[float] = ContextVar("answered_at", default=0.0)


class WatchedFaults(Faults):
    """The faults in force, which tell the answering task what has struck it."""

    def strike(
        self, *, operation: str, scale_set: str | None, page: int | None, elapsed: float
    ) -> list[Fault]:
        """The faults that strike this request, counted."""
        struck = super().strike(
            operation=operation, scale_set=scale_set, page=page, elapsed=elapsed
        )
        _struck.set(tuple(fault.kind for fault in struck))
        _answered_at.set(elapsed)
        return struck


@dataclass(frozen=True, slots=True)
class _Page:
    """A page as it was answered: what it held, and the id that the next one begins with."""

    facts: dict[str, Facts]
    following: str


class Truth:
    """Keeps what each scale set held when the pages of its last walk were answered.

    Args:
        fleet: where the instances are.
        page_size: instances on a page where the set's description has no other number.
    """

    def __init__(self, fleet: Fleet, *, page_size: int) -> None:
        self._fleet = fleet
        self._page_size = page_size
        self._walks: dict[Key, dict[str, _Page]] = {}
        self.not_found: dict[Key, int] = {}
        """Answers with status 404 since the last good one, by set."""
        self._uncertain: set[Key] = set()

    def see(self, head: Head) -> None:
        """Take notice of an answer, at the moment when it is made."""
        key = _key_of(head.url)
        if key is None:
            return
        if head.status == 404:  # noqa: PLR2004 - an HTTP status is its own name
            self.not_found[key] = self.not_found.get(key, 0) + 1
        scale_set = self._find(key)
        if head.status != 200 or scale_set is None:  # noqa: PLR2004 - same
            return
        start = _start_of(head.url.raw_query_string)
        if not start:
            self._walks[key] = {}
            self._uncertain.discard(key)
        if self._fleet.elapsed != _answered_at.get():
            # Another request has let the fleet live on while this answer was on its way.
            self._uncertain.add(key)
        # As the simulated Azure's odd links have it, which leave such instances out.
        powered = "'PowerState'" in unquote(head.url.raw_query_string)
        self._walks.setdefault(key, {})[start] = self._page(scale_set, start, powered=powered)

    def take(self, key: Key) -> dict[str, Facts] | None:
        """What the walk that has just succeeded must have shown, by instance id; None if uncertain.

        Instances on pages that nobody has asked for must be shown as well.
        """
        self.not_found.pop(key, None)
        pages = self._walks.pop(key, {})
        if key in self._uncertain:
            return None
        shown: dict[str, Facts] = {}
        start: str | None = ""
        while start is not None:
            page = pages.pop(start, None)
            if page is None:
                return shown | self._from(key, start)
            shown |= page.facts
            start = page.following or None
        return shown

    def _from(self, key: Key, start: str) -> dict[str, Facts]:
        scale_set = self._find(key)
        if scale_set is None:
            return {}
        begin = _order(scale_set, start) if start else None
        return {
            identifier: facts_of(instance, self._fleet.unix_time, flexible=scale_set.is_flexible)
            for identifier, instance in scale_set.instances.items()
            if begin is None or _order(scale_set, identifier) >= begin
        }

    def _find(self, key: Key) -> SimulatedScaleSet | None:
        return next((s for s in self._fleet.scale_sets if s.identity.key == key), None)

    def _page(self, scale_set: SimulatedScaleSet, start: str, *, powered: bool) -> _Page:
        struck = _struck.get()
        flexible = scale_set.is_flexible
        usual = MACHINE_PAGE_SIZE if flexible else self._page_size
        size = scale_set.description.page_size or usual
        listed = sorted(scale_set.instances, key=lambda name: _order(scale_set, name))
        begin = _order(scale_set, start) if start else None
        rest = [
            name
            for name in listed
            if (begin is None or _order(scale_set, name) >= begin)
            and not (powered and scale_set.instances[name].power is None)
        ]
        names, following = rest[:size], "".join(rest[size : size + 1])
        seen = {
            name: facts_of(scale_set.instances[name], self._fleet.unix_time, flexible=flexible)
            for name in names
        }
        if names and any(kind in _NO_LONGER_LISTED for kind in struck):
            del seen[names[0]]
        elif names and any(kind in _WITHOUT_VIEW for kind in struck):
            seen[names[0]] = _facts_without_view(scale_set.instances[names[0]])
        return _Page(seen, following)


def _key_of(url: URL) -> Key | None:
    """Which set's instances are listed."""
    if found := _PATH.fullmatch(url.path):
        return found[1].lower(), found[2].lower(), found[3].lower()
    if found := _MACHINES.fullmatch(url.path):
        # The filter names the set: '…' eq '/…/virtualMachineScaleSets/NAME'.
        name = url.query["$filter"].rpartition("/")[2].rstrip("'")
        return found[1].lower(), found[2].lower(), name.lower()
    return None


def _order(scale_set: SimulatedScaleSet, identifier: str) -> tuple[int, str]:
    """The ids of Uniform sets are numbers, those of Flexible ones names."""
    return (0, identifier) if scale_set.is_flexible else (int(identifier), "")


def _facts_without_view(instance: SimulatedInstance) -> Facts:
    """What is known of an instance without an instance view: the word beside the view."""
    state = _known("provisioning", instance.provisioning.partition("/")[0])
    facts = {
        'instance_power_state{state="unknown"}',
        f'instance_provisioning_state{{state="{state}"}}',
    }
    if state == "failed":
        facts.add('instance_provisioning_failure{code="unspecified"}')
    return frozenset(facts)


def facts_of(
    instance: SimulatedInstance, unix_time: Callable[[float], float], *, flexible: bool = False
) -> Facts:
    """What must be served of an instance as it is now."""
    state, _, code = instance.provisioning.partition("/")
    facts = {
        f'instance_power_state{{state="{_known("power", instance.power)}"}}',
        f'instance_provisioning_state{{state="{_known("provisioning", state)}"}}',
        f"instance_placement_info{{{_placement(instance, flexible=flexible)}}}",
    }
    if state == "failed":
        facts.add(f'instance_provisioning_failure{{code="{code.lower() or "unspecified"}"}}')
    if state in ("failed", "succeeded"):
        moment = azure_time(unix_time(instance.provisioning_changed))
        seconds = datetime.fromisoformat(moment).timestamp()
        facts.add(f'instance_status_timestamp_seconds{{status="provisioning_state"}} {seconds:.3f}')
    if instance.health is not None:
        facts.add(f'instance_health_state{{state="{_known("health", instance.health)}"}}')
    if instance.agent != "absent":
        silent = instance.agent in ("silent", "unavailable")
        version = "unknown" if instance.agent == "unavailable" else instance.agent_version
        facts.add(f'vm_agent_state{{state="{"unavailable" if silent else "succeeded"}"}}')
        facts.add(f'vm_agent_info{{version="{version}"}}')
    if instance.power is not None and instance.agent in ("ready", "silent"):
        for name, extension in instance.extensions.items():
            word = extension.state.partition("/")[0].lower()
            facts.add(f'extension_state{{extension="{name}",state="{word}"}}')
    return frozenset(facts)


def _known(kind: str, state: str | None) -> str:
    return state if state is not None and state in LOWER_CASE_STATES[kind] else "unknown"


def _placement(instance: SimulatedInstance, *, flexible: bool) -> str:
    # Without `detail: full` only Flexible sets tell the zone, and these have no update domains.
    domains = (instance.fault_domain, None if flexible else instance.update_domain)
    fault, update = ("" if domain is None else domain for domain in domains)
    zone = (instance.zone or "") if flexible else ""
    return f'fault_domain="{fault}",update_domain="{update}",availability_zone="{zone}"'


def _start_of(raw_query: str) -> str:
    """The id that a page begins with, as its skiptoken tells; empty for the first page."""
    found = _SKIPTOKEN.search(raw_query)
    if found is None:
        return ""
    return base64.b64decode(unquote(found[1])).decode().rpartition("/VMs/")[2]
