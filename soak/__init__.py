"""The exporter and the simulated Azure in one process, in time that jumps: days in minutes."""
