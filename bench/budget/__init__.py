"""What Azure's quota is spent on: freshness per call, and what is left to others.

Everything runs in simulated time against the simulated Azure with its real buckets: the
exporter's own client, poller and scheduler, and two simpler ways to poll the same fleet.
"""
