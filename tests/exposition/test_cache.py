"""The page of all families: their headers in both formats, and which of them are on it."""

from __future__ import annotations

import re

import pytest

from exporter.metrics.catalogue import CATALOGUE
from support.answers import instance
from support.clock import FakeClock
from support.polling import Polling
from support.source import FakeSource, page

HEADS = re.compile(r"# HELP (\S+) (.+)\n# TYPE (\S+) (\S+)\n([^{]+){")


@pytest.mark.parametrize("openmetrics", [False, True])
async def test_each_family_on_the_page_has_its_help_and_type_before_its_lines(
    clock: FakeClock, *, openmetrics: bool
) -> None:
    source = FakeSource(clock)
    polling = Polling(source, clock)
    source.pages["web"] = [page(instance({}))]
    await polling.poller.poll(polling.add("web"))
    text = polling.cache.page(openmetrics=openmetrics).text.decode()
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
    clock: FakeClock,
) -> None:
    source = FakeSource(clock)
    polling = Polling(source, clock)
    source.pages["web"] = [page(instance({}))]
    for name in ("web", "jobs"):
        await polling.poller.poll(polling.add(name))
    wanted = ["azure_vmss_up", "azure_vmss_instances"]
    text = polling.cache.page(wanted[::-1]).text.decode()
    shown = [line.partition("{")[0] for line in text.splitlines() if not line.startswith("#")]
    order = [family.name for family in CATALOGUE if family.name in wanted]
    assert shown == [name for name in order for _ in ("web", "jobs")]
    assert polling.cache.page(["azure_vmss_unheard_of"]).text == b""
    assert polling.cache.page(wanted).series == 4
