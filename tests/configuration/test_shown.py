"""What `/config` shows: this file → this YAML, without a secret."""

from __future__ import annotations

import pytest

from exporter.configuration import ConfigurationError
from exporter.configuration import shown as module
from exporter.configuration.shown import ShownConfiguration, shown

FILE = """\
# a comment with a-secret
azure:
  credential: {type: client_secret, tenant_id: ten, client_id: "${ID}", client_secret: a-secret}
  endpoint: "https://user:a-secret@host.example/path?x=1"
credentials:
  other: {client_secret: "pa${A}ss"}
polling: {interval: 30s}
scale_sets:
  - {name: web, labels: {team: "of ${TEAM}", url: "http://host/?q=a@b"}}
  - name: null
"""
SHOWN = """\
azure:
  credential:
    type: client_secret
    tenant_id: ten
    client_id: <secret>
    client_secret: <secret>
  endpoint: https://<secret>@host.example/path?x=1
credentials:
  other:
    client_secret: <secret>
polling:
  interval: 30s
scale_sets:
- name: web
  labels:
    team: of <secret>
    url: http://host/?q=a@b
- name: null
"""


def test_secrets_values_of_the_environment_and_users_in_addresses_are_left_out() -> None:
    assert shown(FILE) == SHOWN


@pytest.mark.parametrize(
    "text",
    [
        "azure: {credential: a-secret}\n",
        "azure: {credential: {client_secret: [a-secret]}}\n",
        "azure: {credential: {client_secret: {a-secret: a-secret}}}\n",
        "credentials: {x: a-secret}\n",
        "credentials: a-secret\n",
        "azure: {endpoint: 'https://a:a-secret@@host'}\n",
    ],
)
def test_what_stands_in_the_place_of_a_secret_is_not_shown_either(text: str) -> None:
    assert "a-secret" not in shown(text).replace("a-secret: <secret>", "")


async def test_it_is_made_once_for_each_text(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def making(text: str) -> str:
        made.append(text)
        return shown(text)

    monkeypatch.setattr(module, "shown", making)
    configuration = ShownConfiguration("polling: {interval: 30s}")
    for _ in range(3):
        assert await configuration.read() == "polling:\n  interval: 30s\n"
    configuration.text = "web: {messages: false}"
    assert await configuration.read() == "web:\n  messages: false\n"
    assert len(made) == 2
    configuration.text = ""
    with pytest.raises(ConfigurationError):
        await configuration.read()
