"""Any answer of roughly the right shape maps, without duplicates, to text that parses back."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from exporter.exposition.text_format import header, label_pairs, number
from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.family import FamilyFilter
from exporter.metrics.mapper import MappedInstances, Mapper
from exporter.metrics.statuses import timestamp_of, timestamp_text
from exporter.model.scale_set import Target
from support.answers import WEB, decode_page, lines_of, map_instances, samples
from support.examples import examples

# Control characters and lone surrogates are Azure's never, but a fuzzer's always.
words = st.one_of(
    st.sampled_from(["", "a", "A", 'q"uote', "back\\slash", "new\nline", "é", "\u2028", "\x00"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
codes = st.one_of(
    st.builds(
        "/".join,
        st.lists(
            st.sampled_from(
                [
                    "ProvisioningState",
                    "PowerState",
                    "powerstate",
                    "OSState",
                    "HealthState",
                    "EncryptionState",
                    "ComponentStatus",
                    "failed",
                    "Running",
                    "-1",
                    "21",
                    "",
                    "<x>",
                ]
            ),
            max_size=4,
        ),
    ),
    words,
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(-3, 9), st.floats(allow_nan=False), words)
times = st.one_of(st.just("2024-07-08T07:27:29.3739913+00:00"), words, scalars)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with any of these fields, each rarely of a wrong type."""
    return st.fixed_dictionaries({}, optional={k: v | scalars for k, v in fields.items()})


statuses = st.lists(
    st.none()
    | some(
        code=codes,
        level=st.sampled_from(["Info", "warning", "ERROR", "Odd"]),
        message=words,
        time=times,
    ),
    max_size=4,
)
views = some(
    platformFaultDomain=scalars,
    platformUpdateDomain=scalars,
    platformUpgradeDomain=scalars,
    statuses=statuses,
    vmAgent=some(
        vmAgentVersion=words,
        statuses=statuses,
        extensionHandlers=st.lists(some(type=words, status=some(code=codes)), max_size=3),
    ),
    extensions=st.lists(
        some(name=words, type=words, statuses=statuses, substatuses=statuses), max_size=3
    ),
    disks=st.lists(some(name=words, statuses=statuses), max_size=3),
    vmHealth=some(status=some(code=codes)),
    rdpThumbPrint=words,
    maintenanceRedeployStatus=some(maintenanceWindowStartTime=times),
)
items = some(
    id=words,
    instanceId=words,
    name=words,
    zones=st.lists(st.none() | words, max_size=2),
    properties=some(
        instanceView=views,
        provisioningState=scalars,
        latestModelApplied=st.booleans(),
        protectionPolicy=some(protectFromScaleIn=st.booleans()),
    ),
)
answers = st.fixed_dictionaries({"value": st.lists(items | scalars, max_size=4)})


def new_mapper() -> Mapper:
    return Mapper(full=True, families=FamilyFilter(opt_in=("*",)))


def mapped_answer(answer: dict[str, Any], mapper: Mapper | None = None) -> MappedInstances:
    page = decode_page(msgspec.json.encode(answer))
    mapper = mapper or new_mapper()
    target = Target(WEB, 60.0, (("team", 'a "b"\\\n'),))
    return map_instances(*page.instances, target=target, mapper=mapper)


def sample_lines(page: str) -> list[str]:
    """The samples as prometheus_client reads them, written again."""
    return [
        f"{sample.name}{{{label_pairs(sample.labels, sample.labels.values())}}} "
        f"{number(sample.value)}"
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    ]


@examples(300)
@given(answers)
def test_any_answer_maps_to_text_that_parses_back_without_duplicates(answer: Any) -> None:
    mapped = mapped_answer(answer)
    page = "".join(
        header(family.name, family.kind, family.help) + lines_of(mapped, family.name)
        for family in CATALOGUE
        if family.name in mapped.all_lines
    )
    found = samples(page)
    assert len(found) == sum(block.lines for block in mapped.all_lines.values())
    assert sample_lines(page) == [line for line in page.split("\n") if line and line[0] != "#"]
    instances = mapped.instances
    assert {v for (name, _), v in found.items() if name == "azure_vmss_instances"} == {instances}
    by_power_state = sum(
        value for (name, _), value in found.items() if name == "azure_vmss_instances_by_power_state"
    )
    assert by_power_state == instances
    infos = [labels for name, labels in found if name == "azure_vmss_instance_info"]
    assert len(infos) == instances


@examples(50)
@given(answers)
def test_the_same_answer_gives_the_same_bytes(answer: Any) -> None:
    assert mapped_answer(answer) == mapped_answer(answer)


USED_MAPPER = new_mapper()


@examples(300)
@given(answers)
def test_what_the_mapper_remembers_of_other_answers_changes_nothing(answer: Any) -> None:
    assert mapped_answer(answer, USED_MAPPER) == mapped_answer(answer)


moments = st.one_of(
    times.filter(lambda time: isinstance(time, str)),
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.from_regex(
        r"(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,9})?"
        r"(Z|[+-][0-9]{2}:[0-9]{2})?",
        fullmatch=True,
    ),
)


@examples(500)
@given(moments)
def test_the_quick_way_to_a_timestamp_gives_what_the_parser_gives(text: str) -> None:
    written = timestamp_text(text)
    assert (None if written is None else float(written)) == timestamp_of(text)
