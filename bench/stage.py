"""What the parts have in common: a simulated Azure and the real exporter, each a process."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.client import opened
from bench.fleet import GROUP, set_names
from bench.process import MeasuredProcess, print_error, running
from exporter.simulator.description import DEFAULT_SUBSCRIPTION

TOKEN = "the-token-of-the-benches"  # noqa: S105 - the simulator's own
SET_SIZE = 100
"""Instances of a scale set, where a part does not say otherwise."""

SMALL_SET_SIZE = 20
"""Instances of a scale set where there are many small ones."""

CONCURRENCY = 16
"""Polls in flight: the exporter's default."""

START_SPACING = 0.1
"""Seconds between two first polls of the exporter; see `exporter/polling/schedule.py`."""

_PROGRESS_SECONDS = 15.0


@dataclass(frozen=True)
class SimulatedFleet:
    """A simulated Azure that answers."""

    process: MeasuredProcess
    url: str
    sets: int
    size: int
    token_file: Path

    @property
    def instances(self) -> int:
        """How many there are in all."""
        return self.sets * self.size


@dataclass(frozen=True)
class RunningExporter:
    """The exporter as users run it, polling a simulated fleet."""

    process: MeasuredProcess
    url: str
    fleet: SimulatedFleet

    @property
    def metrics_url(self) -> str:
        """Where its page is."""
        return f"{self.url}/metrics"

    def values(self, family: str) -> list[float]:
        """The values of one family's samples, without asking for the rest of the page."""
        with opened(f"{self.metrics_url}?name[]={family}") as response:
            text = response.read().decode()
        pattern = rf"(?m)^{re.escape(family)}(?:\{{.*\}})? (\S+)$"
        return [float(value) for value in re.findall(pattern, text)]

    def wait_for_sweep(self, *, seconds: float, after: float = 0.0) -> None:
        """Wait until every scale set was polled successfully, later than the time `after`.

        Args:
            seconds: how long at most.
            after: a Unix time; 0 for any.

        Raises:
            RuntimeError: where it takes longer.
        """
        deadline = time.monotonic() + seconds
        said = time.monotonic()
        while True:
            up = sum(self.values("azure_vmss_up"))
            polled = self.values("azure_vmss_last_success_timestamp_seconds") if up else []
            late = sum(value > after for value in polled)
            if up == late == self.fleet.sets:
                return
            now = time.monotonic()
            if now > deadline:
                raise self.process.failed(f"polled {late} of {self.fleet.sets} sets in time")
            if now - said > _PROGRESS_SECONDS:
                said = now
                print_error(f"polled {late:,} of {self.fleet.sets:,} scale sets")
            time.sleep(0.2 if self.fleet.sets <= SET_SIZE else 1.0)


@contextmanager
def simulator(
    folder: Path, *, sets: int, size: int = SET_SIZE, extensions: int = 1
) -> Iterator[SimulatedFleet]:
    """A simulated Azure in a process of its own.

    Args:
        folder: a temporary folder, for its files.
        sets: the number of scale sets.
        size: instances in each.
        extensions: extensions of each instance.
    """
    token_file = folder / "token"
    token_file.write_text(TOKEN, "utf-8")
    command = [sys.executable, "-m", "bench.fleet", f"--token-file={token_file}"]
    command += [f"--sets={sets}", f"--size={size}", f"--extensions={extensions}"]
    with running("the simulated Azure", command) as process:
        url = process.wait_for(r"listening on (\S+)", seconds=600)
        yield SimulatedFleet(process, url, sets, size, token_file)


@contextmanager
def exporter(
    folder: Path, fleet: SimulatedFleet, *, interval: str = "1h", concurrency: int = CONCURRENCY
) -> Iterator[RunningExporter]:
    """The real exporter on a simulated Azure, with all families and no limit on series.

    Args:
        folder: a temporary folder, for its configuration.
        fleet: what it polls.
        interval: `polling.interval`; with the one given here it rests after the first sweep.
        concurrency: `polling.concurrency`.
    """
    configuration = {
        "azure": {
            "cloud": "custom",
            "endpoint": fleet.url,
            "audience": fleet.url,
            "detail": "full",
            "credential": {"type": "static", "token_file": str(fleet.token_file)},
        },
        "polling": {"interval": interval, "keep_for": "24h", "concurrency": concurrency},
        "metrics": {"max_series": 0},
        "scale_sets": [
            {
                "subscription_id": DEFAULT_SUBSCRIPTION,
                "resource_group": GROUP,
                "name": name,
            }
            for name in set_names(fleet.sets)
        ],
    }
    file = folder / "config.yaml"
    file.write_text(json.dumps(configuration), "utf-8")
    command = [sys.executable, "-m", "bench.exporter", f"--config.file={file}"]
    command += ["--web.listen-address=127.0.0.1:0", "--log.level=info"]
    with running("the exporter", command) as process:
        url = process.wait_for(r"listening.*?(http://[^\s\"]+)")
        yield RunningExporter(process, url, fleet)
