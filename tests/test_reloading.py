"""A reload takes place as a whole, or changes nothing; what did not change lives on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from exporter import assembly, reloading
from exporter.assembly import staying
from exporter.azure.auth.token_cache import TokenSource
from exporter.configuration import Configuration, ConfigurationError, load
from exporter.polling.poller import Poller
from exporter.polling.targets import Changes, Observer
from exporter.preparation import Prepared, prepare
from exporter.process import Process
from exporter.reloading import InForce, SignalEvents
from exporter.runtime.signals import Signals
from support.tls import Authority

SETS = "scale_sets:\n" + "".join(
    "  - {subscription_id: 00000000-0000-0000-0000-000000000000, resource_group: rg,"
    f" name: {name}}}\n"
    for name in ("web", "batch")
)


def configured(text: str = "") -> Configuration:
    return load(text + SETS, environment={})


def prepared(text: str = "") -> Prepared:
    return prepare(configured(text))


@pytest.fixture
async def in_force() -> AsyncIterator[InForce]:
    process = Process(version="1", python_version="3")
    made = InForce(process, asyncio.Event())
    await made.begin(configured())
    yield made
    await made.end()


class Closed:
    """Notes whether a source of tokens was closed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, source: TokenSource) -> None:
        self.times = 0
        real = source.close

        async def close() -> None:
            self.times += 1
            await real()

        monkeypatch.setattr(source, "close", close)


@pytest.mark.parametrize(
    "text",
    [
        "metrics: {deny: [azure_vmss_disk_*]}\n",
        "polling: {interval: 30s, keep_for: 20m, concurrency: 3, budget_share: 0.4}\n",
        "web: {messages: false}\n",
    ],
)
async def test_session_and_token_live_on_where_their_settings_do(
    in_force: InForce, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    connection = in_force.exporter.connection
    closed = Closed(monkeypatch, connection.clients[""].tokens)
    after = await in_force.change_to(prepared(text))
    assert after.connection is connection
    assert connection.is_open
    assert (closed.times, connection._session.closed) == (0, False)
    await in_force.end()
    assert (closed.times, connection._session.closed) == (1, True)


async def test_the_session_is_closed_even_if_the_token_source_fails_to_close(
    in_force: InForce, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = in_force.exporter.connection

    async def close() -> None:
        raise ValueError("odd")

    monkeypatch.setattr(connection.clients[""].tokens, "close", close)
    await in_force.end()
    assert connection._session.closed


@pytest.mark.parametrize(
    "text",
    [
        "azure: {detail: full}\n",
        "azure: {credential: {type: managed_identity, client_id: other}}\n",
        "polling: {timeout: 30s}\n",
        "polling: {deadline: 90s}\n",
    ],
)
async def test_what_asks_azure_otherwise_gets_a_session_of_its_own(
    in_force: InForce, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    connection = in_force.exporter.connection
    closed = Closed(monkeypatch, connection.clients[""].tokens)
    after = await in_force.change_to(prepared(text))
    assert after.connection is not connection
    assert (closed.times, connection._session.closed) == (1, True)
    assert after.connection.is_open


async def test_an_authority_file_that_has_changed_makes_a_reload_of_the_same_text_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    text = f"azure: {{ca_file: {authority.file}}}\n"
    before = prepared(text)
    assert prepared(text).is_like(before)
    with authority.file.open("ab") as file:
        file.write(b"# renewed\n")
    after = prepared(text)
    assert not after.is_like(before)
    assert not after.asks_like(before)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    assert not prepared(text).is_like(after)


@pytest.mark.parametrize("broken", ["store_for", "Connection", "Slots", "MetricsPage"])
async def test_whatever_breaks_in_building_leaves_all_as_it_was(
    in_force: InForce, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    before = in_force.exporter
    seen = [(state.target, state.data.poll) for state in before.targets]
    share = in_force._process.budget.share

    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(assembly, broken, breaks)
    text = "polling: {interval: 5m, timeout: 10s, budget_share: 0.1}\nweb: {messages: false}\n"
    with pytest.raises(RuntimeError, match="broken"):
        await in_force.change_to(prepared(text))
    assert in_force.exporter is before
    assert before.connection.is_open
    assert not before.connection._session.closed
    assert [(state.target, state.data.poll) for state in before.targets] == seen
    assert in_force._process.budget.share == share


def test_the_sets_that_stay_are_those_of_the_same_azure_with_the_same_labels() -> None:
    first = prepared("azure: {detail: full}\n")
    exporter = cast("Any", _Exporter(first))
    names = {found.name for found in staying(exporter, prepared())}
    assert names == {"web", "batch"}
    elsewhere = prepared("azure: {cloud: china}\n")
    assert staying(exporter, elsewhere) == frozenset()
    labelled = SETS.replace("name: web}", "name: web, labels: {team: a}}")
    # Every set has the same label names, so both are others now.
    assert staying(exporter, prepare(load(labelled, environment={}))) == frozenset()


class _Exporter:
    """What `staying` looks at."""

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self.targets = [
            type("TargetState", (), {"target": target})
            for target in prepared.configuration.targets()
        ]


class Reading:
    """Reads that the test decides about, and what came of them."""

    def __init__(self) -> None:
        self.answers: list[Exception | Configuration] = []
        self.told = SignalEvents(Signals())

    def __call__(self) -> tuple[Configuration, str]:
        answer = self.answers.pop(0)
        if self.answers:
            self.told.reload.set()
        if isinstance(answer, Exception):
            raise answer
        return answer, "text"


@pytest.mark.parametrize(
    "failure",
    [
        RuntimeError("a fault"),
        RecursionError("too deep"),
        UnicodeError("label empty or too long"),
        OSError(5, "Input/output error"),
        MemoryError(),
    ],
)
async def test_whatever_a_read_raises_is_reported_and_the_next_reload_counts(
    in_force: InForce, failure: Exception
) -> None:
    reading = Reading()
    reading.answers = [failure, configured("web: {messages: false}\n")]
    reading.told.reload.set()
    told = in_force._process.telemetry.gauge("config_last_reload_successful")
    told.set(1)
    found, _ = await reloading._reloaded(
        in_force.exporter, in_force._process, reading.told, reading
    )
    assert not found.configuration.web.messages
    assert told._value.get() == 0


async def test_a_read_that_hangs_is_reported_and_does_not_end_reloading(
    in_force: InForce, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reloading, "RELOAD_LIMIT", 0.01)
    go_on, tried = threading.Event(), asyncio.Event()
    reading = Reading()

    def read() -> tuple[Configuration, str]:
        go_on.wait(30)
        return configured("web: {messages: false}\n"), "text"

    def said(*_: object) -> None:
        tried.set()

    monkeypatch.setattr(reloading, "not_reloaded", said)
    reading.told.reload.set()
    waiting = asyncio.create_task(
        reloading._reloaded(in_force.exporter, in_force._process, reading.told, read)
    )
    await tried.wait()
    go_on.set()
    monkeypatch.setattr(reloading, "not_reloaded", lambda *_: reading.told.reload.set())
    reading.told.reload.set()
    found, _ = await waiting
    assert not found.configuration.web.messages


# A reload that somebody waits for


async def test_who_asks_for_a_reload_is_told_how_it_ended(in_force: InForce) -> None:
    reading = Reading()
    asked = [asyncio.create_task(reading.told.ask()) for _ in range(3)]
    await asyncio.sleep(0)
    exporter, process = in_force.exporter, in_force._process
    reading.answers = [ConfigurationError(("web: wrong", "also wrong"))]
    reloads = asyncio.create_task(reloading._reloaded(exporter, process, reading.told, reading))
    assert await asyncio.gather(*asked) == [("web: wrong", "also wrong")] * 3
    reading.answers = [configured()]
    assert await reading.told.ask() == ()
    reading.answers = [configured("web: {messages: false}\n")]
    late = asyncio.create_task(reading.told.ask())
    await reloads
    assert not late.done(), "it is not in force yet"
    reading.told.ended()
    assert await late == ()


async def test_without_a_file_there_is_nothing_to_reload(in_force: InForce) -> None:
    told = SignalEvents(Signals())
    reloads = asyncio.create_task(
        reloading._reloaded(in_force.exporter, in_force._process, told, None)
    )
    assert await told.ask() == ("nothing to reload: the configuration is in no file",)
    reloads.cancel()


# A reload that changes nothing but targets


@pytest.fixture
def record(in_force: InForce) -> Observer:
    """An observer that the test may let fail."""
    observer = Observer()
    targets = in_force._process.targets
    targets.observers = (observer, *targets.observers)
    return observer


def fail(*_: object) -> None:
    raise RuntimeError("a fault")


async def test_a_fault_while_targets_change_is_reported_and_the_same_file_can_be_tried_again(
    in_force: InForce, record: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter, process = in_force.exporter, in_force._process
    more = load(SETS + SETS.splitlines(keepends=True)[1].replace("web", "new"), environment={})
    monkeypatch.setattr(record, "added", fail)
    with pytest.raises(reloading._NotReloadedError, match="1 changes of scale sets have failed"):
        await reloading._apply(exporter, prepare(more))
    assert len(process.targets) == 2
    monkeypatch.setattr(record, "added", lambda _: None)
    monkeypatch.setattr(record, "settled", fail)
    with pytest.raises(reloading._NotReloadedError):
        await reloading._apply(exporter, prepare(more))
    assert not exporter.prepared.is_like(prepare(more))
    monkeypatch.setattr(record, "settled", lambda: None)
    assert await reloading._apply(exporter, prepare(more)) == Changes()
    assert exporter.prepared.is_like(prepare(more))
    assert len(process.targets) == 3


@pytest.mark.parametrize("broken", ["_adopt", "settled", "added", "removed"])
@pytest.mark.parametrize("cloud", ["public", "china"])
async def test_a_fault_while_the_next_exporter_takes_over_is_logged_and_it_takes_over(
    in_force: InForce, monkeypatch: pytest.MonkeyPatch, broken: str, cloud: str
) -> None:
    process = in_force._process
    monkeypatch.setattr(Poller, broken, fail)
    after = await in_force.change_to(
        prepared(f"azure: {{cloud: {cloud}}}\npolling: {{budget_share: 0.1}}\n")
    )
    assert in_force.exporter is after
    assert process.budget.share == 0.1
    assert after.poller in process.targets.observers
    assert set(after.publisher._published) == set(process.targets)
