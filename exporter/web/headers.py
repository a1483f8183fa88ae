"""Headers of every answer: what a browser may do with it, and nothing about what made it."""

from __future__ import annotations

import base64
import hashlib
from html import escape

from aiohttp import web

_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

EVERYWHERE = {
    # No version: it would show which vulnerabilities to try.
    "Server": "azure-vmss-exporter",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": _POLICY,
}
"""The headers that every answer has, but for a policy of its own."""


def secure(response: web.StreamResponse) -> None:
    """Set the headers that every answer has; a policy of its own stays."""
    own_policy = response.headers.get("Content-Security-Policy", _POLICY)
    response.headers.update({**EVERYWHERE, "Content-Security-Policy": own_policy})


def policy_with_style(style: str, *, forms: bool = False) -> str:
    """The policy of a page with one inline style sheet, which is named by its hash.

    Args:
        style: the style sheet.
        forms: whether the page has forms, which may be sent to this site only.
    """
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = _POLICY.replace("form-action 'none'", "form-action 'self'") if forms else _POLICY
    return f"{policy}; style-src 'sha256-{digest}'"


def style_element(style: str) -> str:
    """The inline style sheet as HTML; its text is exactly what the hash was made of."""
    if escape(style, quote=False) != style:
        raise ValueError("a style sheet with markup in it would not be what the policy allows")
    return f"<style>{style}</style>"
