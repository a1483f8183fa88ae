"""What states are called, their numbers on timelines, and their colours.

A colour never stands alone: every state is shown with its word. Green is as it should be, blue is
on its way, yellow wants a look, red is broken, purple is off on purpose, grey is not known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from grafana_foundation_sdk.models.dashboard import DashboardSpecialValueMapOptions as Special
from grafana_foundation_sdk.models.dashboard import (
    SpecialValueMap,
    SpecialValueMatch,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

GOOD = "green"
MOVING = "blue"
LOOK = "yellow"
BROKEN = "red"
OFF = "purple"
UNKNOWN = "#8e8e8e"


@dataclass(frozen=True, slots=True)
class State:
    """One state: its number in timelines, its word in the metric, its text and its colour.

    Numbers differ between kinds of states, so that one panel can show several kinds.
    """

    number: int
    word: str
    colour: str
    text: str = ""

    def matcher(self, label: str) -> str:
        """The label matcher; a word that begins with an exclamation mark excludes."""
        if self.word.startswith("!"):
            return f'{label}!~"{self.word[1:]}"'
        return f'{label}=~"{self.word}"' if "|" in self.word else f'{label}="{self.word}"'


POWER = (
    State(10, "running", GOOD),
    State(11, "creating", MOVING),
    State(12, "starting", MOVING),
    State(13, "stopping", LOOK),
    State(14, "stopped", BROKEN, "stopped (billed)"),
    State(15, "deallocating", OFF),
    State(16, "deallocated", OFF),
    State(17, "unknown", UNKNOWN, "power unknown"),
)
PROVISIONING = (
    State(20, "succeeded", GOOD),
    State(21, "creating", MOVING),
    State(22, "updating", MOVING),
    State(23, "deleting", LOOK),
    State(24, "migrating", LOOK),
    State(25, "failed", BROKEN),
    State(26, "unknown", UNKNOWN, "provisioning unknown"),
)
HEALTH = (
    State(30, "healthy", GOOD),
    State(31, "initializing", MOVING),
    State(32, "unhealthy", BROKEN),
    State(33, "unknown", UNKNOWN, "health unknown"),
)
AGENT = (
    State(40, "succeeded", GOOD, "agent ready"),
    State(41, "creating|transitioning|updating", MOVING, "agent in transition"),
    State(42, "unavailable", BROKEN, "agent unavailable"),
    State(
        43,
        "!succeeded|creating|transitioning|updating|unavailable",
        UNKNOWN,
        "agent in another state",
    ),
)
LEVELS = (
    State(50, "info", GOOD, "level Info"),
    State(51, "warning", LOOK, "level Warning"),
    State(52, "error", BROKEN, "level Error"),
    State(53, "transitioning", MOVING, "in transition"),
)
MODEL = (State(60, "0", LOOK, "older model"), State(61, "1", GOOD, "latest model"))
POLL = (State(70, "0", BROKEN, "poll failed"), State(71, "1", GOOD, "poll succeeded"))


def mappings(*groups: Iterable[State]) -> list[ValueMapping]:
    """Value mappings from the numbers of the states to their texts and colours."""
    options = {
        str(state.number): result(state.text or state.word, state.colour, index)
        for index, state in enumerate(state for group in groups for state in group)
    }
    return [ValueMap(options=options)]


def words(values: dict[str, tuple[str, str]]) -> list[ValueMapping]:
    """Value mappings from plain values to a text and a colour."""
    return [
        ValueMap(
            options={
                value: result(text, colour, index)
                for index, (value, (text, colour)) in enumerate(values.items())
            }
        )
    ]


def when_null(text: str) -> ValueMapping:
    """A value mapping for cells without a value."""
    return SpecialValueMap(
        options=Special(match=SpecialValueMatch.NULL, result=result(text, UNKNOWN, 0))
    )


def result(text: str, colour: str, index: int) -> ValueMappingResult:
    """What a mapped value is shown as."""
    return ValueMappingResult(text=text, color=colour, index=index)
