"""The example file and the page about the configuration are true and complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from exporter.configuration import (
    Azure,
    Configuration,
    Credential,
    Discovery,
    Metrics,
    Model,
    NamedCredential,
    Polling,
    ResourceGraph,
    ScaleSet,
    Web,
    load,
)

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = (ROOT / "config.example.yaml").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
SECTIONS = (
    Configuration,
    Azure,
    Credential,
    NamedCredential,
    Polling,
    ScaleSet,
    Discovery,
    Metrics,
    ResourceGraph,
    Model,
    Web,
)
ENVIRONMENT = {
    "AZURE_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000000",
    "AZURE_TENANT_ID": "22222222-2222-2222-2222-222222222222",
    "AZURE_CLIENT_ID": "11111111-1111-1111-1111-111111111111",
}
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_example_loads() -> None:
    configuration = load(EXAMPLE, environment=ENVIRONMENT)

    assert [target.scale_set.name for target in configuration.targets()] == ["web", "jobs"]


def test_the_example_shows_the_defaults() -> None:
    configuration = load(EXAMPLE, environment=ENVIRONMENT)

    assert configuration.azure == Azure()
    assert configuration.polling == Polling()
    assert configuration.metrics == Metrics(tags=("team", "env"))
    assert configuration.web == Web()


@pytest.mark.parametrize("text", [EXAMPLE, PAGE], ids=["example", "page"])
def test_every_key_is_described(text: str) -> None:
    for section in SECTIONS:
        for name in section.model_fields:
            assert re.search(rf"^[-#\[ ]*{name}:", text, re.MULTILINE), f"{name} is missing"


@pytest.mark.parametrize("block", BLOCKS)
def test_every_yaml_block_of_the_page_loads(block: str) -> None:
    assert load(block, environment=ENVIRONMENT).targets()


def test_the_page_has_yaml_blocks() -> None:
    assert len(BLOCKS) == PAGE.count("```yaml") > 0


def test_the_defaults_on_the_page_are_the_defaults() -> None:
    text = "\n".join(
        f"{match[1]}: {match[2]}"
        for section in ("polling", "metrics")
        for match in re.finditer(
            r"^\[ (\w+): <\w+> \| default = (.*) \]$",
            PAGE.partition(f"## `<{section}>`")[2].partition("\n## ")[0],
            re.MULTILINE,
        )
    )
    told = yaml.safe_load(text)
    polling = {name: told[name] for name in Polling.model_fields}

    assert Polling.model_validate(polling) == Polling()
    assert told["state_sets"] == Metrics().state_sets
    assert told["max_series"] == Metrics().max_series
