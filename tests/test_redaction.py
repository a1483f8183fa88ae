"""No secret, and no character that deceives the eye, survives in a text from outside."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from exporter.redaction import (
    LONGEST_QUOTE,
    MASK,
    ValueMask,
    clean,
    masked_headers,
    plain,
    redact,
)

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJodHRwcyJ9.c2lnbmF0dXJl-_x"
OPAQUE = "opaque+to/ken==with.more~signs-and_so-on"
SECRETS = [
    JWT,
    f"Bearer {JWT}",
    "Bearer abcdefghijkl",
    "Authorization: Token hunter2hunter2",
    '"Authorization": "hunter2hunter2"',
    "Proxy-Authorization: Basic abcdefghijkl",
    "https://a.blob/x?sv=1&sig=abc%2Bdef%3D&se=2",
    "https%3A%2F%2Fa.blob%2Fx%3Fsv%3D1%26sig%3Dabc%252Bdef%26se%3D2",
    "sig%253Dabc%252Bdef",
    "Signature: abc%2Bdef",
    "SharedAccessSignature sr=abc%2Bdef&sig=abc%2Bdef",
    "SharedKey account:abcdefghijkl=",
    "https://hunter2hunter2@host/path",
    "https://user:hunter2@hunter2@host:80/path",
    "https%3A%2F%2Fuser%3Ahunter2hunter2%40host%2Fpath",
    "amqps://hunter2hunter2:x@bus",
    "https://f.azurewebsites.net/api/x?code=hunter2hunter2==",
    "https%3A%2F%2Ff%2Fx%3Fcode%3Dhunter2hunter2",
    "AccountName=a;AccountKey=hunter2/hunter2==;EndpointSuffix=core",
    "Endpoint=sb://a/;SharedAccessKeyName=n;SharedAccessKey=hunter2hunter2=",
    "Server=s;Uid=u;Pwd=hunter2hunter2;",
    'client_secret="hunter2hunter2"',
    "clientSecret: 'hunter2 hunter2'",
    r"{\"password\":\"hunter2 hunter2\"}",
    'password = "hunter2 hunter2',
    "password: hunter2hunter2",
    "export DB_PASSWORD=hunter2",
    "AWS_SECRET_ACCESS_KEY=hunter2hunter2",
    "mysql --password hunter2 now",
    "-Token hunter2hunter2",
    "x-functions-key: hunter2hunter2",
    "Ocp-Apim-Subscription-Key: hunter2hunter2",
    "access_token=hunter2hunter2",
    "$skiptoken=hunter2hunter2",
    "pass\u200bword=hunter2",
    "abc8Q~hunter2hunter2hunter2hunter2hunter",
    "hunter2hun" * 8 + "hunter==",
    "-----BEGIN PRIVATE KEY-----\nhunter2hunter2\n-----END PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----\\nhunter2hunter2\\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("of", [clean, lambda text: redact(text, longest=1024)])
def test_no_secret_survives(of: object, secret: str) -> None:
    assert callable(of)
    text = of(f"failed with {secret} at last")
    for part in (JWT, "eyJ", "abcdefghijkl", "abc%2Bdef", "abc%252Bdef", "hunter2"):
        assert part not in text
    assert text.startswith("failed with")
    assert MASK in text


@pytest.mark.parametrize(
    "text",
    [
        "The client 'a' has no authorization to perform action 'a/b/read' over scope '/s/r'",
        "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent is the value",
        "InvalidAuthenticationToken: The access token is invalid",
        "Azure refuses; code: QuotaExceeded, see https://aka.ms/x?a=b and mail a@b.example",
        "a < b, a key: value pair, bypass: yes",
        f"was Bearer {MASK} before",
    ],
)
def test_what_is_no_secret_is_shown(text: str) -> None:
    assert clean(text, longest=1000) == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a\r\n b\t\x00 c\u2028d", "a b c d"),
        ("before <html><body>secret</body>", "before"),
        ("<!DOCTYPE html>", ""),
        ("a < b", "a < b"),
        (f"a {MASK} b", f"a {MASK} b"),
        ("\x1b[31;1mred\x1b[0m \x1bx", "red x"),
        ("a\u202eb\u202ac\u2066d\u2069e\u200ef\u200fg\u061ch", "abcdefgh"),
        ("a" * 5000 + "z" * 5000, "a" * 1000 + "…" + "z" * 499),
    ],
)
def test_a_quote_is_one_short_line(text: str, wanted: str) -> None:
    assert clean(text) == wanted


def test_a_message_keeps_its_lines_and_loses_what_controls_a_terminal() -> None:
    text = "one\r\ntwo\rthree\tfour\x07\x1b[2Kfive\u202esix\u2029seven\x85eight"
    assert redact(text, longest=1024) == "one\ntwo\nthree\tfour fivesix\nseven\neight".replace(
        "four five", "four  five"
    )
    assert plain("Grüße, 世界") == "Grüße, 世界"


def test_a_secret_that_begins_before_the_cut_is_seen_whole() -> None:
    text = redact(
        "x" * 1000 + " https://user:" + "hunter2" * 50 + "@host/ " + "y" * 5000, longest=1024
    )
    assert "hunter2" not in text


@given(st.text(max_size=300))
def test_cleaning_never_fails_and_leaves_a_printable_line(text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned) <= LONGEST_QUOTE
    assert cleaned == cleaned.strip()
    assert not set(cleaned) & {chr(code) for code in range(32)}


def escaped(token: str, *, upper: bool) -> str:
    """As JSON writers do that escape all but letters and digits."""
    form = "\\u{:04X}" if upper else "\\u{:04x}"
    return "".join(c if c.isalnum() else form.format(ord(c)) for c in token)


@pytest.mark.parametrize(
    "spelling",
    [
        OPAQUE,
        OPAQUE.replace("/", r"\/"),
        escaped(OPAQUE, upper=True),
        escaped(OPAQUE, upper=False).replace("\\", "\\\\"),
        quote(OPAQUE, safe=""),
        quote(quote(OPAQUE, safe=""), safe="").replace("%2F", "%2f"),
        OPAQUE[:35],
        OPAQUE.upper(),
        OPAQUE.lower(),
        "".join(c if c.isalnum() else f"&#{ord(c)};" for c in OPAQUE),
        "".join(c if c.isalnum() else f"&#x{ord(c):X};" for c in OPAQUE),
        b64encode(OPAQUE.encode()).decode(),
        urlsafe_b64encode(OPAQUE.encode()).decode(),
    ],
    ids=[
        *("as it is", "slash", "JSON", "JSON in JSON", "percent", "percent twice", "cut", "upper"),
        *("lower", "HTML", "HTML hexadecimal", "base64", "base64 for addresses"),
    ],
)
def test_a_known_secret_goes_in_every_spelling(spelling: str) -> None:
    data = f'{{"message":"it was {spelling}","code":"{spelling}"}}'
    wanted = f'{{"message":"it was {MASK}","code":"{MASK}"}}'
    assert ValueMask(OPAQUE).of_bytes(data.encode()) == wanted.encode()
    assert ValueMask(OPAQUE).of_text(data) == wanted


@pytest.mark.parametrize("before", ["", "a", "ab", "Bearer ", "user:"])
def test_a_known_secret_goes_from_the_midst_of_base64(before: str) -> None:
    data = b64encode(f"{before}{OPAQUE} and more".encode()).decode()
    known = b64encode(before.encode()).decode().rstrip("=")
    for left in (
        ValueMask(OPAQUE).of_bytes(data.encode()).decode(),
        ValueMask(OPAQUE).of_text(data),
    ):
        assert left.endswith(MASK)
        assert len(left.removesuffix(MASK)) <= len(known) + 1


def test_a_known_secret_goes_from_names_and_values_of_headers_in_any_case() -> None:
    headers = CIMultiDictProxy(
        CIMultiDict([(f"x-{OPAQUE.lower()}", "1"), ("a", OPAQUE.upper()), ("a", "b")])
    )
    masked = masked_headers(headers, [ValueMask(OPAQUE)])
    assert list(masked.items()) == [(f"x-{MASK}", "1"), ("a", MASK), ("a", "b")]


@pytest.mark.parametrize("secret", ["", "running", "+/=~._-+/=~._-"])
def test_a_secret_that_could_be_any_word_is_not_searched_for(secret: str) -> None:
    assert ValueMask(secret).of_bytes(b"PowerState/running +/=~._-") == (
        b"PowerState/running +/=~._-"
    )
