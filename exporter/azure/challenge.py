"""The claims challenge of a 401: what Continuous Access Evaluation wants in the next token."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable

_PARAMETER = re.compile(r'([\w-]+)\s*=\s*"([^"]*)"')
_LONGEST = 16_384


def claims_of(challenges: Iterable[str]) -> str | None:
    """The claims to ask the next token for, as JSON text; None without such a challenge.

    Azure sends `Bearer …, error="insufficient_claims", claims="…"` with the claims in base64,
    whose padding and URL alphabet vary.

    Args:
        challenges: the values of the WWW-Authenticate headers.
    """
    for challenge in challenges:
        for part in re.split(r"(?i)(?:^|,\s*)(?=bearer\s)", challenge[:_LONGEST]):
            if part[:6].casefold() != "bearer":
                continue
            parameters = {name.casefold(): value for name, value in _PARAMETER.findall(part)}
            if parameters.get("error", "").casefold() == "insufficient_claims":
                claims = _decoded(parameters.get("claims", ""))
                if claims:
                    return claims
    return None


def _decoded(text: str) -> str | None:
    bare = text.strip().rstrip("=").replace("+", "-").replace("/", "_")
    try:
        claims = base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
        return claims.decode() or None
    except (binascii.Error, ValueError):
        return None
