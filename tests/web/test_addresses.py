"""The forms of `--web.listen-address`."""

from __future__ import annotations

import pytest

from exporter.web.addresses import ListenAddress, url_of


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (":10048", None, 10048),
        (":65535", None, 65535),
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("localhost:80", "localhost", 80),
        ("[::1]:9090", "::1", 9090),
        ("[::]:9090", "::", 9090),
    ],
)
def test_addresses_are_read(text: str, host: str | None, port: int) -> None:
    assert ListenAddress.parse(text) == ListenAddress(host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10048",
        "::1:80",
        "host:",
        "host:port",
        ":65536",
        ":-1",
        ":\u0661",
        ":1_0",
        "[::1:80",
        "::1]:80",
    ],
)
def test_what_is_no_address_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        ListenAddress.parse(text)


def test_a_wildcard_is_shown_as_an_address_that_opens() -> None:
    assert url_of("0.0.0.0", 1) == "http://localhost:1"
    assert url_of("::", 1) == "http://localhost:1"
    assert url_of("", 1) == "http://localhost:1"
    assert url_of("fe80::1%eth0", 1) == "http://[fe80::1%25eth0]:1"
    assert url_of("10.0.0.1", 1) == "http://10.0.0.1:1"
    assert url_of("::1", 1) == "http://[::1]:1"
