"""What the settings are made of: the base of every section and the types that they share.

A rule raises `expected` or `refused`. Neither holds the value: the words around it are put
together in `wording`, which shows the value as the file has it, before substitution.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from exporter.configuration.durations import EXPECTED, parse_duration


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a rule needs to know of the file outside its own section.

    Handed to pydantic as the validation context, so that a rule speaks up even where the other
    section is broken. None stands for a value that is itself wrong: the rule then reports nothing.
    """

    cloud: str | None = "public"
    credential_type: str | None = "default"
    reserved_labels: Collection[str] = ()

    @classmethod
    def of(cls, info: ValidationInfo) -> Surroundings:
        """The surroundings of a validation; the defaults where none were handed in."""
        return info.context if isinstance(info.context, cls) else cls()


SAME = "as before"
"""The description of a key to which that of the key before applies."""


class Section(BaseModel):
    """A mapping of the file: unknown keys are errors, and it never changes once read."""

    # Pydantic's own messages hold the value: they must not, should one ever come through.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _a_key_without_a_value_is_not_given(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {
            key: value
            for key, value in values.items()
            if value is not None or key not in cls.model_fields
        }

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        """Nothing: values may come from the environment and do not belong into a log."""
        return []


def expected(what: str) -> PydanticCustomError:
    """An error told as `expected {what}, got {the value as written}`."""
    return PydanticCustomError("expected", "{what}", {"what": what})


def refused(message: str) -> PydanticCustomError:
    """An error told as it is, without the value."""
    return PydanticCustomError("refused", "{message}", {"message": message})


def _seconds(value: object) -> float:
    try:
        return parse_duration(value if isinstance(value, str) else "")
    except ValueError:
        raise expected(EXPECTED) from None


def _interval(seconds: float, info: ValidationInfo) -> float:
    # Azure: HighCostGetVMScaleSetResource, refilled with 10 calls a minute for each set.
    # A simulator has no such limit, and tests want to be quick.
    cloud = Surroundings.of(info).cloud
    if cloud == "custom" and seconds < 0.1:  # noqa: PLR2004 - told in the message
        raise expected("at least 100ms")
    if cloud not in (None, "custom") and seconds < 6:  # noqa: PLR2004 - told in the message
        raise expected("at least 6s, for Azure allows 10 calls a minute for a scale set")
    return seconds


_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def _label_name(name: str, info: ValidationInfo) -> str:
    if not _LABEL_NAME.fullmatch(name):
        raise refused("not a label name; letters, digits and _ only, no digit first")
    if name.startswith("__"):
        raise refused("Prometheus keeps label names with __ in front for itself")
    if name in ("job", "instance"):
        raise refused("Prometheus sets this label itself")
    if name == "le":
        raise refused("histograms use this label")
    if name in Surroundings.of(info).reserved_labels:
        raise refused("a metric family uses this label")
    return name


class Placeholder(str):
    """Stands for a type on the page about the configuration; pydantic passes it over."""

    __slots__ = ()


Duration = Annotated[float, BeforeValidator(_seconds), Placeholder("duration")]
"""A duration such as `1h30m`, as seconds; more than 0."""

Interval = Annotated[Duration, AfterValidator(_interval)]
"""A duration between two polls of one scale set."""

Text = Annotated[str, Field(min_length=1)]
"""A string that is not empty, also not by an empty environment variable."""


def _path(text: str) -> str:
    if "\0" in text:
        raise refused("not a path: it holds a NUL character")
    return text


OptionalPath = Annotated[str, AfterValidator(_path), Placeholder("filename")]
"""A path, or an empty string for none."""

FilePath = Annotated[Text, AfterValidator(_path), Placeholder("filename")]
"""A path."""

Pattern = Annotated[str, Placeholder("pattern")]
"""A name, or a shell pattern of names."""

Boolean = StrictBool
"""`true` or `false`; the quoted words are strings."""

MOST_ENTRIES = 1000
"""Patterns or tags in one list; each costs time for every family."""

MOST_LABELS = 64
"""Extra labels in all, for each series has all of them."""

Labels = dict[Annotated[str, AfterValidator(_label_name), Placeholder("label_name")], str]
"""Extra labels. An empty value is, to Prometheus, the absence of the label."""
