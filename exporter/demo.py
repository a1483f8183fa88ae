"""`--demo`: the exporter on an embedded simulated Azure, for people without one."""

from __future__ import annotations

import secrets

import structlog

from exporter import daemon, once
from exporter.configuration import load
from exporter.metrics.catalogue import RESERVED_LABELS
from exporter.runtime.signals import Signals
from exporter.simulator import Fleet, SimulatedAzure

_log = structlog.get_logger(__name__)


class MemoryToken:
    """A token that is in no file: the demo runs on a read-only root and leaves nothing behind."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def get(self, *, claims: str | None = None, stale: str | None = None) -> str:
        """The token, whatever is wrong with it: there is no other."""
        del claims, stale
        return self._token

    async def close(self) -> None:
        """Nothing is held."""


async def run(options: daemon.Options, *, signals: Signals, poll_once: bool = False) -> int:
    """Start the simulated Azure on loopback and run the exporter against it.

    Args:
        options: the command line's part.
        poll_once: whether to poll once and print, as `--once` does.
    """
    token = secrets.token_urlsafe()
    simulated = SimulatedAzure(Fleet.demo(), token=token)
    await simulated.start()
    _log.info("simulated Azure started", address=simulated.url)
    try:
        text = _configuration(simulated)
        configuration = load(text, environment={}, reserved_labels=RESERVED_LABELS)
        tokens = MemoryToken(token)
        if poll_once:
            return await once.run_once(configuration, text, options, tokens=tokens)
        return await daemon.run(configuration, text, options, signals=signals, tokens=tokens)
    finally:
        await simulated.close()


def _configuration(simulated: SimulatedAzure) -> str:
    """The configuration that finds and polls every scale set of the simulated Azure."""
    return (
        f"azure:\n  cloud: custom\n  endpoint: {simulated.url}\n  audience: {simulated.url}\n"
        "  detail: full\n  credential: {type: managed_identity}\n"
        # Two pages of one set every 15 s stay below Azure's ten calls a minute and set.
        "polling: {interval: 15s}\n"
        "metrics:\n  tags: [team, env]\n"
        "model: {interval: 60s, services: true, rolling_upgrades: true, autoscale: true}\n"
        "discovery:\n  - {subscriptions: [all], refresh: 60s}\n"
    )
