"""The benches of the pipeline and the loop measure what they say. Nothing is timed here."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bench import kinds, pipeline, ticker
from bench.answers import LARGER, PAGE_SIZE, TARGET, USUAL, Shape, pages
from bench.fleet import Orchestration
from exporter.azure.decode import decode_instance_page
from exporter.metrics.mapper import Mapper, TargetMemory
from exporter.simulator import Fleet, SimulatedAzure
from support.answers import SUBSCRIPTION

COUNT, SIZE = 3, 40


@pytest.fixture
def thawed() -> Iterator[None]:
    """The ticker freezes what it finds, as the daemon does; here it is to be freed again."""
    yield
    gc.unfreeze()


@pytest.mark.parametrize(
    ("shape", "size_each", "series_each"),
    [(USUAL, (3500, 4500), (36, 38)), (LARGER, (4500, 6000), (48, 51))],
)
def test_an_answer_has_the_stated_size_and_series(
    shape: Shape, size_each: tuple[int, int], series_each: tuple[int, int]
) -> None:
    bodies = pages(shape, count=COUNT, size=SIZE)
    assert len(bodies) == COUNT
    for body in bodies:
        mapped = pipeline.map_page(Mapper(full=True), body, TargetMemory())
        assert mapped.instances == SIZE
        assert size_each[0] < len(body) / SIZE < size_each[1]
        assert series_each[0] <= mapped.instance_series / SIZE <= series_each[1]


def test_an_answer_has_extensions_disks_and_one_failed_instance_in_twenty() -> None:
    for body in pages(LARGER, count=COUNT, size=SIZE):
        views = [item["properties"]["instanceView"] for item in msgspec.json.decode(body)["value"]]
        assert all(len(view["extensions"]) == 3 and len(view["disks"]) == 2 for view in views)
        failed = [view for view in views if "/failed/" in view["statuses"][0]["code"]]
        assert len(failed) == SIZE // 20


def test_no_two_instances_share_an_id_or_a_provisioning_time() -> None:
    items = [
        item
        for body in pages(USUAL, count=COUNT, size=SIZE)
        for item in msgspec.json.decode(body)["value"]
    ]
    for values in (
        {item["instanceId"] for item in items},
        {item["properties"]["vmId"] for item in items},
        {item["properties"]["instanceView"]["disks"][0]["name"] for item in items},
        {item["properties"]["instanceView"]["statuses"][0]["time"] for item in items},
    ):
        assert len(values) == COUNT * SIZE


def test_the_answers_are_the_same_in_every_run_and_decode_without_problems() -> None:
    [body] = pages(LARGER, count=1, size=SIZE)
    assert [body] == pages(LARGER, count=1, size=SIZE)
    [page] = decode_instance_page(body)
    assert not page.problems
    assert page.next_link is None


def test_the_timed_pipeline_makes_every_sample_of_the_set() -> None:
    [body] = pages(USUAL, count=1, size=SIZE)
    mapped = pipeline.map_page(Mapper(full=True), body, TargetMemory())
    lines = pipeline.lines_of(mapped)
    assert len(lines) == mapped.series
    assert all(f'scale_set="{TARGET.scale_set.name}"'.encode() in line for line in lines)


def test_pages_of_the_same_samples_in_another_order_and_spelling_are_the_same() -> None:
    ours = [b'azure_vmss_a{x="1",y="2"} 1\n', b"azure_vmss_b 1.5e+09\n"]
    peers = [b"# TYPE azure_vmss_b gauge\n", b"azure_vmss_b 1500000000.0\n"]
    pipeline.check_same(ours, [*peers, b'azure_vmss_a{y="2",x="1"} 1.0\n'])


def test_a_sample_that_the_peer_lacks_is_named() -> None:
    ours = [b'azure_vmss_a{x="1"} 1\n', b'azure_vmss_a{x="2"} 1\n']
    with pytest.raises(RuntimeError, match="azure_vmss_a"):
        pipeline.check_same(ours, ours[:1])
    with pytest.raises(RuntimeError, match="twice"):
        pipeline.check_same(ours, [*ours, ours[0]])


@pytest.mark.parametrize(("share", "value"), [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)])
def test_a_quantile_is_the_value_that_this_share_does_not_exceed(
    share: float, value: float
) -> None:
    assert ticker.quantile([float(number) for number in range(100, 0, -1)], share) == value


@pytest.mark.usefixtures("thawed")
async def test_the_ticker_polls_with_the_real_parts_and_tells_its_pauses(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    fleet = Fleet.from_yaml(f"""\
subscription_id: {SUBSCRIPTION}
page_size: 20
limits: {{enabled: false}}
scale_sets:
  - {{name: web, resource_group: rg-web, size: 50, extensions: [CustomScript]}}
""")
    azure = SimulatedAzure(fleet, token="secret")
    await azure.start()
    try:
        found = await ticker.watch(json.dumps(configuration(azure.url, token, "web")), 2)
        pages_polled = [one.page for one in azure.requests if one.operation == "instances"]
    finally:
        await azure.close()
    assert pages_polled == [1, 2, 3] * 2
    assert found.polls == 2
    assert found.ticks > 0
    assert found.worst >= found.p99 >= 0
    assert found.poll > 0


@pytest.mark.usefixtures("thawed")
async def test_the_ticker_refuses_to_measure_polls_that_fail(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    azure = SimulatedAzure(Fleet.from_yaml("limits: {enabled: false}"), token="secret")
    await azure.start()
    try:
        with pytest.raises(RuntimeError, match="web"):
            await ticker.watch(json.dumps(configuration(azure.url, token, "web")), 1)
    finally:
        await azure.close()


def configuration(url: str, token: Path, name: str) -> dict[str, object]:
    return {
        "azure": {
            "cloud": "custom",
            "endpoint": url,
            "audience": url,
            "detail": "full",
            "credential": {"type": "static", "token_file": str(token)},
        },
        "scale_sets": [{"subscription_id": SUBSCRIPTION, "resource_group": "rg-web", "name": name}],
    }


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_a_page_of_either_kind_has_as_many_instances_with_the_same_families(
    kind: Orchestration,
) -> None:
    bodies = kinds.pages(kind)
    mapping = Mapper(full=True).start(TARGET, TargetMemory(), flexible=kind == "flexible")
    for body in bodies:
        for chunk in decode_instance_page(body):
            assert not chunk.problems
            list(mapping.steps(chunk))
    mapped = mapping.finish()
    assert mapped.instances == kinds.PAGES * PAGE_SIZE
    assert {"azure_vmss_vm_agent_state", "azure_vmss_extension_state"} <= mapped.all_lines.keys()
