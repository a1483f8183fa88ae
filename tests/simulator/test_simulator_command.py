"""The simulator as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from simulator.asking import list_path
from support.answers import ROOT

COMMAND = [sys.executable, "-m", "exporter.simulator"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.mark.process
def test_it_prints_its_address_answers_and_stops_on_sigterm(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(
        "scale_sets: [{name: web, resource_group: rg-web, size: 2}]", "utf-8"
    )
    (tmp_path / "token").write_text("from-a-file\n", "utf-8")
    flags = ["--fleet.file=fleet.yaml", "--token-file=token", "--web.listen-address=127.0.0.1:0"]
    with subprocess.Popen(
        [*COMMAND, *flags], cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            address = re.search(r"with 2 instances on (http://127\.0\.0\.1:\d+)$", said.strip())
            assert address, said
            headers = {"Authorization": "Bearer from-a-file"}
            with urlopen(Request(address[1] + list_path("web"), headers=headers)) as answer:
                assert answer.status == 200
            with pytest.raises(HTTPError) as refused:
                urlopen(address[1] + list_path("web"))
            refused.value.close()
            assert refused.value.code == 401
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=5) == 0
        finally:
            process.kill()


@pytest.mark.process
@pytest.mark.parametrize(
    ("text", "flags", "message"),
    [
        (None, [], "fleet.yaml: there is no such file"),
        ("{size: 1}", [], "Extra inputs are not permitted"),
        ("[", [], "fleet.yaml: "),
        ("{}", ["--web.listen-address=nowhere"], "not HOST:PORT"),
        ("{}", ["--token-file=none"], "none: there is no such file"),
    ],
)
def test_bad_input_ends_with_2_and_a_reason(
    tmp_path: Path, text: str | None, flags: list[str], message: str
) -> None:
    if text is not None:
        (tmp_path / "fleet.yaml").write_text(text, "utf-8")
    ended = subprocess.run(
        [*COMMAND, "--fleet.file=fleet.yaml", *flags],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert ended.returncode == 2
    assert message in ended.stderr
