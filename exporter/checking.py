"""`--config.check`: what a start would find wrong, without a start."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.configuration import ConfigurationError
from exporter.configuration_file import of_subscriptions, read_configuration
from exporter.preparation import prepare, unknown_patterns
from exporter.printing import print_error, print_line

GOOD, BAD = 0, 2


def check_file(path: str, subscriptions: Sequence[str] | None = None) -> int:
    """Check a configuration file and print what is found; the result is the exit code.

    Problems and warnings go to stderr, one a line. Warnings leave the file good.

    Args:
        path: the file.
        subscriptions: of `--subscription`, which stands for a file.
    """
    try:
        if subscriptions:
            path = "--subscription"
            configuration, _ = of_subscriptions(subscriptions)
        else:
            configuration, _ = read_configuration(path)
        prepare(configuration)
    except ConfigurationError as error:
        print_problems(path, error)
        return BAD
    for warning in unknown_patterns(configuration):
        print_error(f"{path}: warning: {warning}")
    count = len(configuration.scale_sets)
    found = "" if not configuration.discovery else ", and those that discovery finds"
    print_line(f"{path}: good, {count} scale set{'' if count == 1 else 's'}{found}")
    return GOOD


def print_problems(path: str, error: ConfigurationError) -> None:
    """Print each problem on a line of its own."""
    for problem in error.problems:
        print_error(f"{path}: {problem}")
