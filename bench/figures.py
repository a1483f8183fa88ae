"""How the report writes its figures, and holds them against what is wanted."""

from __future__ import annotations

from bench.report import Target

_MANY = 100
_FEW = 10


def number(value: float) -> str:
    """Three figures or so: `1,234`, `56.7`, `8.90`."""
    digits = 0 if abs(value) >= _MANY else 1 if abs(value) >= _FEW else 2
    return f"{value:,.{digits}f}"


def seconds(value: float) -> str:
    """A time in ms, or in s from one on."""
    return f"{number(value)} s" if value >= 1 else f"{number(value * 1e3)} ms"


def megabytes(value: float) -> str:
    """Bytes in MB of a million."""
    return f"{number(value / 1e6)} MB"


def comparison(ratio: float | None) -> str:
    """How a peer's time makes ours look: `12.0 × faster` or `1.50 × slower`."""
    if not ratio:
        return ""
    return f"{number(ratio)} × faster" if ratio >= 1 else f"{number(1 / ratio)} × slower"


def at_most(name: str, wanted: float, measured: float | None, unit: str) -> Target:
    """A target that a figure reaches by being small; `None` where it was not measured."""
    reached = None if measured is None else measured <= wanted
    return Target(name, f"at most {wanted:g} {unit}", _measured(measured, unit), reached)


def at_least(name: str, wanted: float, measured: float | None, unit: str) -> Target:
    """A target that a figure reaches by being large; `None` where it was not measured."""
    reached = None if measured is None else measured >= wanted
    return Target(name, f"at least {wanted:g} {unit}", _measured(measured, unit), reached)


def _measured(measured: float | None, unit: str) -> str:
    return "" if measured is None else f"{number(measured)} {unit}"
