"""What the challenge of a 401 wants in the next token."""

from __future__ import annotations

import base64
import json

import pytest

from exporter.azure.auth.claims_challenge import claims_of, tenant_of

TENANT = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
# In base64 it has a character of each kind in which the alphabets differ.
CLAIMS = json.dumps({"access_token": {"nbf": {"value": "~~~???>>>ÿþ"}}}, ensure_ascii=False)


def challenge(claims: str) -> str:
    return f'Bearer realm="", error="insufficient_claims", claims="{claims}"'


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_claims_are_read_in_both_alphabets_of_base64(encode: object, *, padded: bool) -> None:
    assert callable(encode)
    encoded = encode(CLAIMS.encode()).decode()
    assert set(encoded) & set("+-")
    assert set(encoded) & set("/_")
    assert claims_of([challenge(encoded if padded else encoded.rstrip("="))]) == CLAIMS


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        'Bearer claims="eyJhIjoxfQ=="',
        'Bearer error="invalid_token", claims="eyJhIjoxfQ=="',
        'Bearer error="insufficient_claims", claims="%%%"',
        'Bearer error="insufficient_claims", claims=""',
        'Basic error="insufficient_claims", claims="eyJhIjoxfQ=="',
    ],
)
def test_other_challenges_want_no_claims(value: str) -> None:
    assert claims_of([value]) is None


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (f'Bearer authorization_uri="https://login.example/{TENANT}", error="x"', TENANT),
        (f'Bearer authorization_uri="https://login.example/{TENANT.upper()}/oauth2"', TENANT),
        (f'Bearer authorization="https://login.example/{TENANT}", resource="r"', TENANT),
        ('Bearer authorization_uri="https://login.example/common"', None),
        (f'Basic authorization_uri="https://login.example/{TENANT}"', None),
        ("Bearer", None),
    ],
)
def test_the_wanted_tenant_is_read(value: str, wanted: str | None) -> None:
    assert tenant_of(["Negotiate", value]) == wanted


def test_a_challenge_without_claims_hides_none_that_comes_after_it() -> None:
    encoded = base64.b64encode(CLAIMS.encode()).decode()
    assert claims_of([challenge(""), challenge("%%%"), challenge(encoded)]) == CLAIMS
    assert claims_of([f"{challenge('')}, {challenge(encoded)}"]) == CLAIMS


@pytest.mark.parametrize("text", ["a", 'a="', ",bearer a"])
def test_long_words_in_challenges_are_read_in_linear_time(text: str) -> None:
    # In quadratic time each of them took seconds, and all of them half an hour.
    challenges = [f"Bearer {text * (16_000 // len(text))}"] * 500
    assert (claims_of(challenges), tenant_of(challenges)) == (None, None)
