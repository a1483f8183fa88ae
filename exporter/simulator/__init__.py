"""A simulated Azure Resource Manager with a living fleet: for the demo, tests and benchmarks."""

from exporter.simulator.faults import Fault
from exporter.simulator.fleet import Fleet
from exporter.simulator.server import SimulatedAzure

__all__ = ["Fault", "Fleet", "SimulatedAzure"]
