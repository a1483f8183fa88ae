"""The Exporter dashboard: whether the exporter keeps up, and its cost. One line a replica."""

from __future__ import annotations

from typing import Any

from grafana.source import exporter_polls, frame, shared_panels
from grafana.source.exporter_queries import NO_EXPORTER, own
from grafana.source.panels import SMALL, THIRD, Ask, Facts, bars, number, series
from grafana.source.queries import REPLICAS, SETS
from grafana.source.states import BROKEN, GOOD, LOOK, words
from grafana.source.tables import Column, rows

BY_REPLICA = "{{instance}}"


def now() -> frame.Section:
    """Whether every replica is there and well."""
    up = REPLICAS.select("up")
    return frame.Section(
        title="Now",
        panels=[
            number(
                Facts(
                    title="Replicas scraped",
                    about="Exporters whose last scrape by Prometheus succeeded.",
                    unit="short",
                    empty="none",
                    size=SMALL,
                ),
                Ask(f"sum({up})"),
                limits=((0, BROKEN), (1, GOOD)),
            ),
            number(
                Facts(
                    title="Configuration",
                    about="Whether the configuration was read successfully the last time. A bad "
                    "one changes nothing: the one before stays in force.",
                    empty="no exporter",
                    size=SMALL,
                ),
                Ask(f"min({own('config_last_reload_successful')})"),
                mapped=words({"0": ("bad", BROKEN), "1": ("good", GOOD)}),
            ),
            number(
                Facts(
                    title="Scale sets polled",
                    about="Targets, the most that a replica has.",
                    unit="short",
                    empty="no exporter",
                    size=SMALL,
                ),
                Ask(f"max(sum without (origin) ({own('targets')}))"),
            ),
            shared_panels.polls_failing(
                SETS, about="Scale sets whose last poll failed.", size=SMALL
            ),
            number(
                Facts(
                    title="Lag of polls",
                    about="The largest delay of a poll that is due and has not begun.",
                    unit="s",
                    empty="no exporter",
                    size=SMALL,
                ),
                Ask(f"max({own('poll_lag_seconds')})"),
                limits=((0, GOOD), (30, LOOK), (120, BROKEN)),
            ),
            number(
                Facts(
                    title="Budget in use",
                    about="The fullest of the budgets that the exporter makes of Azure's limits.",
                    unit="percentunit",
                    empty="not known",
                    size=SMALL,
                ),
                Ask(f"max({own('budget_used_ratio')})"),
                limits=((0, GOOD), (0.8, LOOK), (0.95, BROKEN)),
            ),
            number(
                Facts(
                    title="Series served",
                    about="Series about Azure at the last scrape, the most of a replica.",
                    unit="short",
                    empty="no exporter",
                    size=SMALL,
                ),
                Ask(f"max({own('series')})"),
            ),
            number(
                Facts(
                    title="Loop's lag",
                    about="The largest delay of the event loop in the last one to two minutes. "
                    "Beyond 50 ms something blocks it.",
                    unit="s",
                    empty="no exporter",
                    size=SMALL,
                ),
                Ask(f"max({own('event_loop_lag_seconds')})"),
                limits=((0, GOOD), (0.1, LOOK), (1, BROKEN)),
            ),
        ],
    )


def cost() -> frame.Section:
    """What a scrape and the process cost."""
    return frame.Section(
        title="Scrape, process, loop",
        panels=[
            series(
                Facts(
                    title="How long a scrape takes",
                    about="As Prometheus sees it, transport and parsing included.",
                    unit="s",
                    empty="Prometheus does not scrape the exporter.",
                    size=THIRD,
                ),
                Ask(REPLICAS.select("scrape_duration_seconds"), BY_REPLICA),
            ),
            series(
                Facts(
                    title="Series of a scrape",
                    about="Samples that Prometheus took, and series about Azure that were served.",
                    unit="short",
                    empty=NO_EXPORTER,
                    size=THIRD,
                ),
                Ask(REPLICAS.select("scrape_samples_scraped"), "samples {{instance}}"),
                Ask(own("series"), "about Azure {{instance}}"),
            ),
            series(
                Facts(
                    title="Size of the page",
                    about="The text about Azure before compression.",
                    unit="bytes",
                    empty=NO_EXPORTER,
                    size=THIRD,
                ),
                Ask(own("exposition_bytes"), BY_REPLICA),
            ),
            series(
                Facts(
                    title="Event loop's lag",
                    about="The largest delay of the event loop in the last one to two minutes. "
                    "While it is blocked nothing is polled or answered.",
                    unit="s",
                    empty=NO_EXPORTER,
                    size=THIRD,
                ),
                Ask(own("event_loop_lag_seconds"), BY_REPLICA),
                limit=0.05,
            ),
            series(
                Facts(
                    title="CPU",
                    about="Processor time of the exporter, as a part of one core.",
                    unit="percentunit",
                    empty=NO_EXPORTER,
                    size=THIRD,
                ),
                Ask(
                    f"rate({REPLICAS.select('process_cpu_seconds_total')}[$__rate_interval])",
                    BY_REPLICA,
                ),
            ),
            series(
                Facts(
                    title="Memory",
                    about="Resident memory of the exporter.",
                    unit="bytes",
                    empty=NO_EXPORTER,
                    size=THIRD,
                ),
                Ask(REPLICAS.select("process_resident_memory_bytes"), BY_REPLICA),
            ),
        ],
    )


def odd() -> frame.Section:
    """What the exporter could not read, and what runs."""
    window = "[$__range]"
    mapping = f"increase({own('mapping_errors_total')}{window})"
    unknown = f"increase({own('unknown_status_codes_total')}{window})"
    unwritten = f"increase({own('state_write_failures_total')}{window})"
    refused = f"increase({own('state_refused_total')}{window})"
    reread = own("config_last_reload_success_timestamp_seconds")
    build = own("build_info")
    return frame.Section(
        title="Oddities and versions",
        panels=[
            bars(
                Facts(
                    title="Fields left out, in the time range",
                    about="Fields of Azure's answers that had a wrong type, by the family that "
                    "they feed. The ten most frequent.",
                    unit="short",
                    empty="Every field could be read.",
                    size=(12, 6),
                ),
                Ask(f"topk(10, sum by (family) ({mapping}) > 0)", "{{family}}"),
                limits=((0, LOOK),),
            ),
            bars(
                Facts(
                    title="Other oddities, in the time range",
                    about="Status codes that the exporter does not know (they count as unknown), "
                    "state files that could not be written, or were not used at the start.",
                    unit="short",
                    empty="Nothing was odd.",
                    size=(12, 6),
                ),
                Ask(f"sum({unknown}) > 0", "unknown codes"),
                Ask(f"sum({unwritten}) > 0", "state files not written"),
                Ask(f"sum by (reason) ({refused}) > 0", "state file refused: {{reason}}"),
                limits=((0, LOOK),),
            ),
            rows(
                Facts(
                    title="Versions",
                    about="What runs, and when each replica read the configuration in force. "
                    "Replicas with different numbers have different configurations.",
                    empty=NO_EXPORTER,
                    size=(24, 6),
                ),
                [
                    Column(title="Replica", label="instance"),
                    Column(title="Version", label="version", width=80),
                    Column(title="Python", label="python_version", width=80),
                    Column(
                        title="Configuration read",
                        expression=f"max by (instance) ({reread}) * 1000",
                        unit="dateTimeAsIso",
                    ),
                    Column(
                        title="Its number",
                        expression=f"max by (instance) ({own('config_hash')})",
                        unit="none",
                    ),
                    Column(
                        title="Runs",
                        expression=f"max by (instance, version, python_version) ({build})",
                        hidden=True,
                    ),
                ],
                order="Replica",
                descending=False,
            ),
        ],
    )


def dashboard() -> dict[str, Any]:
    """The Exporter dashboard as JSON."""
    return frame.assemble(
        frame.Plan(
            uid=frame.EXPORTER_UID,
            title="Azure VMSS / Exporter",
            about="Whether the exporter keeps up with its polls within Azure's limits, and its "
            "cost.",
            variables=[
                frame.datasource(),
                frame.job(),
                frame.choice(
                    "replica",
                    "Replica",
                    "The exporter's address as Prometheus scrapes it.",
                    f"azure_vmss_exporter_build_info{{{frame.JOB}}}, instance",
                ),
                frame.exporter_address(),
            ],
            links=[frame.FLEET_LINK],
            sections=[
                now(),
                exporter_polls.polls(),
                exporter_polls.discovery(),
                exporter_polls.azure(),
                cost(),
                odd(),
            ],
        )
    )
