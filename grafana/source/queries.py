"""How PromQL is made here, so that every panel holds with two replicas and in both state modes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from grafana.source.states import State

SET = "subscription_id, resource_group, scale_set"
RANGE = "[$__range:$__interval] @ end()"
"""The whole time range of the dashboard, the same at every step: what is chosen by it stays chosen.

A subquery, because the raw samples of a long range would be too many for Prometheus.
"""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a dashboard looks at: label matchers that every selector has.

    Two replicas serve the same scale sets. Their series differ in what Prometheus adds, so each
    method takes the largest of them before anything is summed.
    """

    matchers: str

    def select(self, name: str, *matchers: str) -> str:
        """The bare selector."""
        return f"{name}{{{', '.join((self.matchers, *matchers))}}}"

    def value(self, name: str, *matchers: str) -> str:
        """A gauge."""
        return f"max without (instance, pod) ({self.select(name, *matchers)})"

    def least(self, name: str, *matchers: str) -> str:
        """A gauge of which the smaller of two replicas counts."""
        return f"min without (instance, pod) ({self.select(name, *matchers)})"

    def holding(self, name: str, *matchers: str) -> str:
        """The series that are 1: the states that hold, whether or not the others are served."""
        return f"max without (instance, pod) ({self.select(name, *matchers)} == 1)"

    def increase(self, name: str, *matchers: str, window: str = "$__rate_interval") -> str:
        """By how much a counter grew."""
        return f"max without (instance, pod) (increase({self.select(name, *matchers)}[{window}]))"

    def in_range(self, function: str, name: str, *matchers: str, replicas: str = "max") -> str:
        """A function over the whole time range, such as `max_over_time`, to choose series by."""
        inner = f"{function}({self.select(name, *matchers)}{RANGE})"
        return f"{replicas} without (instance, pod) ({inner})"

    def coded(
        self, name: str, states: Iterable[State], by: str, *matchers: str, label: str = "state"
    ) -> str:
        """The state that holds as its number, which the value mappings turn into a word again."""
        numbers = " or ".join(
            f"{self.holding(name, *matchers, state.matcher(label))} * {state.number}"
            for state in states
        )
        return f"max by ({by}) ({numbers})"


FLEET = Scope(
    'job=~"$job", subscription_id=~"$subscription", '
    'resource_group=~"$resource_group", scale_set=~"$scale_set"'
)
ONE_SET = Scope(
    'job=~"$job", subscription_id="$subscription", '
    'resource_group="$resource_group", scale_set="$scale_set"'
)
ONE_INSTANCE = Scope(f'{ONE_SET.matchers}, instance_id="$instance"')
QUOTA = Scope('job=~"$job", subscription_id=~"$subscription"')
SETS = Scope('job=~"$job"')
REPLICAS = Scope('job=~"$job", instance=~"$replica"')


def trouble_of_sets(scope: Scope) -> str:
    """Per scale set how much is wrong: findings are counted, a failed poll weighs 1000.

    The branches differ in their labels, so `or` keeps all of them. Every target has a number,
    because `azure_vmss_up` is served for every target.
    """
    missing = (
        f"clamp_min(max by ({SET}) ({scope.value('azure_vmss_capacity')}) - "
        f"max by ({SET}) ({scope.value('azure_vmss_instances')}), 0)"
    )
    findings = (
        scope.value("azure_vmss_instances_by_provisioning_state", 'state="failed"'),
        scope.value("azure_vmss_instances_by_power_state", 'state=~"stopped|unknown"'),
        scope.value("azure_vmss_instances_by_health_state", 'state="unhealthy"'),
        scope.value("azure_vmss_instances_by_vm_agent_state", 'state="unavailable"'),
        scope.value("azure_vmss_extension_instances", 'level="error"'),
        scope.value("azure_vmss_disk_instances", 'level="error"'),
        f'label_replace({missing}, "state", "missing", "", "")',
        f"(1 - {scope.value('azure_vmss_up')}) * 1000",
    )
    return f"sum by ({SET}) ({' or '.join(findings)})"


def trouble_of_instances(scope: Scope) -> str:
    """Per instance how much is wrong; an instance with nothing wrong has 0."""
    findings = (
        scope.holding("azure_vmss_instance_provisioning_state", 'state="failed"'),
        scope.holding("azure_vmss_instance_power_state", 'state!~"running|deallocated"'),
        scope.holding("azure_vmss_instance_health_state", 'state="unhealthy"'),
        scope.holding("azure_vmss_vm_agent_state", 'state="unavailable"'),
        f"{scope.value('azure_vmss_extension_status_level')} >= 1",
        f"{scope.value('azure_vmss_disk_status_level')} >= 1",
        f"{scope.value('azure_vmss_instance_info')} * 0",
    )
    return f"sum by (instance_id) ({' or '.join(findings)})"


def longest_not(scope: Scope, name: str, good: str, most: int) -> str:
    """The instances that were longest in another state than the good one, in the whole range.

    Instances that were never elsewhere follow, so that a healthy set is drawn too.
    """
    elsewhere = scope.select(name, f'state!="{good}"')
    return (
        f"topk({most}, sum by (instance_id) ("
        f"max without (instance, pod) (sum_over_time(({elsewhere} == 1){RANGE})) or "
        f"{scope.in_range('max_over_time', 'azure_vmss_instance_info')} * 0))"
    )


def in_words(expression: str, *labels: str) -> str:
    """The expression with a dash for labels that are empty, so that legends can be read."""
    for label in labels:
        expression = f'label_replace({expression}, "{label}", "-", "{label}", "")'
    return expression


def worst(expression: str, chosen: str, on: str) -> str:
    """The rows of an expression that were chosen."""
    return f"{expression} and on ({on}) {chosen}"
