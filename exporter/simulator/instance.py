"""One simulated instance: plain state that the life of the fleet and the tests both change."""

from __future__ import annotations

from dataclasses import dataclass, field

from exporter.simulator.extensions import ExtensionState


@dataclass(slots=True)
class SimulatedInstance:
    """An instance as it is; the answers are made from it at each request.

    Times are seconds since the fleet's start; those before it are negative.

    Attributes:
        instance_id: a number for Uniform sets, the name of the VM for Flexible ones.
        vm_id: a new one after a redeployment.
        created: when it was made.
        disk: the random part of its disk's name, which outlives a redeployment.
        fault_domain: None where Azure sends none.
        update_domain: None where Azure sends none.
        zone: None outside zones.
        power: what follows `PowerState/`; None where Azure sends no power state.
        provisioning: what follows `ProvisioningState/`, as in `failed/AllocationFailed`.
        provisioning_message: only with a failure.
        provisioning_changed: the time of the provisioning status.
        agent: ready, unavailable (no version known), silent (it was there, and stopped
            answering) or absent.
        agent_version: what it says when it speaks.
        health: what follows `HealthState/`; None where health is not watched.
        health_changed: when the health last changed.
        latest_model: whether it runs the set's model.
        protected: whether it is kept from scale-in.
        resilient_deletion: how far the deletion is that is tried again and again, as in
            InProgress; None outside of one.
        maintenance: whether planned maintenance is announced for it.
        extensions: by name, in Azure's order.
        story: the name of what is happening to it now; None while nothing is.
    """

    instance_id: str
    vm_id: str
    created: float
    disk: str
    fault_domain: int | None = 0
    update_domain: int | None = 0
    zone: str | None = None
    power: str | None = "running"
    provisioning: str = "succeeded"
    provisioning_message: str | None = None
    provisioning_changed: float = 0.0
    agent: str = "ready"
    agent_version: str = "2.11.1.4"
    health: str | None = None
    health_changed: float = 0.0
    latest_model: bool = True
    protected: bool = False
    resilient_deletion: str | None = None
    maintenance: bool = False
    extensions: dict[str, ExtensionState] = field(default_factory=dict)
    story: str | None = None
