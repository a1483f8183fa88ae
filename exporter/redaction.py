"""Redaction of text from outside: no secret and no control character survives. Pure.

Two ways lead to it. `ValueMask` knows a secret and removes it wherever it stands, which the
transport does to every answer before anything is decoded. `clean` and `redact` know what secrets
look like, and are for the text that people read: error messages, and what extensions print.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from multidict import CIMultiDict, CIMultiDictProxy

LONGEST_QUOTE = 1500
"""Characters of a foreign message that are kept in an error: a list of all API versions fits."""

MASK = "<secret>"
"""Stands in place of a secret."""

_LONGEST_READ = 10_000
"""Characters of a text that are looked at: the rest is cut off first."""

_MARGIN = 1024
"""Characters beyond those that are kept: a secret that is cut in two must still be seen."""

_SHORTEST_VALUE = 8
"""A shorter secret is not searched for: it could be any word of an answer."""

_VALUE_PREFIX = 32
"""Characters of a known secret that are enough to know it by: a message may have cut the rest."""

_BASE64_MARKS = re.compile("[+/]")
_BASE64_MORE = "[A-Za-z0-9+/=_-]*"

_MARKUP = re.compile(rf"<(?!{MASK[1:]})[a-zA-Z!?/].*", re.DOTALL)
# They change how the text around them is shown: marks, embeddings, overrides and isolates.
_BIDI = re.compile("[\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]")
_LINE_END = re.compile(r"\r\n?|[\u2028\u2029\x85]")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SPACE = re.compile(r"\s+")

_QUOTE = r"\\*[\"']"
_VALUE = r"(?:\\*\"[^\"]*(?:\"|\Z)|\\*'[^']*(?:'|\Z)|(?:[^\s&\"',;\\]|\\(?![\"']))+)"
_ASSIGNED = r"\s{0,3}(?:[=:]|%(?:25)*3[dD])\s{0,3}"
_NAMES = (
    r"sig|signature|password|passwd|passphrase|pwd|secret|(?:api|access|account|private|storage"
    r"|shared_?access|subscription|function(?:s|app)?|host|master|encryption)[_-]?key"
    r"|secret[_-]?access[_-]?key|client[_-]?assertion|assertion|sharedaccesssignature"
    r"|(?:access|refresh|id|auth|sas|skip|bearer|session|security|github|personal_access)[_-]?token"
)
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
            r".*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
            re.DOTALL,
        ),
        MASK,
    ),
    # A JSON web token, signed or not.
    (re.compile(r"eyJ[\w-]{5,}(?:\.[\w-]*)*"), MASK),
    (re.compile(r"(?i)\b(bearer|basic|sharedkey(?:lite)?)(?:\s|%20|\+)+[\w.~+/=:%-]{8,}"), MASK),
    (
        re.compile(rf"(?i)\b((?:proxy-)?authorization{_QUOTE}?{_ASSIGNED})(?!<)[^\r\n,;]+"),
        rf"\1{MASK}",
    ),
    (re.compile(r"(?i)\b(SharedAccessSignature\s+)s[a-z]{1,2}=\S+"), rf"\1{MASK}"),
    # The user part of an address, percent-encoded as well.
    (re.compile(r"(?i)([a-z][a-z0-9+.-]{0,20}://)[^\s/?#\"'<>]{1,512}@"), rf"\1{MASK}@"),
    (
        re.compile(r"(?i)(%3A%2F%2F)(?:(?!%2F|%3F|%40)[^\s\"']){1,512}%40"),
        rf"\1{MASK}%40",
    ),
    # A name of a secret, and its value; `code` is one in an address only.
    (
        re.compile(
            rf"(?i)((?:{_NAMES}|x-functions-key|(?<![a-z_])token(?==)"
            rf"|(?:(?<=[?&])|(?<=%26)|(?<=%3F))code){_QUOTE}?{_ASSIGNED}){_VALUE}"
        ),
        rf"\1{MASK}",
    ),
    # An argument of a command line.
    (
        re.compile(
            r"(?i)(?<![\w-])(--?[\w-]{0,30}(?:password|passwd|secret|token|key)\s+)(?!-)\S+"
        ),
        rf"\1{MASK}",
    ),
    # A client secret of Entra ID, a key of a storage account or a data base: known by their form.
    (re.compile(r"(?<![\w.~-])[\w.~-]{3}\dQ~[\w.~-]{30,36}"), MASK),
    (re.compile(r"(?<![\w+/])[A-Za-z0-9+/]{86}=="), MASK),
)
# Something of this is in every text that one of the patterns finds something in.
_HINT = re.compile(
    r"(?i)-----|eyj|://|%3a|bearer|basic|shared|authorization|sig|pass|pwd|secret|key|assertion"
    r"|token|code|q~|=="
)


# A field that holds a secret by its name, whatever its value looks like.
_SECRET_NAME = re.compile(
    r"(?i)(?:password|passphrase|secret|token|signature|connection_?string"
    r"|(?:account|access|private|api)_?key)\Z|(?:protected_?settings|custom_?data|user_?data)\Z"
)


def is_secret_name(name: str) -> bool:
    """Whether the value of a field with that name is a secret."""
    return _SECRET_NAME.search(name) is not None


def clean(text: str, *, longest: int = LONGEST_QUOTE) -> str:
    """One short line of a foreign message: no markup, nothing that looks like a secret."""
    text = _masked(_MARKUP.sub("", text[:_LONGEST_READ]))
    text = _SPACE.sub(" ", text).strip()
    if len(text) <= longest:
        return text
    # What matters stands at the end as often as at the beginning: the newest version of a list.
    tail = (longest - 1) // 3
    return text[: longest - 1 - tail] + "…" + text[len(text) - tail :]


def redact(text: str, *, longest: int) -> str:
    """A foreign text with its lines, but without secrets and control characters.

    Args:
        text: as it came.
        longest: characters that are wanted at most; the result may be longer.
    """
    return _redacted(text[: longest + _MARGIN])


# Most messages are those of many instances.
@lru_cache(maxsize=1024)
def _redacted(text: str) -> str:
    return _masked(text)


class ValueMask:
    """Removes one known secret, as JSON, HTML, base64 and addresses spell it.

    Args:
        secret: the token in use, or other credentials that were sent.

    Attributes:
        forms: the ways to write it.
    """

    def __init__(self, secret: str) -> None:
        head = secret[:_VALUE_PREFIX] if len(secret) >= _SHORTEST_VALUE else ""
        spelled = "".join(map(_spellings, head))
        more = (
            r"(?:[A-Za-z0-9._~+/=-]|%(?:25)*[0-9a-f]{2}|\\+u00[0-9a-f]{2}|\\+/"
            r"|&#(?:x[0-9a-f]{2}|[0-9]{2,3});)*"
        )
        core = _core(head)
        # In any letter case, as codes and host names are written.
        forms = [Form((core, core.lower(), core.upper()), spelled + more)] if core else []
        forms += [
            Form((_core(part),), _BASE64_MARKS.sub(_either, part) + _BASE64_MORE)
            for part in _base64_parts(head)
            if _core(part)
        ]
        self.forms = forms

    def of_bytes(self, data: bytes) -> bytes:
        """The data without the secret."""
        for form in self.forms:
            data = form.of_bytes(data)
        return data

    def of_text(self, text: str) -> str:
        """The text without the secret, in any letter case."""
        lower = text.lower()
        for form in self.forms:
            if form.core in lower:
                text = form.pattern.sub(MASK, text)
        return text


class Form:
    """One way to write a secret.

    Looking for the longest part without special characters first spares the pattern, which is
    slow, nearly every text.
    """

    def __init__(self, cores: tuple[str, ...], pattern: str) -> None:
        self.core = cores[0].lower()
        self.pattern = re.compile(pattern, re.IGNORECASE)
        self._raw_cores = tuple(dict.fromkeys(core.encode() for core in cores))
        self._raw_pattern = re.compile(pattern.encode(), re.IGNORECASE)

    def of_bytes(self, data: bytes) -> bytes:
        """The data without it."""
        if any(core in data for core in self._raw_cores):
            return self._raw_pattern.sub(MASK.encode(), data)
        return data


def _core(text: str) -> str:
    """The longest part without special characters."""
    return max(re.findall(r"[A-Za-z0-9]+", text), key=len, default="")


def _base64_parts(text: str) -> Iterator[str]:
    """What base64 makes of a text in the midst of another: there are three places to begin at."""
    for before in range(3):
        data = bytes(before) + text.encode()
        # Without the characters that hold bits of what is around it.
        yield base64.b64encode(data).decode()[-(-before * 8 // 6) : len(data) * 8 // 6]


def _either(mark: re.Match[str]) -> str:
    return "[+-]" if mark[0] == "+" else "[/_]"


@lru_cache(maxsize=16)
def value_mask(secret: str) -> ValueMask:
    """The mask of a secret; made once for each, as long as it is in use."""
    return ValueMask(secret)


def masked_headers(
    headers: CIMultiDictProxy[str], masks: Sequence[ValueMask]
) -> CIMultiDictProxy[str]:
    """Headers whose names and values have none of the secrets."""
    masked = CIMultiDict(
        (_without(masks, name), _without(masks, value)) for name, value in headers.items()
    )
    return CIMultiDictProxy(masked)


def plain(text: str) -> str:
    """A foreign text with its lines, without characters that control how it is shown."""
    if text.isascii() and text.isprintable():
        return text
    return _CONTROL.sub(" ", _BIDI.sub("", _LINE_END.sub("\n", text)))


def _masked(text: str) -> str:
    # First of all: a mark inside a word would hide it from the patterns.
    text = plain(text)
    if not _HINT.search(text):
        return text
    for pattern, mask in _PATTERNS:
        text = pattern.sub(mask, text)
    return text


def _without(masks: Sequence[ValueMask], text: str) -> str:
    for mask in masks:
        text = mask.of_text(text)
    return text


def _spellings(character: str) -> str:
    """A pattern for a character as it is, as an escape of JSON or HTML, and percent-encoded."""
    code = f"{ord(character):02x}"
    escaped = rf"\\+u00{code}|%(?:25)*{code}|&#(?:x{code}|{ord(character)});"
    plain_one = character if character.isalnum() else rf"\\*{re.escape(character)}"
    return f"(?:{plain_one}|{escaped})"
