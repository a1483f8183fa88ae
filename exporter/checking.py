"""`--config.check`: what a start would find wrong, without a start."""

from __future__ import annotations

from exporter.configuration import ConfigurationError
from exporter.configuration_file import read_configuration
from exporter.preparation import prepare, unknown_patterns
from exporter.printing import print_error, print_line

GOOD, BAD = 0, 2


def check_file(path: str) -> int:
    """Check a configuration file and print what is found; the result is the exit code.

    Problems and warnings go to stderr, one a line. Warnings leave the file good.
    """
    try:
        configuration, _ = read_configuration(path)
        prepare(configuration)
    except ConfigurationError as error:
        print_problems(path, error)
        return BAD
    for warning in unknown_patterns(configuration):
        print_error(f"{path}: warning: {warning}")
    count = len(configuration.scale_sets)
    print_line(f"{path}: good, {count} scale set{'' if count == 1 else 's'}")
    return GOOD


def print_problems(path: str, error: ConfigurationError) -> None:
    """Print each problem on a line of its own."""
    for problem in error.problems:
        print_error(f"{path}: {problem}")
