"""From `azure.credential` to a source of tokens: azure-identity's credentials, or a file."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from azure.identity import aio as identity

from exporter.azure.auth import credentials, token_file, token_sources
from exporter.azure.auth.token_file import FileTokens
from exporter.azure.endpoints import Endpoints
from exporter.azure.errors import Unauthenticated
from exporter.configuration import Credential
from support.azure_room import Wire

ENDPOINTS = Endpoints(
    resource_manager="https://management.azure.com",
    scope="https://management.azure.com/.default",
    authority="https://login.microsoftonline.com",
)

IDENTITY = (
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity"
    "/userAssignedIdentities/web"
)


async def test_a_static_token_is_read_again_when_its_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first\n")
    source = FileTokens(str(path))
    assert await source.get() == "first"
    path.write_text("Bearer second-one")
    assert await source.get() == "second-one"
    # As Kubernetes and careful programs do it: another file under the same name.
    (tmp_path / "new").write_text("thirdthird")
    (tmp_path / "new").replace(path)
    assert await source.get() == "thirdthird"
    await source.close()


async def test_another_file_put_in_place_is_read_though_its_size_and_time_are_the_same(
    tmp_path: Path,
) -> None:
    path, other = tmp_path / "token", tmp_path / "other"
    for file, token in ((path, "first"), (other, "other")):
        file.write_text(token)
        os.utime(file, ns=(1_700_000_000, 1_700_000_000))
    source = FileTokens(str(path))
    assert await source.get() == "first"
    other.replace(path)
    assert await source.get() == "other"


async def test_a_refused_static_token_is_read_again_though_nothing_seems_changed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "token"
    path.write_text("first")
    source = FileTokens(str(path))
    await source.get()
    before = path.stat()
    path.write_text("other")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert await source.get(stale="first") == "other"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"one\ntwo-secret", "one token"),
        ("tökén-secret".encode(), "one token"),
        (b"\xff\xfe-secret", "one token"),
        (b"secret" * 20_000, "too long"),
    ],
)
async def test_a_file_without_a_token_is_reported_without_its_content(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(Unauthenticated, match=said) as failure:
        await FileTokens(str(path)).get()
    assert "secret" not in str(failure.value)


async def test_a_static_token_that_has_not_changed_takes_no_file_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    path.write_text("first")
    source = FileTokens(str(path))
    await source.get()

    def none_left(*_: object, **__: object) -> bytes:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(token_file, "read_file", none_left)
    assert await source.get() == "first"
    with pytest.raises(Unauthenticated, match="Too many open files"):
        await source.get(stale="first")


async def test_a_token_file_that_is_a_pipe_or_endless_is_reported_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unauthenticated, match="it is a pipe"):
        await FileTokens(str(tmp_path / "pipe")).get()
    with pytest.raises(Unauthenticated, match="it is a device"):
        await FileTokens("/dev/zero").get()


async def test_a_token_file_on_a_file_system_that_hangs_does_not_hold_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered = threading.Event()
    monkeypatch.setattr(token_file, "read_file", lambda *_, **__: answered.wait(30))
    with pytest.raises(Unauthenticated, match=r"/mnt/token cannot be read \(no answer within"):
        await FileTokens("/mnt/token", patience=0.01).get()
    answered.set()


async def test_a_missing_token_file_is_reported(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(Unauthenticated, match=r"cannot be read"):
            await FileTokens(str(path)).get()
    with pytest.raises(Unauthenticated, match="not a path"):
        await FileTokens("a\0b").get()


def test_static_tokens_come_from_the_file() -> None:
    settings = Credential(type="static", token_file="/run/token")
    assert isinstance(token_sources.build(settings, ENDPOINTS), FileTokens)


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"type": "default"}, identity.DefaultAzureCredential),
        ({"type": "managed_identity"}, identity.ManagedIdentityCredential),
        ({"type": "managed_identity", "client_id": "c"}, identity.ManagedIdentityCredential),
        (
            {
                "type": "workload_identity",
                "tenant_id": "t",
                "client_id": "c",
                "token_file": __file__,
            },
            identity.WorkloadIdentityCredential,
        ),
        (
            {"type": "client_secret", "tenant_id": "t", "client_id": "c", "client_secret": "s"},
            identity.ClientSecretCredential,
        ),
        ({"type": "azure_cli", "tenant_id": "t"}, identity.AzureCliCredential),
    ],
)
async def test_every_type_is_one_of_azure_identity_s_credentials(
    settings: dict[str, Any], kind: type
) -> None:
    made = credentials.credential(Credential.model_validate(settings), ENDPOINTS)
    assert isinstance(made, kind)
    await made.close()


async def test_a_workload_identity_without_its_variables_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    source = token_sources.build(Credential(type="workload_identity"), ENDPOINTS)
    with pytest.raises(Unauthenticated, match="lacks AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_FED"):
        await source.get()
    await source.close()


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read"), ("\n", "empty"), (b"\xff", "not text")]
)
async def test_a_secret_file_is_read_at_use_and_its_faults_are_reported(
    tmp_path: Path, content: str | bytes | None, said: str
) -> None:
    path = tmp_path / "secret"
    settings = Credential(
        type="client_secret", tenant_id="t", client_id="c", client_secret_file=str(path)
    )
    source = token_sources.build(settings, ENDPOINTS)
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(Unauthenticated, match=said):
        await source.get()
    await source.close()
    path.write_text("fresh\n")
    assert credentials._secret(settings) == "fresh"


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"type": "client_secret", "client_secret_file": "pipe"}, "client_secret_file"),
        ({"type": "client_certificate", "certificate_path": "pipe"}, "certificate_path"),
        ({"type": "workload_identity", "token_file": "pipe"}, "token_file"),
    ],
)
async def test_a_file_of_a_credential_that_is_a_pipe_is_reported_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], name: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)
    given = Credential.model_validate({"tenant_id": "t", "client_id": "c"} | settings)
    source = token_sources.build(given, ENDPOINTS)
    with pytest.raises(Unauthenticated, match=rf"{name} pipe cannot be read \(it is a pipe"):
        await source.get()
    await source.close()


async def test_a_missing_certificate_is_reported(tmp_path: Path) -> None:
    settings = Credential(
        type="client_certificate",
        tenant_id="t",
        client_id="c",
        certificate_path=str(tmp_path / "none.pem"),
    )
    source = token_sources.build(settings, ENDPOINTS)
    with pytest.raises(Unauthenticated, match=r"none\.pem cannot be read"):
        await source.get()
    await source.close()


@pytest.mark.parametrize(
    ("environment", "setting", "parameter"),
    [
        ({}, {"client_id": "the-one"}, "client_id"),
        ({}, {"object_id": "the-one"}, "object_id"),
        ({}, {"resource_id": IDENTITY}, "msi_res_id"),
        ({"IDENTITY_HEADER": "h"}, {"client_id": "the-one"}, "client_id"),
        ({"IDENTITY_HEADER": "h"}, {"object_id": "the-one"}, "object_id"),
        ({"IDENTITY_HEADER": "h"}, {"resource_id": IDENTITY}, "mi_res_id"),
        ({"IMDS_ENDPOINT": "http://127.0.0.1"}, {"resource_id": IDENTITY}, "msi_res_id"),
    ],
)
async def test_a_user_assigned_identity_is_named_as_its_endpoint_wants_it(
    wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    setting: dict[str, str],
    parameter: str,
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        token = {"access_token": "given", "expires_in": "3600", "expires_on": "4102444800"}
        return web.json_response(token | {"resource": "r", **request.query})

    wire.handler = answer
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IMDS_ENDPOINT", "MSI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", wire.origin)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{wire.origin}/token")
    settings = Credential.model_validate({"type": "managed_identity"} | setting)
    source = token_sources.build(settings, ENDPOINTS)
    assert await source.get() == "given"
    await source.close()
    (request,) = wire.seen
    identities = {"client_id", "object_id", "resource_id", "msi_res_id", "mi_res_id"}
    (value,) = setting.values()
    assert {name: request.query[name] for name in identities & set(request.query)} == {
        parameter: value
    }
