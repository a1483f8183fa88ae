"""How the exporter's own families are asked for: one series per replica."""

from __future__ import annotations

from grafana.source.queries import REPLICAS

PREFIX = "azure_vmss_exporter_"
NO_EXPORTER = "Prometheus has no data of an exporter."


def own(name: str, *matchers: str) -> str:
    """One of the exporter's own families, one series per replica."""
    return REPLICAS.select(PREFIX + name, *matchers)


def rate(name: str, by: str, *matchers: str) -> str:
    """How much a counter of the exporter grows a second."""
    return f"sum by ({by}) (rate({own(name, *matchers)}[$__rate_interval]))"


def quantile(share: float, name: str, by: str) -> str:
    """What the given share of a histogram's observations lies below."""
    return f"histogram_quantile({share}, {rate(name + '_bucket', f'{by}, le')})"
