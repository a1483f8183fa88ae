"""What is advised on a certificate that is not trusted, by OpenSSL's number of the reason."""

from __future__ import annotations

import ssl

import pytest

from exporter.azure.connection_failures import Asked, connection_failure
from exporter.azure.errors import Unreachable

CLOCK, RENEWED = "clock", "have the server's certificate renewed"
ADDRESS, CA_FILE, STRICT = "check the address", "the file of azure.ca_file", "azure.tls_strict"


@pytest.mark.parametrize(
    ("number", "advised"),
    [
        *((number, CA_FILE) for number in (2, 18, 19, 20, 21, 27)),
        (9, CLOCK),
        (10, RENEWED),
        (62, ADDRESS),
        (64, ADDRESS),
        *((number, STRICT) for number in range(80, 95)),
        (79, "check the server's certificate"),
        (95, "check the server's certificate"),
        (1, "check the server's certificate"),
    ],
)
def test_each_reason_has_its_advice(number: int, advised: str) -> None:
    error = ssl.SSLCertVerificationError()
    error.verify_code, error.verify_message = number, "as OpenSSL says."
    failure = connection_failure(error, Asked("login.example:443"))
    assert isinstance(failure, Unreachable)
    assert "login.example:443 is not trusted: as OpenSSL says" in failure.message
    assert advised in failure.advice
