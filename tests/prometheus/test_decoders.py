"""The page's one gzip member is read alike by curl, zlib and Python's gzip, byte for byte."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import urllib.request
import zlib
from pathlib import Path

import pytest

from support.answers import SUBSCRIPTION, samples
from support.process import running
from support.simulated import configured, simulated_azure
from support.waiting import eventually

pytestmark = [pytest.mark.process, pytest.mark.prometheus]

# Enough for several chunks per family, and for more than one chunk on the wire.
FLEET = f"""\
subscription_id: {SUBSCRIPTION}
limits: {{enabled: false}}
scale_sets:
  - {{name: web, resource_group: rg-web, size: 450, extensions: [CustomScript]}}
  - {{name: batch, resource_group: rg-web, size: 130}}
"""


def curl(*arguments: str) -> bytes:
    program = shutil.which("curl")
    if program is None:
        pytest.skip("curl is not installed")
    command = [program, "--silent", "--show-error", "--fail", "--globoff", *arguments]
    return subprocess.run(command, capture_output=True, check=True, timeout=30).stdout


def test_every_decoder_reads_the_same_text(tmp_path: Path) -> None:
    with simulated_azure(tmp_path, FLEET) as url:
        flag = configured(tmp_path, url, "web", "batch", polling="interval: 1h")
        with running(flag) as exporter:

            def all_up() -> bool | None:
                found = samples(exporter.get("/metrics?name[]=azure_vmss_up"))
                return True if set(found.values()) == {1.0} else None

            assert eventually(all_up, seconds=30)
            names = ("instance_info", "instance_power_state", "extension_state", "instances")
            page = exporter.url + "/metrics?" + "&".join(f"name[]=azure_vmss_{n}" for n in names)
            plain = curl(page)
            assert plain.count(b"azure_vmss_instance_info{") == 580
            assert len(plain) > 1_000_000

            assert curl("--compressed", page) == plain
            request = urllib.request.Request(page, headers={"Accept-Encoding": "gzip"})
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert answer.headers["Content-Encoding"] == "gzip"
                member = answer.read()
            assert gzip.decompress(member) == plain
            decompressor = zlib.decompressobj(zlib.MAX_WBITS | 16)
            assert decompressor.decompress(member) == plain
            assert (decompressor.eof, decompressor.unused_data) == (True, b"")
