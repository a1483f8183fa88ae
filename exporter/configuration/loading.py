"""The way from the text to the configuration, gathering problems all along."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any, get_args

from pydantic import ValidationError

from exporter.configuration.addresses import Cloud
from exporter.configuration.credentials import CredentialType
from exporter.configuration.document import Document, read_document
from exporter.configuration.errors import ConfigurationError, Problem
from exporter.configuration.fields import Surroundings
from exporter.configuration.rules import check_rules
from exporter.configuration.settings import Configuration
from exporter.configuration.wording import describe

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MOST_PROBLEMS = 100
"""Problems that are listed of one file."""


def load(
    text: str, *, environment: Mapping[str, str], reserved_labels: Collection[str] = ()
) -> Configuration:
    """Read a configuration.

    Args:
        text: the YAML.
        environment: what `${NAME}` is replaced from.
        reserved_labels: the labels of metric families, which extra labels may not have.

    Returns:
        The configuration, its durations in seconds.

    Raises:
        ConfigurationError: with the problems of the text in its order, the first `MOST_PROBLEMS`
            of them. No message holds a secret or a value of the environment.
    """
    document = read_document(text, environment)
    found: list[tuple[int, Problem | ErrorDetails]] = [
        (document.order(problem.path) if problem.order is None else problem.order, problem)
        for problem in document.problems
    ]
    configuration: Configuration | None = None
    try:
        configuration = Configuration.model_validate(
            document.value, context=_surroundings(document.value, reserved_labels)
        )
    except ValidationError as error:
        found.extend(
            (document.order(detail["loc"]), detail)
            for detail in error.errors(include_url=False, include_input=False)
            if not document.is_broken(detail["loc"])
        )
    found.extend(
        (document.order(problem.path), problem)
        for problem in check_rules(document.value)
        if not document.is_broken(problem.path)
    )
    if found or configuration is None:
        # Outside the except block, so that pydantic's error is not chained to this one.
        raise ConfigurationError(_in_words(found, document))
    return configuration


def _in_words(
    found: list[tuple[int, Problem | ErrorDetails]], document: Document
) -> tuple[str, ...]:
    """The first problems in the file's order, and how many there are beside them.

    Only these are put into words, which takes far longer than to find them.
    """
    found.sort(key=itemgetter(0))
    lines: dict[str, None] = {}
    for number, (_, one) in enumerate(found):
        if len(lines) == MOST_PROBLEMS:
            return (*lines, f"and {len(found) - number} more problems")
        problem = one if isinstance(one, Problem) else describe(one, document)
        lines[str(problem)] = None
    return tuple(lines)


def _surroundings(document: dict[str, Any], reserved_labels: Collection[str]) -> Surroundings:
    azure = document.get("azure")
    cloud = _peek(azure, "cloud", "public")
    kind = _peek(_peek(azure, "credential", {}), "type", "default")
    return Surroundings(
        cloud=cloud if cloud in get_args(Cloud) else None,
        credential_type=kind if kind in get_args(CredentialType) else None,
        reserved_labels=frozenset(reserved_labels),
    )


def _peek(section: object, name: str, default: Any) -> Any:
    value = section.get(name) if isinstance(section, dict) else None
    return default if value is None else value
