"""Every reason of a failed poll has its advice."""

from __future__ import annotations

import pytest

from exporter.azure.errors import REASONS
from exporter.web.pages.advice import advice_for


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_every_reason_has_advice_of_its_own(reason: str) -> None:
    assert advice_for(reason) != advice_for("no such reason")


def test_a_reason_of_another_version_has_some() -> None:
    assert advice_for("no such reason") == "See the exporter's log."
