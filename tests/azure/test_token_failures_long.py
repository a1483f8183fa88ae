"""Long texts in the errors of token requests are read in linear time.

azure-core quotes whole bodies in its messages. In quadratic time they held the event loop for minutes.
"""

from __future__ import annotations

import pytest
from azure.core.exceptions import ClientAuthenticationError

from exporter.azure.auth.token_failures import token_failure
from exporter.azure.errors import Unauthenticated

CHAIN = "DefaultAzureCredential failed to retrieve a token"


@pytest.mark.parametrize("begin", ["odd", CHAIN, f"{CHAIN}\n\tCliCredential: odd"])
@pytest.mark.parametrize("repeated", ["\n", " \n", "\n ", "a", "{", "'message': '", "\na: "])
def test_a_long_message_is_read_in_linear_time(begin: str, repeated: str) -> None:
    text = begin + repeated * (300_000 // len(repeated)) + "end"
    error = token_failure(ClientAuthenticationError(text), source="the login service", now=0.0)
    assert type(error) is Unauthenticated
    assert len(error.message) < 6_000


@pytest.mark.parametrize("heading", ["Content", "Content:"])
def test_the_heading_of_a_quoted_body_is_left_out(heading: str) -> None:
    text = f'odd thing\n\n{heading} \n{{"a": 1}}'
    error = token_failure(ClientAuthenticationError(text), source="the login service", now=0.0)
    assert error.message == "no token: odd thing"
