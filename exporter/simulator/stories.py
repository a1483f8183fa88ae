"""What happens to instances: stories of several steps, each with its own duration.

A story changes the instance, yields the seconds until its next step, and ends with the instance
well again or gone. `happen` picks the next one.
"""

from __future__ import annotations

from exporter.simulator import extensions
from exporter.simulator.extensions import HEALTHY, ExtensionState
from exporter.simulator.instance import SimulatedInstance
from exporter.simulator.scale_set import SimulatedScaleSet, Story, Teller

_FAILURES = {
    "AllocationFailed": "Allocation failed. We do not have sufficient capacity for the requested "
    "VM size in this region. Read more about improving likelihood of allocation success at "
    "http://aka.ms/allocation-guidance",
    "OSProvisioningTimedOut": "OS Provisioning for VM '{name}' did not finish in the allotted "
    "time. The VM may still finish provisioning successfully. Please check provisioning state "
    "later.",
    "VMAgentProvisioningFailure": "VM '{name}' has not reported status for VM agent or "
    "extensions. Please verify the VM has a running VM agent, and can establish outbound "
    "connections to Azure storage.",
    "VMExtensionProvisioningError": "VM has reported a failure when processing extension "
    "'{extension}'.",
    "InternalExecutionError": "An internal execution error occurred. Please retry later.",
}


def happen(scale_set: SimulatedScaleSet) -> None:
    """Let one thing happen in the set: to a calm instance, or to the number of instances."""
    tellers, weights = _possible(scale_set)
    teller = scale_set.random.choices(tellers, weights)[0]
    if teller is create:
        _grow(scale_set)
    elif teller is delete:
        _shrink(scale_set)
    else:
        _begin(scale_set, teller)


def trouble(scale_set: SimulatedScaleSet, number: int) -> None:
    """Let the next of the lasting troubles begin, for the variety of the first moment."""
    tellers, _ = _possible(scale_set)
    lasting = [teller for teller in _LASTING if teller in tellers]
    _begin(scale_set, lasting[number % len(lasting)])


def stop(scale_set: SimulatedScaleSet, instance: SimulatedInstance) -> Story:
    """Stopped by its owner: allocated and paid for, and started again later."""
    _provision(scale_set, instance, "updating")
    instance.power = "stopping"
    yield _between(scale_set, 8, 25)
    _provision(scale_set, instance, "succeeded")
    instance.power = "stopped"
    if instance.health is not None:
        instance.health, instance.health_changed = "unknown", scale_set.elapsed
    yield _outage(scale_set)
    yield from _start(scale_set, instance)


def deallocate(scale_set: SimulatedScaleSet, instance: SimulatedInstance) -> Story:
    """Deallocated: the agent is gone until it is started again."""
    _provision(scale_set, instance, "updating")
    instance.power = "deallocating"
    yield _between(scale_set, 15, 40)
    _provision(scale_set, instance, "succeeded")
    instance.power, instance.agent = "deallocated", "absent"
    instance.health = None
    yield _outage(scale_set)
    yield from _start(scale_set, instance)


def restart(scale_set: SimulatedScaleSet, instance: SimulatedInstance) -> Story:
    """Restarted: the power state stays, the provisioning state is updating for a while."""
    _provision(scale_set, instance, "updating")
    yield _between(scale_set, 15, 40)
    _provision(scale_set, instance, "succeeded")


def fail(scale_set: SimulatedScaleSet, instance: SimulatedInstance) -> Story:
    """An operation fails with one of Azure's codes; a later one succeeds."""
    code = scale_set.random.choice(list(_FAILURES))
    _provision(scale_set, instance, "updating")
    yield _between(scale_set, 5, 20)
    _provision(scale_set, instance, f"failed/{code}")
    instance.provisioning_message = _FAILURES[code].format(
        name=f"{scale_set.identity.name}_{instance.instance_id}",
        extension=next(iter(instance.extensions), "CustomScript"),
    )
    if code == "AllocationFailed":
        instance.power, instance.agent = "deallocated", "absent"
        instance.health = None
    elif code in ("OSProvisioningTimedOut", "VMAgentProvisioningFailure"):
        instance.agent = "unavailable"
    yield _outage(scale_set)
    yield from _start(scale_set, instance)


def redeploy(scale_set: SimulatedScaleSet, instance: SimulatedInstance) -> Story:
    """Moved to another host or reimaged: the same id with a new vmId."""
    _provision(scale_set, instance, "updating")
    instance.power, instance.agent = "stopping", "unavailable"
    yield _between(scale_set, 10, 30)
    instance.vm_id = scale_set.new_id()
    instance.created = scale_set.elapsed
    instance.latest_model = True
    yield from _start(scale_set, instance)


def replace(scale_set: SimulatedScaleSet, instance: SimulatedInstance) -> Story:
    """Replaced by a new instance with a new id, as automatic repairs do it."""
    fresh = scale_set.add()
    scale_set.begin(create, fresh)
    yield _between(scale_set, 30, 60)
    yield from delete(scale_set, instance)


def lose_agent(scale_set: SimulatedScaleSet, instance: SimulatedInstance) -> Story:
    """The agent stops answering, or says nothing of itself at all, and comes back."""
    instance.agent = scale_set.random.choice(("unavailable", "silent"))
    yield _outage(scale_set)
    instance.agent = "ready"


def break_extension(scale_set: SimulatedScaleSet, instance: SimulatedInstance) -> Story:
    """An extension is applied anew, fails, is tried again and succeeds."""
    name = scale_set.random.choice(list(instance.extensions))
    kind = extensions.kind(name)
    instance.extensions[name] = ExtensionState("transitioning", f"Enabling {kind.type}")
    yield _between(scale_set, 5, 20)
    instance.extensions[name] = ExtensionState(f"failed/{kind.bad_code}", kind.bad)
    yield _outage(scale_set)
    instance.extensions[name] = ExtensionState("transitioning", f"Enabling {kind.type}")
    yield _between(scale_set, 5, 30)
    instance.extensions[name] = HEALTHY


def fall_ill(scale_set: SimulatedScaleSet, instance: SimulatedInstance) -> Story:
    """The application stops answering its health probe, then initialises and is well."""
    instance.health, instance.health_changed = "unhealthy", scale_set.elapsed
    yield _outage(scale_set)
    instance.health, instance.health_changed = "initializing", scale_set.elapsed
    yield _between(scale_set, 10, 30)
    instance.health, instance.health_changed = "healthy", scale_set.elapsed


def drift(scale_set: SimulatedScaleSet, instance: SimulatedInstance) -> Story:
    """The set's model changed; the instance is upgraded to it later."""
    instance.latest_model = False
    yield _outage(scale_set)
    _provision(scale_set, instance, "updating")
    yield _between(scale_set, 20, 60)
    instance.latest_model = True
    _provision(scale_set, instance, "succeeded")


def lose_power_state(scale_set: SimulatedScaleSet, instance: SimulatedInstance) -> Story:
    """Azure does not know whether it runs, as in the outage of a zone."""
    instance.power, instance.agent = None, "unavailable"
    yield _outage(scale_set) / 2
    instance.power, instance.agent = "running", "ready"


def announce_maintenance(scale_set: SimulatedScaleSet, instance: SimulatedInstance) -> Story:
    """Planned maintenance is announced, and over."""
    instance.maintenance = True
    yield _outage(scale_set)
    instance.maintenance = False


def evict(scale_set: SimulatedScaleSet, instance: SimulatedInstance) -> Story:
    """A spot instance is taken back by Azure: deallocated, or deleted and made up for later."""
    if scale_set.description.eviction_policy == "Deallocate":
        yield from deallocate(scale_set, instance)
        return
    yield from delete(scale_set, instance)
    fresh = scale_set.add()
    scale_set.begin(create, fresh)


def create(scale_set: SimulatedScaleSet, instance: SimulatedInstance) -> Story:
    """A new instance comes up: created, started, its agent heard last."""
    _provision(scale_set, instance, "creating")
    instance.created = scale_set.elapsed
    instance.power, instance.agent = None, "absent"
    healthy = instance.health
    instance.health = None
    yield _between(scale_set, 5, 15)
    _provision(scale_set, instance, "creating/osProvisioningInProgress")
    instance.power = "running"
    yield _between(scale_set, 15, 40)
    _provision(scale_set, instance, "succeeded")
    instance.agent = "unavailable"
    yield _between(scale_set, 5, 20)
    instance.agent = "ready"
    if healthy is not None:
        instance.health, instance.health_changed = "initializing", scale_set.elapsed
        yield _between(scale_set, 5, 20)
        instance.health, instance.health_changed = "healthy", scale_set.elapsed


def delete(scale_set: SimulatedScaleSet, instance: SimulatedInstance) -> Story:
    """Deleted: listed as deleting for a while, at the end without a power state."""
    _provision(scale_set, instance, "deleting")
    yield _between(scale_set, 10, 30)
    instance.power, instance.agent = None, "unavailable"
    yield _between(scale_set, 5, 20)
    scale_set.remove(instance.instance_id)


def delete_with_retries(scale_set: SimulatedScaleSet, instance: SimulatedInstance) -> Story:
    """Deleted resiliently: it fails and is tried again, and alternates between the two states."""
    instance.resilient_deletion = "InProgress"
    for _ in range(3):
        _provision(scale_set, instance, "deleting")
        yield _between(scale_set, 60, 90)
        _provision(scale_set, instance, "failed/InternalExecutionError")
        yield _between(scale_set, 60, 90)
    scale_set.remove(instance.instance_id)


_WEIGHTS: dict[Teller, int] = {
    stop: 10,
    deallocate: 12,
    restart: 10,
    fail: 12,
    redeploy: 5,
    replace: 4,
    lose_agent: 10,
    drift: 8,
    lose_power_state: 3,
    announce_maintenance: 2,
    create: 5,
    delete: 5,
}


TELLERS: tuple[Teller, ...] = (*_WEIGHTS, break_extension, fall_ill, evict)
"""Everything that can happen to an instance."""


_LASTING: tuple[Teller, ...] = (
    fail,
    break_extension,
    deallocate,
    lose_agent,
    stop,
    fall_ill,
    drift,
    lose_power_state,
    announce_maintenance,
)


def _possible(scale_set: SimulatedScaleSet) -> tuple[list[Teller], list[int]]:
    weights = dict(_WEIGHTS)
    description = scale_set.description
    if description.extensions:
        weights[break_extension] = 12
    if description.has_health:
        weights[fall_ill] = 12
    if description.priority == "spot":
        weights[evict] = 25
    return list(weights), list(weights.values())


def _begin(scale_set: SimulatedScaleSet, teller: Teller) -> None:
    instance = scale_set.calm()
    if instance is None or (instance.protected and teller in (replace, evict)):
        return
    scale_set.begin(teller, instance)


def _grow(scale_set: SimulatedScaleSet) -> None:
    # Around the described size: a set that has grown shrinks next.
    if scale_set.target > scale_set.description.size:
        _shrink(scale_set)
        return
    for _ in range(_step(scale_set)):
        scale_set.target += 1
        fresh = scale_set.add()
        scale_set.begin(create, fresh)


def _shrink(scale_set: SimulatedScaleSet) -> None:
    if scale_set.target < scale_set.description.size:
        _grow(scale_set)
        return
    for _ in range(_step(scale_set)):
        instance = scale_set.calm()
        if instance is None or instance.protected or scale_set.target <= 0:
            continue
        scale_set.target -= 1
        scale_set.begin(delete, instance)


def _step(scale_set: SimulatedScaleSet) -> int:
    return scale_set.random.randint(1, 1 + scale_set.description.size // 25)


def _start(scale_set: SimulatedScaleSet, instance: SimulatedInstance) -> Story:
    _provision(scale_set, instance, "updating")
    instance.power = "starting"
    yield _between(scale_set, 12, 35)
    instance.power = "running"
    _provision(scale_set, instance, "succeeded")
    instance.agent = "unavailable"
    yield _between(scale_set, 3, 15)
    instance.agent = "ready"
    if scale_set.description.has_health:
        instance.health, instance.health_changed = "healthy", scale_set.elapsed


def _provision(scale_set: SimulatedScaleSet, instance: SimulatedInstance, state: str) -> None:
    instance.provisioning = state
    instance.provisioning_message = None
    instance.provisioning_changed = scale_set.elapsed


def _between(scale_set: SimulatedScaleSet, low: float, high: float) -> float:
    return scale_set.random.uniform(low, high)


def _outage(scale_set: SimulatedScaleSet) -> float:
    return scale_set.random.uniform(0.5, 1.5) * scale_set.outage
