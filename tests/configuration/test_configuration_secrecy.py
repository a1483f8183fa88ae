"""Neither secrets nor the environment's values are ever shown."""

from __future__ import annotations

import traceback

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter.configuration import Configuration, ConfigurationError, load

SECRET = "hunter2"

_FIELDS = ("type", "tenant_id", "client_id", "client_secret_file", "certificate_path", "token_file")
_LEAVES = st.sampled_from(
    [SECRET, f"{SECRET}\n", f"${{{SECRET}}}", f"a${{{SECRET}}}", f"!{SECRET}"]
)
_SECRETS = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_LEAVES, inner, max_size=2),
    max_leaves=4,
)
_OTHERS = st.dictionaries(
    st.sampled_from(_FIELDS), st.sampled_from(["client_secret", "x", 5, None])
)


def _shown(text: str, environment: dict[str, str]) -> str:
    """Everything that a log could hold of reading the text."""
    try:
        return repr(load(text, environment=environment))
    except ConfigurationError as error:
        return "".join([*traceback.format_exception(error), repr(error), *error.problems])


@given(secret=_SECRETS, others=_OTHERS)
def test_a_secret_is_never_shown(secret: object, others: dict[str, object]) -> None:
    text = yaml.safe_dump({"azure": {"credential": {**others, "client_secret": secret}}})
    shown = _shown(text, {})

    # A value that is a variable and nothing else is no secret: its name helps, and it is shown.
    if secret != f"${{{SECRET}}}":
        assert SECRET not in shown


@pytest.mark.parametrize(
    "written",
    [
        f"*{SECRET}",
        f"&{SECRET}",
        f"!{SECRET} a",
        f"!{SECRET}! a",
        f"!!{SECRET} a",
        f"!!int {SECRET}",
        f"!!binary {SECRET}",
        f"[{SECRET}",
        f"'{SECRET}",
        f"{SECRET}: {SECRET}: a",
        f"{{{SECRET}: 1, {SECRET}: 2}}",
        f"%{SECRET}",
        f"@{SECRET}",
        f'"\\q{SECRET}"',
        f'"{SECRET}\\ud800"',
        f"{SECRET}\x07",
    ],
)
def test_a_secret_is_not_shown_where_the_yaml_is_broken(written: str) -> None:
    for field in ("client_secret", "{client_secret"):
        assert SECRET not in _shown(f"azure:\n  credential:\n    {field}: {written}\n", {})


_PLACES = """
azure:
  cloud: {0}
  endpoint: {0}
  audience: {0}
  authority_host: {0}
  api_version: {0}
  detail: {0}
  credential: {{type: {0}, tenant_id: {0}, client_secret: {0}}}
polling: {{interval: {0}, timeout: {0}, concurrency: {0}, budget_share: {0}}}
scale_sets:
  - {0}
  - id: {0}
    interval: {0}
    labels: {0}
  - subscription_id: {0}
    resource_group: {0}
    name: {0}
    labels: {{team: {0}}}
discovery: [{{subscriptions: [{0}], tags: {{a: {0}}}, refresh: {0}}}]
metrics: {{deny: {0}, state_sets: {0}, tags: [{0}, {0}], max_series: {0}}}
web: {0}
"""


@pytest.mark.parametrize(
    "value", [SECRET, f"http://{SECRET}@{SECRET}/", f"{SECRET}\n{SECRET}", f"{SECRET}\udcff", ""]
)
def test_a_value_of_the_environment_is_never_shown_in_a_message(value: str) -> None:
    shown = _shown(_PLACES.format('"${VARIABLE}"'), {"VARIABLE": value})

    assert "'${VARIABLE}'" in shown or "\udcff" in value
    assert SECRET not in shown


def test_the_configuration_does_not_show_its_values() -> None:
    configuration = load(
        """
        azure:
          cloud: custom
          endpoint: https://hunter2.example.com
          audience: https://hunter2.example.com
          authority_host: https://hunter2.example.com
          credential:
            type: client_secret
            tenant_id: hunter2
            client_id: hunter2
            client_secret: hunter2
        scale_sets:
          - subscription_id: 00000000-0000-0000-0000-000000000000
            resource_group: hunter2
            name: hunter2
            labels: {team: hunter2}
        """,
        environment={},
    )

    credential = configuration.azure.credential
    parts = (configuration, configuration.azure, credential, configuration.scale_sets)
    assert isinstance(configuration, Configuration)
    assert not any(SECRET in f"{part!r} {part!s} {part}" for part in parts)
    assert credential.client_secret is not None
    assert credential.client_secret.get_secret_value() == SECRET
