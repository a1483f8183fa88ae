"""A simulated Azure Resource Manager with a living fleet: for the demo, tests and benchmarks."""
