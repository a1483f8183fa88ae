"""What Azure has refused to the identity, by the feature that lacks it."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.azure.errors import Forbidden
from exporter.azure.operation import Operation, Scope

SHOWN_SCOPES = 5
"""Places that are named where something is missing; of more the number is told."""

_GRANT = (
    "assign there the role of deploy/azure/role.json, or Reader (docs/permissions.md); a fresh "
    "assignment takes some minutes"
)


class Denials:
    """Collects the answers with HTTP 403 of a process that polls once: it never forgets one."""

    def __init__(self) -> None:
        # By feature, action, and the advice where no role helps.
        self._scopes: dict[tuple[str, str, str], dict[str, str]] = {}

    @property
    def features(self) -> set[str]:
        """The features that something was refused to."""
        return {feature for feature, _, _ in self._scopes}

    def add(self, operation: Operation, scope: Scope, error: Forbidden) -> None:
        """Add what one call was refused."""
        action = error.action
        if action.casefold() == operation.rbac_action.casefold():
            action = operation.rbac_action
        advice = "" if error.by_role else error.advice
        scopes = self._scopes.setdefault((operation.feature, action, advice), {})
        where = _place(scope, error.scope)
        scopes.setdefault(where.casefold(), where)

    def lines(self) -> Iterator[str]:
        """One line for each feature and action: where it is missing, and what to do."""
        for (feature, action, advice), scopes in sorted(self._scopes.items()):
            places = sorted(scopes.values())
            where = ", ".join(places[:SHOWN_SCOPES])
            if len(places) > SHOWN_SCOPES:
                where += f" and {len(places) - SHOWN_SCOPES} more"
            what = "not allowed" if advice else "missing permission"
            yield f"{what}: {feature}: {action} on {where}; {advice or _GRANT}"


def _place(scope: Scope, named: str) -> str:
    """Where it is missing: as Azure names it, for a call about one subscription or set."""
    if not scope.subscription_id:
        return "the subscriptions"
    if named or scope.scale_set is None:
        return named or f"/subscriptions/{scope.subscription_id}"
    return scope.scale_set.resource_id
