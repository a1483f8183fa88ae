"""One life of an exporter after another, with the same state directory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from exporter.configuration import Configuration
from exporter.metrics.mapper import Mapper
from exporter.model.instance_view import Instance
from exporter.persistence.directory import StateDirectory
from exporter.persistence.restore import persisted, store_for
from exporter.persistence.store import StateStore
from exporter.telemetry import Telemetry
from support.answers import instance
from support.clock import FakeClock
from support.polling import Polling
from support.source import FakeSource, page

AZURE = "https://management.example.com"


class Life:
    """One life of an exporter with that state directory."""

    def __init__(
        self,
        folder: Path,
        clock: FakeClock,
        *names: str,
        form: str = "form",
        labels: tuple[tuple[str, str], ...] = (),
        resource_group: str = "rg-web",
        keep_for: float = 600.0,
        azure: str = AZURE,
        configuration: Configuration | None = None,
    ) -> None:
        self.clock = clock
        self.source = FakeSource(clock)
        self.telemetry = Telemetry(version="1", python_version="3", process=False)
        self.folder = StateDirectory(folder)
        self.store = StateStore(
            self.folder, azures={"": azure}, form=form, telemetry=self.telemetry, clock=clock
        )
        mapper = Mapper()
        if configuration is not None:
            store = store_for(
                configuration,
                mapper,
                azures={"": azure},
                version="1",
                telemetry=self.telemetry,
                clock=clock,
            )
            assert store is not None
            self.store = store
        self.polling = Polling(
            self.source,
            clock,
            telemetry=self.telemetry,
            mapper=mapper,
            keep_for=keep_for,
            store=self.store,
        )
        self.poller = self.polling.poller
        self.states = [
            self.polling.add(name, resource_group=resource_group, labels=labels)
            for name in names or ("web",)
        ]

    async def poll(self, *instances: Instance) -> None:
        """Poll every set, facts included, and write what is to be written."""
        async with self.store.writing():
            for state in self.states:
                self.source.pages[state.target.scale_set.name] = [page(*instances)]
                await self.poller.poll_model(state)
                await self.poller.poll(state)

    async def start(self) -> None:
        """Start warm, and leave the directory at once to the next life."""
        async with persisted(self.store, self.poller, self.states, asyncio.Event()):
            pass

    def page(self, *leave_out: str) -> str:
        """What is served about Azure, without the families named."""
        text = self.polling.page()
        kept = [line for line in text.splitlines() if not any(name in line for name in leave_out)]
        return "\n".join(kept)

    async def page_now(self) -> str:
        await self.poller.expire()
        return self.page()

    def own(self, name: str, **labels: str) -> float | None:
        return self.telemetry.registry.get_sample_value(f"azure_vmss_exporter_{name}", labels)


def two() -> Iterable[Instance]:
    view = {
        "statuses": [{"code": "PowerState/running", "message": "said by Azure"}],
        "osName": 'Ubuntu "jammy"',
    }
    return instance(view, instance_id="1"), instance({}, instance_id="a_B")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def put(path: Path, text: str) -> None:
    path.write_text(text)


def state_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.state"))


OF_THE_PROCESS = ("azure_vmss_up", "azure_vmss_poll_duration_seconds")
