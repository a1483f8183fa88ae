"""One life of an exporter after another, with the same state directory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from exporter.configuration import Configuration
from exporter.metrics.mapper import Mapper
from exporter.model.instance_view import Instance
from exporter.model.scale_set import ScaleSetId, Target
from exporter.persistence.directory import StateDirectory
from exporter.persistence.restore import kept, store_for
from exporter.persistence.store import StateStore
from exporter.polling.poller import Poller
from exporter.polling.retention import Retention
from exporter.telemetry import Telemetry
from support.answers import SUBSCRIPTION, instance
from support.clock import FakeClock
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
            self.folder, azure=azure, form=form, telemetry=self.telemetry, clock=clock
        )
        mapper = Mapper()
        if configuration is not None:
            store = store_for(
                configuration,
                mapper,
                azure=azure,
                version="1",
                telemetry=self.telemetry,
                clock=clock,
            )
            assert store is not None
            self.store = store
        self.poller = Poller(
            source=self.source,
            mapper=mapper,
            telemetry=self.telemetry,
            clock=clock,
            retention=Retention(keep_for=keep_for, deadline=180.0),
            store=self.store,
        )
        self.records = [
            self.poller.new_record(
                Target(ScaleSetId(SUBSCRIPTION, resource_group, name), 60.0, labels)
            )
            for name in names or ("web",)
        ]

    async def poll(self, *instances: Instance) -> None:
        """Poll every set, facts included, and write what is to be written."""
        async with self.store.writing():
            for record in self.records:
                self.source.pages[record.target.scale_set.name] = [page(*instances)]
                await self.poller.poll_model(record)
                await self.poller.poll(record)

    async def start(self) -> None:
        """Start warm, and leave the directory at once to the next life."""
        async with kept(self.store, self.poller, self.records, asyncio.Event()):
            pass

    def page(self, *leave_out: str) -> str:
        """What is served about Azure, without the families named."""
        text = self.poller.served.page().text.decode()
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
