"""Answers beyond all measure hold up nothing: readers are served, and a stop is obeyed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from support.answers import SUBSCRIPTION, samples
from support.process import running
from support.simulated import TOKEN, configured
from support.waiting import eventually

pytestmark = pytest.mark.process

STATUS = {"code": "ProvisioningState/succeeded", "level": "Info", "displayStatus": "Ready"}
WORST = {"code": "ProvisioningState/failed/Quota", "level": "Error", "message": "no cores left"}


def answer(count: int) -> bytes:
    statuses: list[Any] = [STATUS] * count
    statuses[count // 2] = WORST
    item = {"instanceId": "0", "properties": {"instanceView": {"statuses": statuses}}}
    return json.dumps({"value": [item]}).encode()


@contextmanager
def azure(folder: Path, body: bytes) -> Iterator[tuple[str, threading.Event]]:
    """Answers every list with that body; the event is set when it has answered a third one."""
    lists: list[str] = []
    third = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_list = "/virtualMachines?" in self.path
            found = body if is_list else b'{"location":"westeurope","sku":{"capacity":1}}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(found)))
            self.end_headers()
            self.wfile.write(found)
            if is_list:
                lists.append(self.path)
            if len(lists) > 2:
                third.set()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    (folder / "token").write_text(TOKEN)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", third
        finally:
            server.shutdown()
            serving.join()


def test_fifty_thousand_statuses_are_served_by_the_worst_while_all_else_goes_on(
    tmp_path: Path,
) -> None:
    with azure(tmp_path, answer(50_000)) as (url, third):
        flag = configured(tmp_path, url, "web", polling="interval: 100ms")
        with running(flag) as exporter:
            failed = "azure_vmss_instance_provisioning_failure{"
            assert eventually(lambda: failed in exporter.get("/metrics") or None, seconds=30)
            path = f"/api/v1/scale_sets/{SUBSCRIPTION}/rg-web/web"
            (found,) = json.loads(exporter.get(path))["instances"]
            assert found["provisioning_state"] == "failed"
            assert "no cores left" in json.dumps(found["azure"])
            assert third.wait(30)
            assert exporter.stop() == 0


def test_six_hundred_thousand_statuses_fail_the_poll_and_nothing_else(tmp_path: Path) -> None:
    with azure(tmp_path, answer(600_000)) as (url, third):
        flag = configured(tmp_path, url, "web", polling="interval: 100ms")
        with running(flag) as exporter:
            assert third.wait(60)
            found = samples(exporter.get("/metrics?name[]=azure_vmss_poll_failure"))
            assert [dict(labels)["reason"] for _, labels in found] == ["broken_answer"]
            assert exporter.stop() == 0
