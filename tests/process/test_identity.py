"""What a person meets on a new network: tokens, proxies and certificates, as processes."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from support.process import run, running

pytestmark = pytest.mark.process

PATH = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/"
WEB = f"{PATH}Microsoft.Compute/virtualMachineScaleSets/web"
WEB_JSON = "/00000000-0000-0000-0000-000000000000/rg/web"
MANY = "Multiple user assigned identities exist, please specify the clientId of one"
TOKEN = {
    "access_token": "the-machine-s-own",
    "expires_in": "3600",
    "expires_on": "4102444800",
    "resource": "r",
    "token_type": "Bearer",
}


class Loopback(ThreadingHTTPServer):
    """Plays IMDS, the Resource Manager or a proxy: one answer for each beginning of a path."""

    daemon_threads = True

    def __init__(self, **answers: tuple[int, Any]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = {name.replace("_", "/"): answer for name, answer in answers.items()}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Loopback

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.path} {self.headers.get('Authorization', '')}")
        known = self.server.answers.items()
        status, body_of = next((found for part, found in known if part in self.path), (404, None))
        body = json.dumps(body_of).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def served(**answers: tuple[int, Any]) -> Iterator[Loopback]:
    with Loopback(**answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def configured(folder: Path, azure: Loopback, **credential: str) -> None:
    """Write a configuration of one set on that server."""
    settings = {
        "azure": {
            "cloud": "custom",
            "endpoint": azure.url,
            "audience": azure.url,
            "authority_host": "https://login.example.invalid",
            "credential": credential,
        },
        "scale_sets": [{"id": WEB}],
    }
    (folder / "config.yaml").write_text(json.dumps(settings))


SET = {"id": WEB, "name": "web", "location": "westeurope", "sku": {"capacity": 1}}
INSTANCES = {"value": [{"instanceId": "0", "id": f"{WEB}/virtualMachines/0"}]}


def test_a_machine_s_own_token_is_taken_from_it_and_from_no_proxy(tmp_path: Path) -> None:
    with (
        served(_virtualMachines=(200, INSTANCES), _web=(200, SET)) as azure,
        served(_metadata=(200, TOKEN)) as imds,
        served(_metadata=(200, TOKEN | {"access_token": "of-the-proxy-s-machine"})) as proxy,
    ):
        configured(tmp_path, azure, type="managed_identity")
        ended = run(
            "--once",
            folder=tmp_path,
            environment={
                "AZURE_POD_IDENTITY_AUTHORITY_HOST": imds.url,
                **dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), proxy.url),
            },
        )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert proxy.asked == []
    assert azure.asked
    assert all(asked.endswith("Bearer the-machine-s-own") for asked in azure.asked)


def test_a_machine_with_many_identities_is_asked_to_name_one(tmp_path: Path) -> None:
    refusal = {"error": "invalid_request", "error_description": MANY}
    with served(_metadata=(400, refusal)) as imds:
        configured(tmp_path, imds, type="managed_identity")
        ended = run(
            "--once",
            folder=tmp_path,
            environment={"AZURE_POD_IDENTITY_AUTHORITY_HOST": imds.url},
        )
    assert ended.returncode == 1
    assert f"HTTP 400: invalid_request: {MANY}" in ended.stderr
    assert "azure.credential.client_id" in ended.stderr


def test_an_answer_of_the_cli_that_cannot_be_read_names_the_cli(tmp_path: Path) -> None:
    (tmp_path / "az").write_text('#!/bin/sh\necho \'{"accessToken":"t","expiresOn":null}\'\n')
    (tmp_path / "az").chmod(stat.S_IRWXU)
    with served() as azure:
        configured(tmp_path, azure, type="azure_cli")
        ended = run("--once", folder=tmp_path, environment={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert ended.returncode == 1
    assert "Azure CLI" in ended.stderr
    assert "TypeError" not in ended.stderr


def test_a_long_answer_of_azure_reaches_log_and_json_with_its_end(tmp_path: Path) -> None:
    versions = ", ".join(f"{year}-{month:02}-01" for year in range(2012, 2021) for month in (1, 6))
    text = f"No registered resource provider found. The supported api-versions are '{versions}'."
    refusal = {"error": {"code": "NoRegisteredProviderFound", "message": text + "x" * 700}}
    (tmp_path / "token").write_text("a-token-of-ours")
    with served(_web=(400, refusal)) as azure:
        configured(tmp_path, azure, type="static", token_file=str(tmp_path / "token"))
        with running(folder=tmp_path) as exporter:
            exporter.wait_for_log(r"scale set failing.*2020-06-01.*azure\.api_version")
            told = json.loads(exporter.get(f"/api/v1/scale_sets{WEB_JSON}"))["poll_failure"]
            assert exporter.stop() == 0
    assert text in told["message"]
    assert len(told["message"]) > 1024
    assert "set azure.api_version" in told["message"]
