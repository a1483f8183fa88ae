"""Azure's JSON becomes structures: absent stays absent, and what is odd costs itself only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.azure.decode import WHOLE_BYTES, decode_instance_page
from exporter.azure.decode_scale_sets import decode_scale_set
from exporter.azure.error_body import decode_error
from exporter.azure.errors import BrokenAnswer
from exporter.model.instance_view import Instance, InstancePage, Problem
from exporter.model.scale_set import ScaleSetModel
from support.answers import RECORDINGS, decode_page, recording
from support.examples import examples

FULL = Path(__file__).parents[1] / "fixtures" / "azure" / "made-up-full-page.json"
Step = str | int


def full() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(FULL.read_text(encoding="utf-8"))
    return loaded


def decoded(page: Any) -> InstancePage:
    return decode_page(json.dumps(page).encode())


def plain(page: InstancePage) -> list[Any]:
    return [msgspec.to_builtins(instance) for instance in page.instances]


def paths(value: Any, path: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    """The path of every value inside, itself left out."""
    steps: list[tuple[Step, Any]] = []
    if isinstance(value, dict):
        steps = list(value.items())
    elif isinstance(value, list):
        steps = list(enumerate(value))
    for step, inner in steps:
        yield (*path, step)
        yield from paths(inner, (*path, step))


ITEM_PATHS = list(paths(full()["value"][0]))


def holder(item: Any, path: tuple[Step, ...]) -> Any:
    for step in path[:-1]:
        item = item[step]
    return item


def named(path: tuple[Step, ...]) -> str:
    """A path as Problems show it."""
    return "".join("[]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def test_a_full_page_decodes_without_loss() -> None:
    page = decode_page(FULL.read_bytes())
    assert (page.problems, page.lost) == ([], 0)
    assert page.next_link == full()["nextLink"]
    # Everything that the model knows is in the fixture, and the fixture's values come through.
    known = msgspec.convert(full()["value"], list[Instance])
    assert page.instances == known
    assert None not in [value for value in flat(plain(page)[0]) if value != "absent"]


def flat(value: Any) -> Iterator[Any]:
    inner = value.values() if isinstance(value, dict) else value
    for part in inner:
        if isinstance(part, (dict, list)):
            yield from flat(part)
        else:
            yield part


@pytest.mark.parametrize("path", ITEM_PATHS, ids=lambda path: ".".join(map(str, path)))
def test_any_field_may_be_missing(path: tuple[Step, ...]) -> None:
    page = full()
    del holder(page["value"][0], path)[path[-1]]
    found = decoded(page)
    assert (found.problems, found.lost, len(found.instances)) == ([], 0, 2)


@pytest.mark.parametrize("path", ITEM_PATHS, ids=lambda path: ".".join(map(str, path)))
def test_any_field_may_be_null(path: tuple[Step, ...]) -> None:
    page = full()
    holder(page["value"][0], path)[path[-1]] = None
    found = decoded(page)
    assert (found.problems, found.lost, len(found.instances)) == ([], 0, 2)


@pytest.mark.parametrize("odd", [True, 1.5, {}, [], "text", {"x": 1}, [[1]], [True]], ids=repr)
@pytest.mark.parametrize("path", ITEM_PATHS, ids=lambda path: ".".join(map(str, path)))
def test_a_field_of_another_type_costs_itself_only(path: tuple[Step, ...], odd: Any) -> None:
    missing = full()
    del holder(missing["value"][0], path)[path[-1]]
    page = full()
    holder(page["value"][0], path)[path[-1]] = odd
    found = decoded(page)
    assert (found.lost, len(found.instances)) == (0, 2)
    if found.problems:
        (path_told,) = {problem.path.removesuffix("[]") for problem in found.problems}
        assert path_told == named(path).removesuffix("[]")
        if isinstance(odd, list) and isinstance(holder(full()["value"][0], path)[path[-1]], list):
            # Of a list only the odd elements go.
            holder(missing["value"][0], path)[path[-1]] = []
        assert found.instances[0] == decoded(missing).instances[0]


def test_a_problem_names_the_field_and_the_type_but_no_value() -> None:
    page = full()
    page["value"][0]["properties"]["instanceView"]["vmAgent"]["statuses"][0]["code"] = 4711
    assert decoded(page).problems == [
        Problem(
            path="properties.instanceView.vmAgent.statuses[].code",
            reason="Expected `str | null`, got `int`",
        )
    ]


def test_two_odd_fields_of_two_instances_are_two_problems() -> None:
    page = full()
    page["value"][0]["properties"]["vmId"] = 1
    page["value"][1]["properties"]["instanceView"]["disks"] = "none"
    found = decoded(page)
    assert [problem.path for problem in found.problems] == [
        "properties.vmId",
        "properties.instanceView.disks",
    ]
    assert found.instances[0].properties is not None
    assert found.instances[0].properties.instance_view is not None


def test_a_boolean_is_no_fault_domain() -> None:
    found = decoded(
        {
            "value": [
                {
                    "instanceId": "0",
                    "properties": {
                        "instanceView": {"platformFaultDomain": True, "platformUpdateDomain": 3}
                    },
                }
            ]
        }
    )
    view = found.instances[0].properties and found.instances[0].properties.instance_view
    assert view
    assert (view.platform_fault_domain, view.platform_update_domain) == (None, 3)
    assert found.problems[0].path == "properties.instanceView.platformFaultDomain"


def test_an_integer_provisioning_state_is_normal() -> None:
    found = decoded({"value": [{"instanceId": "0", "properties": {"provisioningState": 0}}]})
    assert found.problems == []
    assert found.instances[0].properties
    assert found.instances[0].properties.provisioning_state == 0


@pytest.mark.parametrize("item", [None, 1, "x", [], True])
def test_an_item_that_is_no_object_is_left_out_alone(item: Any) -> None:
    found = decoded({"value": [{"instanceId": "0"}, item, {"instanceId": "1"}]})
    assert [instance.instance_id for instance in found.instances] == ["0", "1"]
    assert found.lost == 1
    assert [problem.path for problem in found.problems] == [""]


@pytest.mark.parametrize(
    "item",
    [{}, {"id": ""}, {"id": None, "instanceId": ""}, {"id": 5}, {"instanceId": [1]}, {"id": "/"}],
)
def test_an_item_without_any_id_is_left_out_alone(item: Any) -> None:
    found = decoded({"value": [{"instanceId": "0"}, item]})
    assert [instance.instance_id for instance in found.instances] == ["0"]
    assert (found.lost, [problem.path for problem in found.problems]) == (1, [""])


def test_an_empty_id_will_do_beside_an_instance_id() -> None:
    found = decoded({"value": [{"id": "", "instanceId": "7"}]})
    assert (found.instances[0].instance_id, found.lost, found.problems) == ("7", 0, [])


@pytest.mark.parametrize("instance_id", [None, "", " ", 5])
def test_the_end_of_the_id_stands_for_a_missing_instance_id(instance_id: Any) -> None:
    found = decoded({"value": [{"id": "/a/virtualMachines/12", "instanceId": instance_id}]})
    assert (found.instances[0].instance_id, found.lost) == ("12", 0)


def test_null_zones_are_kept_for_the_mapper_to_skip() -> None:
    assert decoded({"value": [{"instanceId": "0", "zones": [None]}]}).instances[0].zones == [None]


@pytest.mark.parametrize("link", [None, "", "absent"])
def test_no_next_link_is_the_last_page(link: str | None) -> None:
    page: dict[str, Any] = {"value": []}
    if link != "absent":
        page["nextLink"] = link
    assert decoded(page) == InstancePage([], [], 0, None)


@pytest.mark.parametrize("link", [5, True, [], {}, ["https://a"]])
def test_a_next_link_that_is_no_text_is_never_the_last_page(link: Any) -> None:
    with pytest.raises(BrokenAnswer, match="nextLink"):
        decoded({"value": [], "nextLink": link})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"5",
        b"{}",
        b'{"value":null}',
        b'{"value":{}}',
        b'{"value":"x"}',
        b'{"value":[]}x',
        b'{"value":[NaN]}',
        b'{"value":[{"instanceId":"0","x":NaN}]}',
        b'{"value":[{"instanceId":"0","x":Infinity}]}',
        b'{"value":[{"instanceId":"0"},]}',
        b'{"value":[{"instanceId":"0\xff"}]}',
        b'{"value":[{"instanceId":"0","unknown":"\xff"}]}',
        b'{"value":[{"instanceId":"0"',
        b'{"error":{"code":"x"}}',
        b"<html>",
        '{"value":[]}'.encode("utf-16"),
    ],
)
def test_what_is_no_list_is_a_broken_answer(body: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        decode_page(body)


@pytest.mark.parametrize("depth", [300, 900, 990, 1100, 100_000])
def test_deep_nesting_is_read_or_a_broken_answer(depth: int) -> None:
    inner = b"[" * depth + b"]" * depth
    body = b'{"value":[{"instanceId":"0","vmId":5,"properties":%b}]}' % inner
    try:
        assert decode_page(body).lost == 0
    except BrokenAnswer as error:
        assert "deep" in error.message  # noqa: PT017 - either is right, by the stack at hand


@pytest.mark.parametrize("number", ["9" * 6000, "-" + "9" * 6000, "1e999", "1E5", "-0", "1.0"])
def test_odd_numbers_cost_their_field_only(number: str) -> None:
    body = f'{{"value":[{{"instanceId":"0","x":{number},"properties":{{"provisioningState":{number}'
    found = decode_page((body + "}}]}").encode())
    assert [instance.instance_id for instance in found.instances] == ["0"]
    assert {problem.path for problem in found.problems} <= {"properties.provisioningState"}


def test_half_an_emoji_in_a_message_loses_nothing() -> None:
    status = r'{"code":"a","message":"cut \ud83d","displayStatus":"\\ud83d \ud83d\ude00"}'
    view = f'{{"statuses":[{status}]}}'
    body = f'{{"value":[{{"instanceId":"0","properties":{{"instanceView":{view}}}}}]}}'
    found = decode_page(body.encode())
    assert found.problems == []
    (instance,) = plain(found)
    (read,) = instance["properties"]["instanceView"]["statuses"]
    assert read["message"] == "cut \ufffd"
    assert read["displayStatus"] == "\\ud83d \U0001f600"


def test_a_byte_order_mark_is_no_content() -> None:
    assert decode_page(b'\xef\xbb\xbf{"value":[]}').instances == []
    assert decode_scale_set(b"\xef\xbb\xbf{}")[0] == ScaleSetModel()
    assert decode_error(b'\xef\xbb\xbf{"code":"a"}').code == "a"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["value", "id", "instanceId", "properties", "instanceView", "x"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@examples(150)
@given(JSON)
def test_any_json_is_decoded_or_a_broken_answer(value: Any) -> None:
    for body in (json.dumps(value).encode(), json.dumps({"value": [value]}).encode()):
        decode_error(body)
        for decode in (decode_page, decode_scale_set):
            with suppress(BrokenAnswer):
                decode(body)


@examples(100)
@given(st.binary(max_size=60))
def test_any_bytes_are_decoded_or_a_broken_answer(body: bytes) -> None:
    decode_error(body)
    for decode in (decode_page, decode_scale_set):
        with suppress(BrokenAnswer):
            decode(body)


def recorded_lists() -> list[Path]:
    if not RECORDINGS.is_dir():
        return []
    return [
        path
        for path in sorted(RECORDINGS.glob("*/*.json"))
        if isinstance(recording(path)["response"]["body"], dict)
        and isinstance(recording(path)["response"]["body"].get("value"), list)
    ]


@pytest.mark.parametrize("path", recorded_lists() or [None], ids=lambda path: path and path.stem)
def test_every_recorded_list_decodes_without_problems(path: Path | None) -> None:
    if path is None:
        pytest.skip("Azure's recorded answers are not here")
    body = recording(path)["response"]["body"]
    page = decoded(body)
    assert (page.problems, page.lost) == ([], 0)
    assert len(page.instances) == len(body["value"])
    assert page.next_link == body.get("nextLink")


def test_a_page_larger_than_azures_comes_in_pieces_of_120() -> None:
    filler = "x" * (WHOLE_BYTES // 250)
    items: list[Any] = [{"instanceId": str(n), "filler": filler} for n in range(300)]
    items[7] = "no object"
    items[130]["properties"] = {"vmId": 7}
    body = json.dumps({"value": items, "nextLink": "https://next"}).encode()
    chunks = list(decode_instance_page(body))
    assert [len(chunk.instances) + chunk.lost for chunk in chunks] == [120, 120, 60]
    assert [chunk.next_link for chunk in chunks] == [None, None, "https://next"]
    found = [instance.instance_id for chunk in chunks for instance in chunk.instances]
    assert found == [str(n) for n in range(300) if n != 7]
    assert [problem.path for problem in chunks[0].problems] == [""]
    assert [problem.path for problem in chunks[1].problems] == ["properties.vmId"]
    raws = [raw for chunk in chunks for raw in chunk.source or ()]
    assert [json.loads(bytes(raw)) for raw in raws] == items, "each has its own text"


@pytest.mark.parametrize("end", ["", ',"nextLink":"https://next"'])
def test_a_large_page_without_items_is_a_page(end: str) -> None:
    body = f'{{"filler":"{"x" * WHOLE_BYTES}","value":[]{end}}}'.encode()
    (chunk,) = decode_instance_page(body)
    assert (chunk.instances, chunk.next_link) == ([], "https://next" if end else None)


def test_half_a_character_at_the_very_end_of_a_slice_is_no_utf_8() -> None:
    end = b"\xc3"
    body = b'{"value":[],"filler":"' + b"x" * (4 * 1024 * 1024)
    with pytest.raises(BrokenAnswer, match="UTF-8"):
        list(decode_instance_page(body[: 4 * 1024 * 1024 - len(end)] + end))
