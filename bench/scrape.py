"""Part 1: a scrape of the exporter next to one of its peers, with the very same series."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench import figures, stage
from bench.client import Client, Scrape
from bench.peers import servers
from bench.peers.servers import Page, Peer, PeerMissingError, Starter
from bench.process import Memory, print_error
from bench.report import Part, Table, Target
from bench.rounds import alternate, median
from bench.samples import Fingerprint, fingerprint_of_file, fingerprint_of_packed
from bench.saving import save
from bench.scale import Scale

OURS = "azure-vmss-exporter"
NGINX = "nginx, static file"
PROMETHEUS_CLIENT = "prometheus_client"
PROMHTTP = "client_golang promhttp"
SLOW_PEERS: dict[str, Starter] = {
    PROMETHEUS_CLIENT: servers.prometheus_client,
    PROMHTTP: servers.promhttp,
}
SERVERS = (OURS, NGINX, PROMETHEUS_CLIENT, PROMHTTP)
SWEEP_SECONDS = 1800.0
FIRST_BYTE_WANTED = 0.050

NOTE = """\
The exporter polled a simulated fleet once and rests; each peer then serves the series it showed.
One client reads all of them over the loopback, a new connection each time, in turn: ours, nginx,
a peer, ours, nginx, … Times are from connecting to the last byte, and to the body's first. nginx
serves the exporter's own bytes from a file. Every peer's page was parsed, and its set of samples
(name, labels, value) found equal to the exporter's.
"""


@dataclass
class Timings:
    """All answers of one server to one way of asking."""

    scrapes: list[Scrape] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """To the last byte, the median."""
        return median([scrape.seconds for scrape in self.scrapes])

    @property
    def first_byte(self) -> float:
        """To the body's first byte, the median."""
        return median([scrape.first_byte for scrape in self.scrapes])

    @property
    def length(self) -> int:
        """Bytes of the last body."""
        return self.scrapes[-1].length


@dataclass(frozen=True)
class PeerMemory:
    """A peer's memory: without series, with them, and at the most while it was scraped once."""

    empty: int
    loaded: int
    scraped: Memory


@dataclass
class Figures:
    """What was found with one number of instances.

    Attributes:
        size: the number of instances.
        series: the number of series that the peers serve too.
        sweep_seconds: processor seconds that the exporter took for one whole sweep.
        timings: by server and whether gzip was asked for.
        memory: of the peers, by name.
        missing: why a peer was not measured, by its name.
    """

    size: int
    series: int = 0
    sweep_seconds: float = 0.0
    timings: dict[tuple[str, bool], Timings] = field(default_factory=dict)
    memory: dict[str, PeerMemory] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def seconds(self, server: str, *, gzip: bool) -> float | None:
        """A server's median; `None` where it was not measured."""
        timings = self.timings.get((server, gzip))
        return timings.seconds if timings and timings.scrapes else None

    def ratio(self, over: str, under: str, *, gzip: bool) -> float | None:
        """How many times as long one server takes as another; `None` where one is missing."""
        above, below = self.seconds(over, gzip=gzip), self.seconds(under, gzip=gzip)
        return above / below if above and below else None


def measure(scale: Scale) -> Part:
    """Time the scrapes at every size."""
    found = measured(scale)
    return Part(
        tables=[_table(found)],
        targets=_targets(found[-1]),
    )


@functools.cache
def measured(scale: Scale) -> list[Figures]:
    """The figures at every size, measured once and used by other parts too."""
    return [_measured_at(scale, size) for size in scale.sizes]


def _measured_at(scale: Scale, size: int) -> Figures:
    found = Figures(size)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        print_error(f"scrape: {size:,} instances: one sweep")
        with (
            stage.simulator(folder, sets=size // stage.SET_SIZE) as fleet,
            stage.exporter(folder, fleet) as exporter,
        ):
            before = exporter.process.processor_seconds()
            exporter.wait_for_sweep(seconds=SWEEP_SECONDS)
            found.sweep_seconds = exporter.process.processor_seconds() - before
            page = save(exporter.metrics_url, folder)
            wanted = fingerprint_of_file(page.text)
            found.series = wanted.samples
            _measure_all(scale, found, {OURS: exporter.metrics_url}, page, wanted)
    return found


def _measure_all(
    scale: Scale, found: Figures, urls: dict[str, str], page: Page, wanted: Fingerprint
) -> None:
    try:
        with servers.nginx(page) as nginx:
            _measure_peers(scale, found, {**urls, NGINX: nginx.url}, page, wanted)
    except PeerMissingError as error:
        found.missing[NGINX] = str(error)
        _measure_peers(scale, found, urls, page, wanted)


def _measure_peers(
    scale: Scale, found: Figures, urls: dict[str, str], page: Page, wanted: Fingerprint
) -> None:
    """Measure the slow peers one after the other, each in turn with ours and nginx."""
    client = Client()
    for url in urls.values():
        for gzip in (True, False):
            client.scrape(url, gzip=gzip)
    for name, start in SLOW_PEERS.items():
        print_error(f"scrape: {found.size:,} instances: {name}")
        try:
            with start(page) as peer:
                _check_same(_first_round(found, client, urls, name, peer), wanted)
                rounds = scale.rounds_of_slow_peers(found.size) - 1
                _take_turns(found, client, {**urls, name: peer.url}, rounds, gzip=True)
                rounds = scale.plain_rounds_of_slow_peers(found.size)
                _take_turns(found, client, {**urls, name: peer.url}, rounds, gzip=False)
        except (PeerMissingError, OSError, RuntimeError) as error:
            found.missing[name] = str(error)
            print_error(f"{name}: {error}")
    for gzip in (True, False):
        done = found.timings.get((OURS, gzip), Timings())
        _take_turns(found, client, urls, scale.rounds - len(done.scrapes), gzip=gzip)


def _first_round(
    found: Figures, client: Client, urls: dict[str, str], name: str, peer: Peer
) -> bytes:
    """The first round of a peer, which shows its memory and its page; the page, compressed."""
    _take_turns(found, client, urls, 1, gzip=True)
    loaded = peer.process.memory().resident
    page = bytearray()
    found.timings[name, True] = Timings([client.scrape(peer.url, gzip=True, keep=page)])
    found.memory[name] = PeerMemory(peer.empty, loaded, peer.process.memory())
    return bytes(page)


def _check_same(page: bytes, wanted: Fingerprint) -> None:
    """Check that a peer does the same work.

    Raises:
        RuntimeError: where the samples of its page are not those of the exporter's.
    """
    shown = fingerprint_of_packed(page)
    if shown != wanted:
        raise RuntimeError(
            f"does other work: {shown.samples:,} samples, not the {wanted.samples:,} of the page"
        )


def _take_turns(
    found: Figures, client: Client, urls: dict[str, str], rounds: int, *, gzip: bool
) -> None:
    runs = {name: _timed(found, client, name, url, gzip=gzip) for name, url in urls.items()}
    alternate(runs, rounds)


def _timed(
    found: Figures, client: Client, name: str, url: str, *, gzip: bool
) -> Callable[[], float]:
    timings = found.timings.setdefault((name, gzip), Timings())

    def run() -> float:
        timings.scrapes.append(client.scrape(url, gzip=gzip))
        return timings.scrapes[-1].seconds

    return run


def _table(found: list[Figures]) -> Table:
    rows = [
        _row(at, server, gzip=gzip) for at in found for gzip in (True, False) for server in SERVERS
    ]
    columns = ("instances", "series", "encoding", "server", "rounds", "first byte", "whole page")
    return Table("Scrape", NOTE.rstrip(), (*columns, "MB", "ours is"), rows)


def _row(at: Figures, server: str, *, gzip: bool) -> tuple[str, ...]:
    head = (f"{at.size:,}", f"{at.series:,}", "gzip" if gzip else "identity", server)
    timings = at.timings.get((server, gzip))
    if timings is None or not timings.scrapes:
        reason = at.missing.get(server, "").splitlines() or ["not in the quick run"]
        return (*head, "0", "", reason[0], "", "")
    ratio = at.ratio(server, OURS, gzip=gzip) if server != OURS else None
    return (
        *head,
        str(len(timings.scrapes)),
        figures.seconds(timings.first_byte),
        figures.seconds(timings.seconds),
        f"{timings.length / 1e6:,.2f}",
        figures.comparison(ratio),
    )


def _targets(at: Figures) -> list[Target]:
    where = f"at {at.size:,} instances"
    gzip_and_file = at.ratio(OURS, NGINX, gzip=True)
    plain_and_file = at.ratio(OURS, NGINX, gzip=False)
    ours = at.timings[OURS, False].first_byte
    return [
        figures.at_most(f"scrape, gzip, {where}, to nginx", 2, gzip_and_file, "×"),
        *(
            figures.at_least(
                f"scrape, gzip, {where}, faster than {peer}",
                least,
                at.ratio(peer, OURS, gzip=True),
                "×",
            )
            for peer, least in ((PROMETHEUS_CLIENT, 500), (PROMHTTP, 300))
        ),
        figures.at_most(f"scrape, identity, {where}, to nginx", 10, plain_and_file, "×"),
        figures.at_most(
            f"scrape, identity, {where}, first byte", FIRST_BYTE_WANTED * 1e3, ours * 1e3, "ms"
        ),
    ]
