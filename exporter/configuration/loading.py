"""The way from the text to the configuration, gathering problems all along."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, get_args

from pydantic import ValidationError

from exporter.configuration.azure import Cloud, CredentialType
from exporter.configuration.document import Document, read_document
from exporter.configuration.errors import ConfigurationError, Problem
from exporter.configuration.fields import Surroundings
from exporter.configuration.rules import check_rules
from exporter.configuration.settings import Configuration
from exporter.configuration.wording import describe


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
        ConfigurationError: with every problem of the text, in its order. No message holds a
            secret or a value of the environment.
    """
    document = read_document(text, environment)
    problems = list(document.problems)
    configuration: Configuration | None = None
    try:
        configuration = Configuration.model_validate(
            document.value, context=_surroundings(document.value, reserved_labels)
        )
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        problems += _judged(document, (describe(detail, document) for detail in details))
    problems += _judged(document, check_rules(document.value))
    if problems or configuration is None:
        # Outside the except block, so that pydantic's error is not chained to this one.
        problems.sort(
            key=lambda problem: (
                document.order(problem.path) if problem.order is None else problem.order
            )
        )
        raise ConfigurationError(tuple(dict.fromkeys(map(str, problems))))
    return configuration


def _judged(document: Document, problems: Iterator[Problem]) -> Iterator[Problem]:
    """Leave out what follows from a value that the YAML, or the environment, got wrong."""
    for problem in problems:
        path = problem.path
        if not any(path[:length] in document.broken for length in range(len(path) + 1)):
            yield problem


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
