"""Panels that several dashboards show: of the same thing, for what each dashboard chooses."""

from __future__ import annotations

from typing import NamedTuple

from grafana_foundation_sdk.builders import stat
from grafana_foundation_sdk.builders import timeseries as lines

from grafana.source.panels import AGE, ANY_IS_BAD, SMALL, Ask, Facts, number, series
from grafana.source.queries import SET, Scope, worst
from grafana.source.states import POLL, mappings


class Policies(NamedTuple):
    """How the series of rate-limit policies are told apart."""

    labels: str
    legend: str


def last_poll(scope: Scope, *, title: str, about: str) -> stat.Panel:
    """Whether the last poll of one set succeeded."""
    return number(
        Facts(title=title, about=about, empty="not polled", size=SMALL),
        Ask(f"min({scope.value('azure_vmss_up')}) + 70"),
        mapped=mappings(POLL),
    )


def age_of_data(scope: Scope) -> stat.Panel:
    """How old the data are that are shown of one set."""
    fetched = scope.value("azure_vmss_last_success_timestamp_seconds")
    return number(
        Facts(
            title="Data's age",
            about="Time since the shown data was fetched.",
            unit="s",
            empty="no data",
            size=SMALL,
        ),
        Ask(f"time() - max({fetched})"),
        limits=AGE,
    )


def polls_failing(scope: Scope, *, about: str, size: tuple[int, int]) -> stat.Panel:
    """How many sets could not be polled."""
    return number(
        Facts(title="Polls failing", about=about, unit="short", empty="no exporter", size=size),
        Ask(f"sum(1 - max by ({SET}) ({scope.value('azure_vmss_up')}))"),
        limits=ANY_IS_BAD,
    )


def budget_in_use(title: str, about: str, shown: str, chosen: str, by: Policies) -> lines.Panel:
    """The fullest budgets.

    Args:
        title: the panel's title.
        about: its description.
        shown: how full they are.
        chosen: how full each was at most in the time range, to choose the ten fullest by.
        by: what tells a policy's series.
    """
    fullest = f"topk(10, max by ({by.labels}) ({chosen}))"
    return series(
        Facts(
            title=title,
            about=about,
            unit="percentunit",
            empty="No limit of Azure is known yet.",
            size=(12, 10),
        ),
        Ask(worst(f"max by ({by.labels}) ({shown})", fullest, by.labels), by.legend),
        limit=0.9,
        below=True,
    )


def what_remains(about: str, shown: str, chosen: str, by: Policies) -> lines.Panel:
    """The limits of which Azure says that least remains; `Args` as above."""
    smallest = f"bottomk(10, min by ({by.labels}) ({chosen}))"
    return series(
        Facts(
            title="What Azure says remains",
            about=about,
            unit="short",
            empty="Azure has sent no limit yet.",
            size=(12, 10),
        ),
        Ask(worst(f"min by ({by.labels}) ({shown})", smallest, by.labels), by.legend),
        below=True,
    )
