"""One file per mistake; the exact lines wanted stand beside it, under the same name."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.configuration import ConfigurationError, load
from exporter.configuration.document import read_document
from exporter.configuration.wording import describe

FIXTURES = Path(__file__).parent.parent / "fixtures" / "config"
BAD = sorted(FIXTURES.glob("bad-*.yaml"))


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_every_mistake_has_its_exact_message(path: Path) -> None:
    expected = tuple(path.with_suffix(".txt").read_text(encoding="utf-8").splitlines())

    with pytest.raises(ConfigurationError) as raised:
        load(
            path.read_text(encoding="utf-8"),
            environment={},
            reserved_labels={"scale_set", "sku"},
        )

    assert raised.value.problems == expected
    assert str(raised.value) == "\n".join(expected)


def test_every_expectation_has_its_file() -> None:
    expectations = {path.stem for path in FIXTURES.glob("bad-*.txt")}

    assert {path.stem for path in BAD} == expectations
    assert expectations


def test_nothing_of_the_file_is_chained_to_the_error() -> None:
    for name in ("bad-many", "bad-yaml-syntax", "bad-duration"):
        with pytest.raises(ConfigurationError) as raised:
            load((FIXTURES / f"{name}.yaml").read_text(encoding="utf-8"), environment={})
        assert raised.value.__cause__ is None
        assert raised.value.__context__ is None


def test_an_error_that_pydantic_may_add_one_day_is_a_problem_too() -> None:
    document = read_document("polling: {interval: 30s}", {})

    problem = describe(
        {"type": "brand_new", "loc": ("polling", "interval"), "msg": "", "input": None}, document
    )

    assert str(problem) == "polling.interval: is not valid"
