"""The challenge of a 401: which tenant's token is wanted, and with which claims."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator

# From the start of a word only, and without backtracking: a long word would take quadratic time.
_PARAMETER = re.compile(r'(?<![\w-])([\w-]++)\s*+=\s*+"([^"]*+)"')
_TENANT = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LONGEST = 16_384


def claims_of(challenges: Iterable[str]) -> str | None:
    """The claims to ask the next token for, as JSON text; None without such a challenge.

    Azure sends `Bearer …, error="insufficient_claims", claims="…"` with the claims in base64,
    whose padding and URL alphabet vary.

    Args:
        challenges: the values of the WWW-Authenticate headers.
    """
    for parameters in _bearer(challenges):
        if parameters.get("error", "").casefold() == "insufficient_claims":
            claims = _decoded(parameters.get("claims", ""))
            if claims:
                return claims
    return None


def tenant_of(challenges: Iterable[str]) -> str | None:
    """The tenant whose tokens Azure takes, by `authorization_uri="https://login…/{tenant}"`."""
    for parameters in _bearer(challenges):
        uri = parameters.get("authorization_uri") or parameters.get("authorization", "")
        if found := _TENANT.search(uri):
            return found[0].lower()
    return None


def _bearer(challenges: Iterable[str]) -> Iterator[dict[str, str]]:
    """The parameters of each challenge for a bearer token."""
    for challenge in challenges:
        for part in re.split(r"(?i)(?:^|,\s*)(?=bearer\s)", challenge[:_LONGEST]):
            if part[:6].casefold() == "bearer":
                yield {name.casefold(): value for name, value in _PARAMETER.findall(part)}


def _decoded(text: str) -> str | None:
    bare = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        claims = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
        return claims.decode() or None
    except (binascii.Error, ValueError):
        return None
