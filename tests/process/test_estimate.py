"""`--config.check --estimate`, and the report of `--once` over a fleet that is found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.answers import SUBSCRIPTION, samples
from support.process import run
from support.simulated import configured, simulated_azure

pytestmark = pytest.mark.process

FLEET = f"""\
subscription_id: {SUBSCRIPTION}
scale_sets:
  - {{name: web, resource_group: rg-web, size: 30, extensions: [A, B, C]}}
  - {{name: loose, resource_group: rg-web, size: 4, orchestration: flexible}}
"""


def row(text: str, name: str) -> list[str]:
    """The cells of a row, by the end of its name."""
    (found,) = (line for line in text.splitlines() if re.match(rf"\S*/{name} ", line))
    return found.split()[1:]


def test_it_tells_what_each_set_costs_and_all_together(tmp_path: Path) -> None:
    with simulated_azure(tmp_path, FLEET) as url:
        flag = configured(tmp_path, url, "web", "loose", polling="interval: 60s")
        ended = run("--config.check", "--estimate", flag, folder=tmp_path)
        page = samples(run("--once", flag, folder=tmp_path).stdout)
    assert ended.returncode == 0, ended.stderr
    assert "good, 2 scale sets" in ended.stdout
    series = sum(1 for name, _ in page if not name.startswith("azure_vmss_exporter_"))
    of_web = sum(1 for _, labels in page if ("scale_set", "web") in labels)
    mode, instances, its_series, _, calls, interval, unit = row(ended.stdout, "web")
    assert (mode, instances, its_series) == ("uniform", "30", f"{of_web:,}")
    assert (calls, interval, unit) == ("1.00", "60", "s")
    assert row(ended.stdout, "loose")[:2] == ["flexible", "4"]
    (total,) = (line for line in ended.stdout.splitlines() if line.startswith("2 sets "))
    assert total.split()[2:4] == ["34", f"{series:,}"]
    assert "westeurope (uniform): 1.0 of 180 lists a minute, 30 of 5,000 VM views" in ended.stdout
    assert "westeurope (flexible): 1.0 of 150 lists a minute" in ended.stdout
    assert f"max_series: {series:,} of 500,000 series" in ended.stdout
    assert 'advice: metrics.deny: ["azure_vmss_extension_*"]' in ended.stdout
    assert "advice: azure.detail: full" in ended.stdout


def test_the_series_that_the_advice_saves_are_saved(tmp_path: Path) -> None:
    with simulated_azure(tmp_path, FLEET) as url:
        flag = configured(tmp_path, url, "web", "loose")
        full = run("--config.check", "--estimate", flag, folder=tmp_path).stdout
        with Path(flag.partition("=")[2]).open("a", encoding="utf-8") as file:
            file.write("metrics: {state_sets: active}\n")
        active = run("--config.check", "--estimate", flag, folder=tmp_path).stdout
    found = re.search(r"state_sets: active saves ([\d,]+) series", full)
    assert found
    assert "state_sets" not in active
    before, after = (
        int(re.findall(r"max_series: ([\d,]+) of", text)[0].replace(",", ""))
        for text in (full, active)
    )
    assert before - after == int(found[1].replace(",", ""))


def test_it_tells_where_the_budget_stretches_and_the_limit_suppresses(tmp_path: Path) -> None:
    with simulated_azure(tmp_path, FLEET) as url:
        flag = configured(tmp_path, url, "web", "loose", polling="interval: 1s, budget_share: 0.01")
        with Path(flag.partition("=")[2]).open("a", encoding="utf-8") as file:
            file.write("metrics: {max_series: 400}\n")
        ended = run("--config.check", "--estimate", flag, folder=tmp_path)
    assert "2 sets are polled less often than requested" in ended.stdout
    assert "max_series suppresses the instance series of 1 of the largest sets" in ended.stdout


def test_a_set_that_fails_is_named_and_makes_the_exit_code(tmp_path: Path) -> None:
    with simulated_azure(tmp_path, FLEET) as url:
        flag = configured(tmp_path, url, "web", "typo")
        ended = run("--config.check", "--estimate", flag, folder=tmp_path)
    assert ended.returncode == 1
    assert "rg-web/typo: " in ended.stderr
    assert row(ended.stdout, "typo")[1] == "0"


def test_a_bad_file_is_not_estimated_and_the_flag_goes_with_the_check(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("nonsense: 1\n")
    ended = run("--config.check", "--estimate", folder=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    ended = run("--estimate", folder=tmp_path)
    assert ended.returncode == 2
    assert "--estimate goes with --config.check" in ended.stderr


def test_once_over_a_fleet_that_is_found_reports_on_stderr(tmp_path: Path) -> None:
    ended = run("--demo", "--once", "--log.level=error", folder=tmp_path)
    assert ended.returncode == 0
    assert row(ended.stderr, "web")[:2] == ["uniform", "156"]
    assert "series by group: " in ended.stderr
    assert "series by group: " not in ended.stdout
