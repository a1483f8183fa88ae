"""The page of all families: their headers in both formats, and which of them are on it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from exporter.metrics.catalogue import CATALOGUE
from exporter.polling.poller import Poller
from exporter.polling.target_state import TargetState
from support.answers import instance
from support.source import FakeSource, page

HEADS = re.compile(r"# HELP (\S+) (.+)\n# TYPE (\S+) (\S+)\n([^{]+){")


@pytest.mark.parametrize("openmetrics", [False, True])
async def test_each_family_on_the_page_has_its_help_and_type_before_its_lines(
    poller: Poller, source: FakeSource, new_record: Callable[..., TargetState], *, openmetrics: bool
) -> None:
    source.pages["web"] = [page(instance({}))]
    await poller.poll(new_record("web"))
    text = poller.served.page(openmetrics=openmetrics).text.decode()
    heads = HEADS.findall(text)
    assert len(heads) == text.count("# HELP") == text.count("# TYPE")
    declared = {family.name: family for family in CATALOGUE}
    kinds = set()
    for name, help_text, typed, kind, sample in heads:
        family = declared[sample]
        kinds.add(kind)
        in_header = sample.removesuffix("_total") if openmetrics else sample
        assert (name, typed) == (in_header, in_header)
        assert (help_text, kind) == (family.help, family.kind)
    assert kinds == {"gauge", "counter"}


async def test_a_page_holds_what_was_named_in_the_catalogues_order_and_nothing_else(
    poller: Poller, source: FakeSource, new_record: Callable[..., TargetState]
) -> None:
    source.pages["web"] = [page(instance({}))]
    for name in ("web", "jobs"):
        await poller.poll(new_record(name))
    wanted = ["azure_vmss_up", "azure_vmss_instances"]
    text = poller.served.page(wanted[::-1]).text.decode()
    shown = [line.partition("{")[0] for line in text.splitlines() if not line.startswith("#")]
    order = [family.name for family in CATALOGUE if family.name in wanted]
    assert shown == [name for name in order for _ in ("web", "jobs")]
    assert poller.served.page(["azure_vmss_unheard_of"]).text == b""
    assert poller.served.page(wanted).series == 4
