"""The machine's faults that only a process of its own can meet: its end, and its limits."""

from __future__ import annotations

import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support.answers import SUBSCRIPTION, samples
from support.process import ExporterProcess, running
from support.simulated import configured, simulated_azure
from support.waiting import eventually

pytestmark = pytest.mark.process

NAMES = ("web", "slow")
FLEET = f"""\
subscription_id: {SUBSCRIPTION}
limits: {{enabled: false}}
scale_sets:
  - {{name: web, resource_group: rg-web, size: 3}}
  - {{name: slow, resource_group: rg-web, size: 300}}
"""
# After a time in which the slowest machine has started the exporter, and polled once.
SECOND_PAGE_STALLS = FLEET + "faults: [{kind: stalled, scale_set: slow, page: 2, after: 10}]\n"
OWN = "azure_vmss_exporter_"
FETCHED = "azure_vmss_last_success_timestamp_seconds"


def values(exporter: ExporterProcess, family: str, label: str = "scale_set") -> dict[str, float]:
    """A family's values by one label."""
    found = samples(exporter.get(f"/metrics?name[]={family}"))
    return {dict(labels)[label]: value for (_, labels), value in found.items()}


def all_up(exporter: ExporterProcess, *names: str) -> bool | None:
    up = values(exporter, "azure_vmss_up")
    return all(up[name] for name in names) or None


def test_a_stop_in_mid_poll_ends_in_time_and_leaves_the_state_of_the_last_good_poll(
    tmp_path: Path,
) -> None:
    polling = f"interval: 1s, timeout: 50s, state_dir: {tmp_path}/state"
    with simulated_azure(tmp_path, SECOND_PAGE_STALLS) as url:
        flag = configured(tmp_path, url, *NAMES, polling=polling)
        with running(flag) as exporter:
            eventually(lambda: all_up(exporter, *NAMES), seconds=60)
            eventually(
                lambda: len(list((tmp_path / "state").glob("*.state"))) == 2 or None, seconds=10
            )

            def in_mid_poll() -> bool | None:
                """The other set goes on, and this one has had nothing new for two seconds."""
                fetched = values(exporter, FETCHED)
                return fetched["web"] - fetched["slow"] > 2 or None

            eventually(in_mid_poll, seconds=60)
            assert all_up(exporter, *NAMES), "a poll under way changes nothing"
            fetched = values(exporter, FETCHED)
            assert exporter.stop(signal.SIGTERM, seconds=5.0) == 0
            assert not list((tmp_path / "state").glob("*.new"))
    # Without Azure the next process shows what the files tell.
    with running(flag) as exporter:
        assert values(exporter, "azure_vmss_instances") == {"web": 3, "slow": 300}
        after = values(exporter, FETCHED)
        assert after["slow"] == fetched["slow"], "the poll that was cut counts for nothing"
        refused = values(exporter, f"{OWN}state_refused_total", "reason")
        assert set(refused.values()) == {0}
        gone = values(exporter, "azure_vmss_instance_deletions_total")
        assert gone == {"web": 0, "slow": 0}
        assert exporter.stop() == 0


class OpenReader:
    """A reader whose connection stays open."""

    def __init__(self, exporter: ExporterProcess) -> None:
        address = urlsplit(exporter.url)
        self.connection = HTTPConnection(str(address.hostname), address.port, timeout=10)

    def value(self, name: str) -> float:
        self.connection.request("GET", f"/metrics?name[]={name}")
        (found,) = samples(self.connection.getresponse().read().decode()).values()
        return found


def test_readers_that_take_all_file_descriptors_cost_no_poll_and_are_reported_once(
    tmp_path: Path,
) -> None:
    with simulated_azure(tmp_path, FLEET) as url:
        flag = configured(tmp_path, url, "web", polling="interval: 200ms, timeout: 5s")
        with running(flag) as exporter, ExitStack() as readers:
            eventually(lambda: all_up(exporter, "web"), seconds=60)
            instances = exporter.get("/metrics?name[]=azure_vmss_instance_info")
            open_one = OpenReader(exporter)
            readers.callback(open_one.connection.close)
            room = int(open_one.value("process_open_fds")) + 8
            _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.prlimit(exporter.process.pid, resource.RLIMIT_NOFILE, (room, hard))
            address = urlsplit(exporter.url)
            with ExitStack() as flood:
                for _ in range(40):
                    reader = socket.create_connection((address.hostname, address.port or 0), 5)
                    flood.enter_context(reader)
                exporter.wait_for_log("connection not accepted")
                fetched = open_one.value(FETCHED)
                # Two seconds, in each of which asyncio tries again.
                eventually(lambda: open_one.value(FETCHED) > fetched + 2 or None, seconds=60)
                assert open_one.value("azure_vmss_up") == 1
                assert open_one.value("azure_vmss_instances") == 3
            resource.prlimit(exporter.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
            eventually(lambda: all_up(exporter, "web"), seconds=60)
            assert exporter.get("/metrics?name[]=azure_vmss_instance_info") == instances
            assert exporter.stop() == 0
            with pytest.raises(AssertionError, match="ended without"):
                exporter.wait_for_log("no connection|out of system resource")


@contextmanager
def few_descriptors(number: int) -> Iterator[None]:
    """Processes started meanwhile have that many file descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_280_idle_and_half_open_connections_keep_no_scrape_and_no_poll_out_of_256_descriptors(
    tmp_path: Path,
) -> None:
    with simulated_azure(tmp_path, FLEET) as url, ExitStack() as stack:
        flag = configured(tmp_path, url, "web", polling="interval: 200ms, timeout: 5s")
        with few_descriptors(256):
            exporter = stack.enter_context(running(flag))
        eventually(lambda: all_up(exporter, "web"), seconds=60)
        address = urlsplit(exporter.url)
        with ExitStack() as flood:
            for number in range(280):
                reader = socket.create_connection((address.hostname, address.port or 0), 5)
                flood.enter_context(reader)
                reader.sendall((b"", b"GET /met", b"GET /-/healthy HTTP/1.1\r\n\r\n")[number % 3])
            exporter.wait_for_log("connections closed for newer ones")
            fetched = values(exporter, FETCHED)["web"]
            eventually(lambda: values(exporter, FETCHED)["web"] > fetched + 2 or None, seconds=60)
            (open_descriptors,) = samples(exporter.get("/metrics?name[]=process_open_fds")).values()
            assert open_descriptors < 200
        assert exporter.stop() == 0
        with pytest.raises(AssertionError, match="ended without"):
            exporter.wait_for_log("no connection|out of system resource")


def resident(exporter: ExporterProcess) -> float:
    """Megabytes of the process's memory."""
    pages = Path(f"/proc/{exporter.process.pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize() / 1e6


def test_slow_readers_cost_little_memory_and_give_it_back_when_they_go(tmp_path: Path) -> None:
    fleet = FLEET.replace("size: 3}", "size: 2500}")
    path = f"/api/v1/scale_sets/{SUBSCRIPTION}/rg-web/web"
    get = f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode()
    with simulated_azure(tmp_path, fleet) as url:
        flag = configured(tmp_path, url, "web", polling="interval: 1h")
        with running(flag) as exporter, ExitStack() as readers:
            eventually(lambda: all_up(exporter, "web"), seconds=60)
            size = len(exporter.get(path)) / 1e6
            assert size > 2
            exporter.get("/metrics")
            before = resident(exporter)
            address = urlsplit(exporter.url)
            number = 200
            for _ in range(number):
                reader = readers.enter_context(socket.socket())
                reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                reader.settimeout(30)
                reader.connect((address.hostname, address.port))
                reader.sendall(get)
                assert reader.recv(100)
            exporter.get("/metrics")
            held = resident(exporter) - before
            assert held < 0.15 * size * number
            assert held < 70
            readers.close()
            eventually(lambda: resident(exporter) - before < 20 or None, seconds=30)
            assert exporter.stop() == 0
