"""Short ways to write Azure's answers and to read expositions, for tests."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.azure.decode import decode_instance_page
from exporter.metrics.family import FamilyFilter
from exporter.metrics.instance_json import describe
from exporter.metrics.mapper import MappedInstances, Mapper, TargetMemory
from exporter.model.instance_view import Instance, InstancePage
from exporter.model.scale_set import ScaleSetId, Target

ROOT = Path(__file__).parents[2]
RECORDINGS = Path(os.environ.get("AZURE_VMSS_RECORDINGS", ROOT.parent / "shared" / "recordings"))
SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
WEB = ScaleSetId(SUBSCRIPTION, "rg-web", "web")
WEB_TARGET = Target(WEB, 60.0)

needs_recordings = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason="Azure's recorded answers are not here"
)


def instance(view: Any = None, *, instance_id: str = "0", **fields: Any) -> Instance:
    """An item of Azure's list with that instance view; `properties` come as keywords too."""
    properties = fields.pop("properties", {})
    item = {"instanceId": instance_id, "properties": {"instanceView": view, **properties}}
    return msgspec.convert({**item, **fields}, Instance)


def decode_page(body: bytes) -> InstancePage:
    """A page of Azure's list, its chunks together."""
    chunks = list(decode_instance_page(body))
    return InstancePage(
        instances=[found for chunk in chunks for found in chunk.instances],
        problems=[problem for chunk in chunks for problem in chunk.problems],
        lost=sum(chunk.lost for chunk in chunks),
        next_link=chunks[-1].next_link,
    )


def map_instances(
    *instances: Instance,
    target: Target = WEB_TARGET,
    memory: TargetMemory | None = None,
    mapper: Mapper | None = None,
) -> MappedInstances:
    """Map one walk over the instances; every family is on unless a mapper is given."""
    mapper = mapper or Mapper(families=FamilyFilter(opt_in=("*",)))
    mapping = mapper.start(target, memory or TargetMemory())
    for _ in mapping.steps(InstancePage(instances=list(instances), problems=[])):
        pass
    return mapping.finish()


def described(
    mapped: MappedInstances, *, messages: bool = True, spellings: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    """The JSON of a walk's instances, as the endpoint shows it."""
    chunks = describe(mapped.details, scale_set=WEB, spellings=spellings or {}, messages=messages)
    found: list[dict[str, Any]] = json.loads(b"".join(chunks))
    return found


def text_of(mapped: MappedInstances, *families: str) -> str:
    """The sample lines of the named families, or of all, without the set's identity labels."""
    names = families or tuple(mapped.all_lines)
    text = "".join(lines_of(mapped, name) for name in names)
    text = re.sub(r'subscription_id="[^"]*",resource_group="[^"]*",scale_set="[^"]*",?', "", text)
    return re.sub(r"{}", "", text)


def lines_of(mapped: MappedInstances, family: str) -> str:
    """The sample lines of one family; empty where it has none."""
    block = mapped.all_lines.get(family)
    return block.text.decode() if block else ""


def samples(page: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample of a text page, by name and labels; a repeated one is an error."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"served twice: {sample}"
            found[key] = sample.value
    return found


def recording(path: Path) -> dict[str, Any]:
    """One recorded answer, as its README describes it."""
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded
