"""The command line as users meet it: exit codes and messages."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

import exporter
from exporter import cli, configuration_file
from exporter.flags import LOG_LEVELS
from exporter.runtime import logs
from support.answers import SUBSCRIPTION, samples
from support.process import run
from support.simulated import configured, simulated_azure

pytestmark = pytest.mark.process

GOOD = """\
scale_sets:
  - id: /subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.Compute/virtualMachineScaleSets/web
"""


FLEET = f"""\
subscription_id: {SUBSCRIPTION}
scale_sets:
  - {{name: web, resource_group: rg-web, size: 3}}
"""
HEAVY = ("aiohttp", "azure", "msal", "requests", "cryptography")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"azure-vmss-exporter {exporter.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--novelty"], "unrecognized arguments: --novelty"),
        (["--web.listen-address=nowhere"], "expected host:port"),
        (["--web.listen-address=:70000"], "expected a port"),
        (["--web.telemetry-path=metrics"], "expected a path such as /metrics"),
        (["--web.telemetry-path=/-/ready"], "not another endpoint's"),
        (["--web.telemetry-path=/healthz"], "not another endpoint's"),
        (["--web.telemetry-path=/api/v1"], "not another endpoint's"),
        (["--web.telemetry-path=/%6detrics"], "expected a path"),
        (["--web.telemetry-path=//x"], "expected a path"),
        (["--web.max-requests=-1"], "expected a number from 0 on, got '-1'"),
        (["--web.max-requests=many"], "expected a number from 0 on"),
        (["--log.level=loud"], "invalid choice: 'loud'"),
        (["--config.file="], "--config.file: expected the name of a file, got none"),
        (["--demo", "--config.file=config.yaml"], "leave out --config.file"),
    ],
)
def test_a_bad_flag_is_exit_code_2_and_a_clear_message(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("azure-vmss-exporter: ")
    assert complaint in line


def test_the_log_levels_of_the_flag_are_those_of_the_log() -> None:
    assert set(LOG_LEVELS) == set(logs.LEVELS)


@pytest.mark.parametrize(
    ("flag", "unneeded"),
    [
        ("--version", (*HEAVY, "pydantic", "yaml", "structlog", "prometheus_client", "asyncio")),
        ("--novelty", (*HEAVY, "pydantic", "yaml", "structlog", "prometheus_client", "asyncio")),
        ("--config.check", HEAVY),
    ],
)
def test_what_a_flag_does_not_need_is_not_imported_for_it(
    tmp_path: Path, flag: str, unneeded: tuple[str, ...]
) -> None:
    (tmp_path / "config.yaml").write_text(GOOD)
    ended = run(flag, folder=tmp_path, options=("-X", "importtime"))
    imported = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in ended.stderr.splitlines()
    }
    assert "exporter" in imported
    assert imported & set(unneeded) == set()


def test_config_check_warns_of_patterns_that_match_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        GOOD + "metrics: {deny: [python_*, azure_vmss_upp], opt_in: [nothing]}\n"
    )
    ended = run("--config.check", folder=tmp_path)
    assert (ended.returncode, ended.stdout) == (0, "config.yaml: good, 1 scale set\n")
    assert ended.stderr.splitlines() == [
        "config.yaml: warning: metrics.deny[1]: 'azure_vmss_upp' matches no metric family",
        "config.yaml: warning: metrics.opt_in[0]: 'nothing' matches no metric family",
    ]


def test_config_check_counts_scale_sets_in_good_english(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(GOOD + GOOD.partition("\n")[2].replace("web", "api"))
    assert run("--config.check", folder=tmp_path).stdout == "config.yaml: good, 2 scale sets\n"


def test_config_check_of_a_good_file(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(GOOD)
    ended = run("--config.check", folder=tmp_path)
    assert (ended.returncode, ended.stdout) == (0, "config.yaml: good, 1 scale set\n")


@pytest.mark.parametrize(
    ("settings", "variables", "said"),
    [
        (
            "azure: {ca_file: none.pem}\n",
            {},
            "azure.ca_file: none.pem cannot be read (No such file",
        ),
        ("", {"SSL_CERT_FILE": "config.yaml"}, "SSL_CERT_FILE: config.yaml holds no certificate"),
        ("", {"REQUESTS_CA_BUNDLE": "none.pem"}, "REQUESTS_CA_BUNDLE: none.pem cannot be read"),
        ("", {"HTTPS_PROXY": "http://127.0.0.1:abc"}, "HTTPS_PROXY is not the address of a proxy"),
        ("", {"https_proxy": "socks5://127.0.0.1:1080"}, "HTTPS_PROXY names a proxy of socks5"),
    ],
)
@pytest.mark.parametrize("flags", [["--config.check"], ["--once"], []])
def test_what_a_start_cannot_use_of_the_machine_is_exit_code_2(
    tmp_path: Path,
    settings: str,
    variables: dict[str, str],
    said: str,
    flags: list[str],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(settings + GOOD)
    assert cli.main(flags) == 2
    assert capfd.readouterr().err.startswith(f"config.yaml: {said}")


def test_config_check_tells_every_problem_on_its_own_line(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        GOOD + "    interval: 30 s\npolling:\n  concurency: 3\n  budget_share: 2\n"
    )
    ended = run("--config.check", folder=tmp_path)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert sorted(line.split(": ")[1] for line in ended.stderr.splitlines()) == [
        "polling.budget_share",
        "polling.concurency",
        "scale_sets[0].interval",
    ]


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    ended = run(folder=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr == (
        "config.yaml: cannot be read: No such file or directory; "
        "name the file with --config.file, or try --demo\n"
    )


def test_a_configuration_file_that_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, said in (("pipe", "a pipe"), ("/dev/zero", "a device"), (".", "a directory")):
        ended = run("--config.check", f"--config.file={path}", folder=tmp_path)
        assert ended.returncode == 2
        assert ended.stderr.startswith(f"{path}: cannot be read: it is {said}")


def test_a_configuration_file_without_an_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text(GOOD)
    monkeypatch.setattr(configuration_file, "LARGEST_FILE", len(GOOD) - 1)
    arguments = ["--config.check", f"--config.file={tmp_path}/config.yaml"]
    assert cli.main(arguments) == cli.BAD_INPUT
    assert "it is too long, with more than" in capsys.readouterr().err


def test_a_port_in_use_is_exit_code_2_and_a_clear_message(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("--demo", f"--web.listen-address=127.0.0.1:{port}", folder=tmp_path)
    assert ended.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr
    assert "--web.listen-address" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("host", ["a" * 70, "host.invalid"])
def test_a_host_that_is_none_is_exit_code_2_and_a_clear_message(tmp_path: Path, host: str) -> None:
    ended = run("--demo", f"--web.listen-address={host}:0", folder=tmp_path)
    assert ended.returncode == 2
    assert f"cannot listen on {host}:0" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_check_comes_before_the_demo(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(GOOD)
    ended = run("--demo", "--config.check", folder=tmp_path)
    assert (ended.returncode, ended.stdout) == (0, "config.yaml: good, 1 scale set\n")


def test_once_prints_the_page_without_what_is_about_the_process(tmp_path: Path) -> None:
    ended = run("--demo", "--once", folder=tmp_path)
    found = samples(ended.stdout)
    up = {dict(labels)["scale_set"]: v for (n, labels), v in found.items() if n == "azure_vmss_up"}
    assert up["web"] == 1
    assert up["game-servers"] == 1, "the Flexible one"
    about_the_process = [name for name, _ in found if name.startswith(("process_", "python_"))]
    assert about_the_process == []


def test_once_fails_where_a_set_fails(tmp_path: Path) -> None:
    with simulated_azure(tmp_path, FLEET) as url:
        good = run("--once", configured(tmp_path, url, "web"), folder=tmp_path)
        ended = run("--once", configured(tmp_path, url, "web", "none"), folder=tmp_path)
    assert (good.returncode, ended.returncode) == (0, 1)
    assert good.stderr == ""
    assert len(ended.stderr.splitlines()) == 1
    assert "rg-web/none: " in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--subscription=none"], "expected a subscription id such as"),
        (["--subscription=all", "--demo"], "--subscription stands for a configuration"),
        (["--subscription=all", "--config.file=x"], "--subscription stands for a configuration"),
    ],
)
def test_a_subscription_is_an_id_or_all_and_stands_for_a_configuration(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    ended = run(*arguments, folder=tmp_path)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_subscription_needs_no_file(tmp_path: Path) -> None:
    ended = run("--subscription=all", "--config.check", folder=tmp_path)
    assert ended.returncode == 0
    assert "and those that discovery finds" in ended.stdout


def test_once_over_a_fleet_that_is_found(tmp_path: Path) -> None:
    with simulated_azure(tmp_path, FLEET) as url:
        text = Path(configured(tmp_path, url, "web").partition("=")[2]).read_text()
        found = (
            text[: text.index("scale_sets:")] + "discovery: [{subscriptions: [all], names: [%s]}]\n"
        )
        for name, printed in (("web", True), ("none", False)):
            (tmp_path / "found.yaml").write_text(found % name)
            ended = run("--once", f"--config.file={tmp_path / 'found.yaml'}", folder=tmp_path)
            assert ended.returncode == 0, ended.stderr
            assert ("azure_vmss_up{" in ended.stdout) is printed
            assert ("found no scale set" in ended.stderr) is not printed
