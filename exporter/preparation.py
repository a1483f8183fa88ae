"""Everything that can be wrong with a configuration on this machine, short of the network.

A start, a reload and `--config.check` all come through here, so that the check finds what the
others would.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from yarl import URL

from exporter.azure import certificates, endpoints
from exporter.azure.endpoints import Endpoints
from exporter.azure.proxies import proxy_for
from exporter.configuration import Configuration, ConfigurationError, Credential
from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.family import FamilyFilter
from exporter.metrics.mapper import Mapper
from exporter.telemetry import Telemetry
from exporter.web.metrics_page import exposed_name

_WITHOUT_AUTHORITY = ("static", "managed_identity", "azure_cli")
"""Credentials for which the exporter itself sends nothing to the login service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What a configuration comes to on this machine.

    Attributes:
        endpoints: the addresses of the Azure of each credential, by its name; under the empty name
            those of `azure`.
        trusted: the files of certificate authorities, as they were when they were read.
        families: which families are served.
        mapper: what writes their lines.
    """

    configuration: Configuration
    endpoints: Mapping[str, Endpoints]
    tls: ssl.SSLContext
    trusted: tuple[str, ...]
    families: FamilyFilter
    mapper: Mapper

    def is_like(self, other: Prepared) -> bool:
        """Whether nothing would differ if one took the other's place."""
        return self.configuration == other.configuration and self.trusted == other.trusted

    def differs_in_targets_only(self, other: Prepared) -> bool:
        """Whether one could take the other's place with other targets and nothing else."""
        mine, others = (
            made.configuration.model_copy(
                update={
                    "scale_sets": (),
                    "polling": made.configuration.polling.model_copy(update={"interval": 0.0}),
                }
            )
            for made in (self, other)
        )
        return mine == others and self.trusted == other.trusted

    def asks_like(self, other: Prepared) -> bool:
        """Whether both ask the same Azure in the same way, so that connections may go on."""
        mine, others = self.configuration, other.configuration
        return (
            self.trusted == other.trusted
            and mine.azure == others.azure
            and mine.credentials == others.credentials
            and mine.polling.timeout == others.polling.timeout
            and mine.polling.deadline == others.polling.deadline
        )


def prepare(configuration: Configuration) -> Prepared:
    """Make what a configuration asks for. Reads files, so it does not belong on the event loop.

    Raises:
        ConfigurationError: something of it cannot be had.
    """
    try:
        return _prepare(configuration)
    except ConfigurationError:
        raise
    except Exception as error:
        # A library that refuses a value which our own rules accept. Its message may quote it.
        raise ConfigurationError((f"cannot be used ({type(error).__name__})",)) from error


def unknown_patterns(configuration: Configuration) -> Iterator[str]:
    """A warning for each pattern of `metrics` that matches no family, in the file's order."""
    # Of a registry of their own: `--once` serves nothing about the process, but may be denied it.
    own = Telemetry(version="", python_version="").registry.collect()
    known = {family.name for family in CATALOGUE} | {exposed_name(metric) for metric in own}
    for setting in ("deny", "opt_in"):
        for index, pattern in enumerate(getattr(configuration.metrics, setting)):
            if not any(fnmatchcase(name, pattern) for name in known):
                yield f"metrics.{setting}[{index}]: {pattern!r} matches no metric family"


def _prepare(configuration: Configuration) -> Prepared:
    azure = configuration.azure
    where = {"": endpoints.resolve(azure)}
    _check_way_to(where[""], azure.credential)
    for name, named in configuration.credentials.items():
        where[name] = endpoints.resolve(azure, named)
        _check_authority(name, named, where[name])
        _check_way_to(where[name], named)
    families = FamilyFilter(
        deny=tuple(configuration.metrics.deny), opt_in=tuple(configuration.metrics.opt_in)
    )
    # Before they are read: a file that changes meanwhile is another one the next time.
    trusted = certificates.files_of(azure)
    return Prepared(
        configuration=configuration,
        endpoints=where,
        tls=certificates.new_context(azure),
        trusted=trusted,
        families=families,
        mapper=Mapper(
            families=families,
            full=azure.detail == "full",
            state_sets=configuration.metrics.state_sets,
            tags=tuple(configuration.metrics.tags),
            messages=configuration.web.messages,
        ),
    )


def _check_way_to(where: Endpoints, credential: Credential) -> None:
    proxy_for(URL(where.resource_manager))
    if where.authority and credential.type not in _WITHOUT_AUTHORITY:
        proxy_for(URL(where.authority))


def _check_authority(name: str, credential: Credential, where: Endpoints) -> None:
    """The custom cloud of `azure` may have no login service, where its credential needs none."""
    if not where.authority and credential.type not in _WITHOUT_AUTHORITY:
        problem = (
            f"credentials.{name}.type: {credential.type} needs azure.authority_host, or a cloud "
            "of its own"
        )
        raise ConfigurationError((problem,))
