"""From the simulated Azure to the page: exporter, Prometheus, Alertmanager, receivers, all real."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from exporter.simulator.fleet import Fleet
from exporter.simulator.scale_set import SimulatedScaleSet
from support.alertmanager import Alertmanager, Labels, Receivers, Told, alertmanager, receivers
from support.process import running
from support.prometheus import Prometheus, Target, free_port, prometheus, tool
from support.quick_rules import quick_alertmanager, quick_rules
from support.rules import ALERTMANAGER, RULE_FILES, read
from support.simulated import TOKEN
from support.simulated_thread import SimulatedThread, simulated_thread
from support.waiting import eventually

FACTOR = 60.0
"""A minute of the rules is a second here."""

JOB = "azure-vmss"
PATIENCE = 150.0
"""Seconds for what takes less than a minute on a machine that has nothing else to do."""

# The circuit opens ten seconds after Azure's last answer, which no setting shortens. With this
# interval that is before the data count as old, as it is in real time.
POLLING = {"interval": "6s", "timeout": "5s", "deadline": "10s", "keep_for": "90s"}


def title(labels: Labels) -> str:
    """What an alert is about, short: `InstanceStopped web/3`."""
    place = "/".join(labels[name] for name in ("scale_set", "instance_id") if name in labels)
    return f"{labels['alertname'].removeprefix('AzureVMSS')} {place}".strip()


class Stage:
    """All of them running, and what the test asks of them."""

    def __init__(
        self, azure: SimulatedThread, told: Receivers, start: Callable[[], ExitStack]
    ) -> None:
        self.azure = azure
        self.receivers = told
        self._start = start
        self._exporter = start()
        self.prometheus: Prometheus
        self.alertmanager: Alertmanager

    def kill_exporter(self) -> None:
        """End it without a word."""
        self._exporter.close()

    def start_exporter(self) -> None:
        """Start it again, at the same address."""
        self._exporter = self._start()

    def change(self, scale_set: str, how: Callable[[SimulatedScaleSet], object]) -> None:
        """Change a scale set of the simulated Azure."""
        self.azure.change_set(scale_set, how)

    @property
    def told(self) -> list[Told]:
        return self.receivers.told

    def told_of(self, status: str) -> set[str]:
        """The alerts that any receiver was ever told of as firing, or as resolved."""
        return {title(one.labels) for one in self.told if one.status == status}

    def muted(self) -> set[str]:
        """The alerts that fire now, and that Alertmanager keeps to itself."""
        found = self.alertmanager.alerts()
        return {title(one["labels"]) for one in found if one["status"]["inhibitedBy"]}

    def firing(self) -> set[str]:
        """The alerts that fire now, in Prometheus."""
        return self._alerts('ALERTS{alertstate="firing"}')

    def ever_fired(self) -> set[str]:
        """The alerts that have fired at any time, in Prometheus."""
        return self._alerts('max_over_time(ALERTS{alertstate="firing"}[1h])')

    def _alerts(self, expression: str) -> set[str]:
        return {title(sample["metric"]) for sample in self.prometheus.query(expression)}

    def until(self, look: Callable[[], bool], what: str) -> None:
        """Wait for what the processes will do. Raises AssertionError where they do not."""
        try:
            eventually(lambda: look() or None, seconds=PATIENCE)
        except AssertionError as error:
            state = f"told {sorted(self.told_of('firing'))}, resolved "
            state += f"{sorted(self.told_of('resolved'))}, firing {sorted(self.firing())}, "
            state += f"muted {sorted(self.muted())}"
            raise AssertionError(f"not seen: {what}; {state}") from error

    def until_told(self, *titles: str, status: str = "firing") -> None:
        """Wait until receivers were told of these alerts."""
        self.until(lambda: set(titles) <= self.told_of(status), f"{status} {titles}")


@contextmanager
def stage(folder: Path, fleet: dict[str, Any]) -> Iterator[Stage]:
    """Start everything with a fleet that is well, and wait until Prometheus has seen every set."""
    for name in ("prometheus", "prometheus-alertmanager"):
        tool(name)
    address = f"127.0.0.1:{free_port()}"
    with ExitStack() as stack:
        azure = stack.enter_context(simulated_thread(Fleet.from_yaml(json.dumps(fleet))))
        flag = _configuration(folder, azure)
        url, told = stack.enter_context(receivers())
        manager = stack.enter_context(
            alertmanager(folder, quick_alertmanager(read(ALERTMANAGER), FACTOR, url))
        )
        eventually(lambda: manager.is_ready() or None, seconds=PATIENCE)

        def start() -> ExitStack:
            exporter = ExitStack()
            exporter.enter_context(running(flag, f"--web.listen-address={address}"))
            return exporter

        made = Stage(azure, told, start)
        stack.callback(made.kill_exporter)
        made.alertmanager = manager
        made.prometheus = stack.enter_context(
            prometheus(
                folder,
                [Target(JOB, f"http://{address}")],
                "--web.enable-lifecycle",
                more=_alerting(folder, manager),
            )
        )
        count = len(fleet["scale_sets"])
        made.until(
            lambda: len(made.prometheus.query("azure_vmss_up == 1")) == count, "every set polled"
        )
        # Prometheus finds its targets after five seconds, which are five minutes of the rules.
        _write_rules(folder)
        made.prometheus.reload()
        made.until(
            lambda: bool(made.prometheus.query("azure_vmss:set_down_ratio:threshold")), "rules"
        )
        yield made


def _configuration(folder: Path, azure: SimulatedThread) -> str:
    """The exporter's, for every set of the simulated Azure; the value is its flag."""
    (folder / "token").write_text(TOKEN)
    sets: list[dict[str, str]] = []

    def entry(scale_set: SimulatedScaleSet) -> dict[str, str]:
        names = ("subscription_id", "resource_group", "name")
        return {name: getattr(scale_set.identity, name) for name in names}

    azure.change(lambda running: sets.extend(map(entry, running.fleet.scale_sets)))
    document = {
        "azure": {
            "cloud": "custom",
            "endpoint": azure.url,
            "audience": azure.url,
            "credential": {"type": "static", "token_file": f"{folder}/token"},
        },
        "polling": POLLING,
        "scale_sets": sets,
    }
    (folder / "config.yaml").write_text(json.dumps(document))
    return f"--config.file={folder}/config.yaml"


def _write_rules(folder: Path) -> None:
    """The quick copies of the committed rules, where Prometheus looks for them when it reloads."""
    for path in RULE_FILES:
        rules = json.dumps(quick_rules(read(path), FACTOR))
        (folder / f"{path.stem}.rules").write_text(rules)


def _alerting(folder: Path, manager: Alertmanager) -> dict[str, Any]:
    """Prometheus's sections: where the rules will be, and whom it tells."""
    target = manager.url.removeprefix("http://")
    return {
        "rule_files": [f"{folder}/*.rules"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [target]}]}]},
    }
