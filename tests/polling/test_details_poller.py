"""What is asked for beside the model: when, of whom, and what of it is served."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

from exporter.azure.errors import AzureError, Forbidden, NoAnswer, NotSent, TimedOut
from exporter.configuration import Model
from exporter.model.details import (
    Autoscale,
    LifecycleHook,
    RollingUpgrade,
    Service,
    StandbyCount,
)
from exporter.model.scale_set import ScaleSetId, ScaleSetModel
from exporter.polling.details_poller import (
    FORBIDDEN_PAUSE,
    OF_SETS,
    OF_SUBSCRIPTIONS,
    OPERATIONS,
    DetailsPoller,
    Kind,
    kinds_of,
)
from exporter.polling.retention import Retention
from support.clock import FakeClock
from support.polling import Polling
from support.source import FakeSource

SERVED = """\
azure_vmss_orchestration_service_state{service="AutomaticRepairs",state="running"} 1
azure_vmss_rolling_upgrade_state{state="rollingback"} 1
azure_vmss_rolling_upgrade_instances{state="successful"} 3
azure_vmss_lifecycle_hook_wait_until_timestamp_seconds{hook="event",type="Upgrade"} 1795773600
azure_vmss_standby_pool_instances{availability_zone="1",state="deallocated"} 4
azure_vmss_autoscale_min_capacity 2
azure_vmss_autoscale_max_capacity 9
"""


class FakeDetails:
    """Answers for the sets named `web`; or an error for all of a kind."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.failures: dict[str, AzureError | NotSent] = {}

    def _ask(self, kind: Kind, name: str = "") -> None:
        self.asked[kind] += 1
        failure = self.failures.get(kind) or self.failures.get(f"{kind} of {name}")
        if failure is not None:
            raise failure

    async def services(self, scale_set: ScaleSetId, location: str) -> tuple[Service, ...]:
        del location
        self._ask("services", scale_set.name)
        return (Service("AutomaticRepairs", "Running"),) if scale_set.name == "web" else ()

    async def rolling_upgrade(self, scale_set: ScaleSetId, location: str) -> RollingUpgrade | None:
        del scale_set, location
        self._ask("rolling_upgrade")
        return RollingUpgrade("RollingBack", 3, None, None, None)

    async def lifecycle_hooks(
        self, scale_set: ScaleSetId, location: str
    ) -> tuple[LifecycleHook, ...]:
        del scale_set, location
        self._ask("lifecycle_hooks")
        return (LifecycleHook("event", "Upgrade", "2026-11-27T10:00:00Z"),)

    async def standby_pools(
        self, subscription_id: str, wanted: Callable[[ScaleSetId], bool]
    ) -> dict[tuple[str, str, str], tuple[StandbyCount, ...] | NoAnswer]:
        self._ask("standby_pool")
        web = ScaleSetId(subscription_id, "rg-web", "web")
        if (failure := self.failures.get("the pool")) is not None:
            return {web.key: failure}
        assert wanted(web)
        assert not wanted(ScaleSetId(subscription_id, "rg-web", "stranger"))
        return {web.key: (StandbyCount("1", "deallocated", 4),)}

    async def autoscale(self, subscription_id: str) -> dict[tuple[str, str, str], Autoscale]:
        self._ask("autoscale")
        return {ScaleSetId(subscription_id, "rg-web", "web").key: Autoscale(2, 9)}


class Case:
    """A poller of details over two sets, of which only `web` has all."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.polling = Polling(FakeSource(clock), clock)
        self.web = self.polling.add("web")
        self.other = self.polling.add("other")
        self.source = FakeDetails()

    def poller(self, *kinds: Kind, interval: float = 300.0) -> DetailsPoller:
        return DetailsPoller(
            sources={"": self.source},
            kinds=kinds or (*OF_SETS, *OF_SUBSCRIPTIONS),
            interval=interval,
            targets=self.polling.targets,
            publisher=self.polling.publisher,
            retention=Retention(keep_for=600.0, deadline=180.0),
            clock=self.clock,
        )

    def served(self, word: str = 'scale_set="web"') -> str:
        """The lines of one set about details, without its labels and without zeros."""
        prefix = 'subscription_id="00000000-0000-0000-0000-000000000000",resource_group="rg-web",'
        lines = [
            line
            for line in self.polling.page().splitlines()
            if line.startswith(tuple(name.partition("{")[0].partition(" ")[0] for name in NAMES))
            and word in line
            and not line.endswith(" 0")
        ]
        text = "".join(f"{line}\n" for line in lines).replace(prefix, "")
        return text.replace('scale_set="web",', "").replace('{scale_set="web"}', "")


NAMES = SERVED.splitlines()


@pytest.fixture
def case(clock: FakeClock) -> Case:
    return Case(clock)


async def test_all_that_is_asked_for_is_served(case: Case) -> None:
    await case.poller().poll_all()
    assert sorted(case.served().splitlines()) == sorted(SERVED.splitlines())
    assert case.source.asked == {
        **dict.fromkeys(OF_SETS, 2),
        **dict.fromkeys(OF_SUBSCRIPTIONS, 1),
    }


async def test_only_what_is_named_is_asked_for(case: Case) -> None:
    await case.poller("autoscale").poll_all()
    assert case.source.asked == {"autoscale": 1}
    assert 'scale_set="other"' not in case.served("autoscale"), "it has no setting"


async def test_a_flexible_set_has_no_calls_of_its_own(case: Case) -> None:
    case.polling.poller.model_found(case.other, ScaleSetModel(orchestration_mode="Flexible"))
    await case.poller("services").poll_all()
    assert case.source.asked == {"services": 1}


async def test_it_asks_once_in_each_interval_and_soon_where_targets_came_late(
    case: Case, clock: FakeClock
) -> None:
    case.polling.targets.remove(case.web.target.scale_set)
    case.polling.targets.remove(case.other.target.scale_set)
    running = asyncio.create_task(case.poller("services").run())
    await clock.advance(20)
    assert not case.source.asked
    case.polling.add("web")
    await clock.advance(10)
    assert case.source.asked == {"services": 1}
    await clock.advance(600)
    assert case.source.asked == {"services": 3}
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_a_failure_is_logged_once_costs_nothing_else_and_keeps_the_last_answer(
    case: Case, clock: FakeClock
) -> None:
    poller = case.poller()
    await poller.poll_all()
    before = case.served()
    case.source.failures["services"] = TimedOut("too slow")
    with capture_logs() as logs:
        for _ in range(3):
            await clock.advance(200)
            await poller.poll_all()
    events = [line["event"] for line in logs]
    assert events.count("model details failing") == 1
    assert case.served() == before
    await clock.advance(200)
    await poller.poll_all()
    assert "orchestration_service" not in case.served(), "older than it is kept"
    assert "rolling_upgrade_state" in case.served()
    case.source.failures.clear()
    with capture_logs() as logs:
        await poller.poll_all()
    assert "model details recovered" in [line["event"] for line in logs]
    assert case.served() == before


async def test_what_is_not_allowed_is_said_once_and_left_alone_for_an_hour(
    case: Case, clock: FakeClock
) -> None:
    case.source.failures["services"] = Forbidden("no", action="read")
    poller = case.poller("services", "autoscale")
    with capture_logs() as logs:
        for _ in range(5):
            await poller.poll_all()
            await clock.advance(300)
    assert case.source.asked == {"services": 2, "autoscale": 5}, "each set is asked of once"
    assert len(logs) == 1
    await clock.advance(FORBIDDEN_PAUSE)
    await poller.poll_all()
    assert case.source.asked["services"] == 4


async def test_a_set_that_may_not_be_read_costs_the_others_of_its_subscription_nothing(
    case: Case, clock: FakeClock
) -> None:
    case.source.failures["services of other"] = Forbidden("no", action="read")
    poller = case.poller("services")
    with capture_logs() as logs:
        for _ in range(3):
            await poller.poll_all()
            await clock.advance(300)
    assert case.source.asked == {"services": 4}, "three times of one, once of the other"
    assert "AutomaticRepairs" in case.served()
    assert [line["event"] for line in logs] == ["model details failing"]
    case.polling.targets.remove(case.other.target.scale_set)
    await poller.poll_all()
    assert not poller._paused, "nothing is kept of a set that has gone"
    assert not any(poller._failing.values())


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (TimedOut("too slow"), ["model details failing", "model details recovered"]),
        (NotSent("held", retry_after=5.0), []),
    ],
)
async def test_a_pool_that_cannot_be_read_keeps_its_last_counts_and_says_so_once(
    case: Case, failure: NoAnswer, said: list[str]
) -> None:
    poller = case.poller("standby_pool")
    await poller.poll_all()
    before = case.served()
    case.source.failures["the pool"] = failure
    with capture_logs() as logs:
        await poller.poll_all()
        await poller.poll_all()
        assert case.served() == before
        del case.source.failures["the pool"]
        await poller.poll_all()
    assert [line["event"] for line in logs] == said


async def test_a_call_that_is_put_off_is_no_failure(case: Case) -> None:
    case.source.failures["services"] = NotSent("held", retry_after=5.0)
    with capture_logs() as logs:
        await case.poller("services").poll_all()
    assert not logs
    assert case.source.asked == {"services": 2}


async def test_a_fault_of_ours_ends_no_other_call(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise ValueError("odd")

    monkeypatch.setattr(case.source, "services", broken)
    await case.poller("services", "rolling_upgrade").poll_all()
    assert case.source.asked == {"rolling_upgrade": 2}


async def test_a_fault_in_showing_an_answer_ends_neither_the_poller_nor_the_others(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Any) -> None:
        raise ValueError("odd")

    monkeypatch.setattr(case.polling.publisher, "publish", broken)
    with capture_logs() as logs:
        await case.poller("rolling_upgrade").poll_all()
    assert [line["event"] for line in logs] == ["model details crashed"] * 2


async def test_the_answers_stay_when_the_labels_change_and_go_with_the_target(
    case: Case,
) -> None:
    await case.poller("autoscale").poll_all()
    case.polling.targets.remove(case.web.target.scale_set)
    assert not case.served()
    await case.poller("autoscale").poll_all()
    assert not case.served()


def test_the_configuration_names_the_kinds() -> None:
    assert kinds_of(Model()) == frozenset()
    everything = Model(
        services=True,
        rolling_upgrades=True,
        lifecycle_hooks=True,
        standby_pools=True,
        autoscale=True,
    )
    assert kinds_of(everything) == {*OF_SETS, *OF_SUBSCRIPTIONS}


@pytest.mark.parametrize("kind", [*OF_SETS, *OF_SUBSCRIPTIONS])
def test_a_kind_is_asked_for_by_the_key_that_its_call_names(kind: Kind) -> None:
    section, _, key = OPERATIONS[kind].feature.partition(".")
    assert section == "model"
    assert kinds_of(Model.model_validate({key: True})) == {kind}


async def test_what_failed_is_told_until_it_succeeds(case: Case) -> None:
    case.source.failures["services"] = TimedOut("too slow")
    case.source.failures["autoscale"] = Forbidden("no", action="read")
    poller = case.poller()
    await poller.poll_all()
    told = [(one.kind, one.of, one.reason) for one in poller.failures()]
    assert told == [
        ("autoscale", case.web.target.scale_set.subscription_id, "permission"),
        ("services", str(case.web.target.scale_set), "timeout"),
        ("services", str(case.other.target.scale_set), "timeout"),
    ]
    assert "too slow" in poller.failures()[1].message
    case.source.failures.clear()
    await poller.poll_all()
    assert [one.kind for one in poller.failures()] == ["autoscale"], "it is left alone for an hour"
