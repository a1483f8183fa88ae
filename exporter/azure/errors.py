"""What can go wrong between the exporter and Azure, sorted by what the operator does about it.

    AzureError
    |-- Unauthenticated       authentication  no token, or Azure refuses it
    |-- Forbidden             permission      the identity lacks an RBAC action
    |-- NotFound              not_found       no such scale set, resource group or subscription
    |-- Throttled             throttled       a read limit is used up
    |-- FlexibleNotSupported  flexible        the set is of Flexible orchestration
    |-- Rejected              rejected        Azure understands the request and declines it
    |-- ServerFailed          server_error    Azure failed
    |-- Unreachable           connection      no connection: DNS, TCP, TLS or a proxy
    |-- TimedOut              timeout         no answer, or not the whole of it, in time
    `-- BrokenAnswer          broken_answer   an answer that is not what Azure sends

`NotSent` beside them is not a failure: the request was not made, since Azure has asked to wait.
Calls raise nothing else but `CancelledError`. No message ever holds a token, a secret or a body;
the part that Azure worded has gone through `redaction.clean`.
"""

# ruff: noqa: N818 - the names say what happened, and the base class that they are errors.

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple, Self

from exporter.model.scale_set import ScaleSetId


class AzureError(Exception):
    """A request to Azure, or a walk of several, that gave no usable answer.

    `str()` of it is one line for people: what failed, then what to do.

    Attributes:
        reason: the label value of `poll_failures_total`; one of `REASONS`.
        advice: what the operator should do.
        retry_after: seconds to wait as the answer asks for; None without.
    """

    reason: ClassVar[str]
    advice: str
    retry_after: float | None = None

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        if advice:
            self.advice = advice

    def __str__(self) -> str:
        return f"{self.message}; {self.advice}"

    def again(self) -> Self:
        """A copy for another caller: an instance raised in several tasks would mix tracebacks."""
        twin = type(self).__new__(type(self), self.message)
        twin.__dict__.update(self.__dict__)
        return twin


class Unauthenticated(AzureError):
    """No token could be got, or Azure answered 401 to a fresh one too."""

    reason = "authentication"
    advice = "check azure.credential, and that the identity exists in the subscription's tenant"


class Forbidden(AzureError):
    """HTTP 403: the identity may not read this.

    Attributes:
        action: the RBAC action that is missing.
        scope: where it is missing, as Azure says; else empty.
        by_role: whether a role would help.
    """

    reason = "permission"
    advice = "grant the missing action, for example with the role Reader on the resource group"

    def __init__(self, message: str, *, action: str, scope: str = "", advice: str = "") -> None:
        where = f" on {scope}" if scope else " on the resource group"
        grant = (
            f"grant the identity the action {action}{where}, for example with the role Reader; "
            "a fresh role assignment takes some minutes"
        )
        super().__init__(message, advice=advice or grant)
        self.action = action
        self.scope = scope
        self.by_role = not advice


Missing = Literal["scale set", "resource group", "subscription"]
"""What a `NotFound` is about."""

_NOT_FOUND_ADVICE: dict[Missing, str] = {
    "scale set": "check the scale set's name and resource group, or take it off the configuration",
    "resource group": "check the name of the resource group in the configuration",
    "subscription": "check the subscription id, and that the identity's tenant has it",
}


class NotFound(AzureError):
    """HTTP 404 with an error code of Azure's.

    Attributes:
        missing: what is not there.
        removes: whether by Azure's answer the scale set itself or its resource group does not
            exist: repeated answers of this kind remove the set's data.
    """

    reason = "not_found"
    advice = "check the subscription id, the resource group and the name of the scale set"

    def __init__(self, message: str, *, missing: Missing, removes: bool = False) -> None:
        super().__init__(message)
        self.missing = missing
        self.removes = removes
        self.advice = _NOT_FOUND_ADVICE[missing]


class PolicyUse(NamedTuple):
    """A limit that was exceeded; the counts are None where Azure is silent."""

    policy: str
    allowed: int | None = None
    measured: int | None = None


class Throttled(AzureError):
    """HTTP 429: Azure has refused the request, since a limit is used up.

    Attributes:
        retry_after: seconds to wait as Azure says; None where it does not say.
        layer: who throttled: `arm` (the Resource Manager), `compute`, or empty where unknown.
        policy: the name of the limit that was exceeded; empty where unknown.
        uses: all limits that the body names, with its counts.
    """

    reason = "throttled"
    advice = "poll less often, lower polling.budget_share, or spread the sets over subscriptions"

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None,
        layer: str = "",
        policy: str = "",
        uses: tuple[PolicyUse, ...] = (),
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.layer = layer
        self.policy = policy
        self.uses = uses


class Rejected(AzureError):
    """Another HTTP 4xx.

    Attributes:
        code: Azure's error code; empty where there is none.
        stale_link: whether Azure declines the `nextLink` that it gave itself.
    """

    reason = "rejected"
    advice = "check azure.api_version, azure.cloud and the names in the configuration"

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str = "",
        stale_link: bool = False,
        advice: str = "",
    ) -> None:
        super().__init__(message, advice=advice)
        self.status = status
        self.code = code
        self.stale_link = stale_link


class FlexibleNotSupported(AzureError):
    """A Flexible set does not list its instances as a Uniform one does."""

    reason = "flexible"
    advice = "its virtual machines are listed instead"

    @classmethod
    def of(cls, scale_set: ScaleSetId) -> FlexibleNotSupported:
        """The error of that set, whether Azure told by its mode or by declining the list."""
        return cls(f"scale set {scale_set.name} has Flexible orchestration")


class ServerFailed(AzureError):
    """HTTP 5xx, or a token service that cannot answer for now.

    Attributes:
        retry_after: seconds to wait as Azure says; None where it does not say.
    """

    reason = "server_error"
    advice = "wait for Azure to recover; see the Azure status page if it lasts"

    def __init__(
        self, message: str, *, status: int, retry_after: float | None = None, advice: str = ""
    ) -> None:
        super().__init__(message, advice=advice)
        self.status = status
        self.retry_after = retry_after


class Unreachable(AzureError):
    """No connection to Azure or to the token service, or it broke before an answer came."""

    reason = "connection"
    advice = "check DNS, firewall, proxy (HTTPS_PROXY, NO_PROXY) and trusted certificates"


class TimedOut(AzureError):
    """A request, a token call or a walk that took longer than allowed."""

    reason = "timeout"
    advice = "check the network; if Azure is slow, raise polling.timeout and polling.deadline"


class BrokenAnswer(AzureError):
    """An answer that cannot be read: cut, too long, no JSON, not a list, a link elsewhere.

    Attributes:
        cut: whether only its end is missing, so that the next one may be whole.
    """

    reason = "broken_answer"
    advice = "check that no proxy or portal answers in Azure's place, and azure.api_version"

    def __init__(self, message: str, *, advice: str = "", cut: bool = False) -> None:
        super().__init__(message, advice=advice)
        self.cut = cut


class NotSent(Exception):
    """No request was made, since the time that Azure has asked to wait has not passed.

    It is not an `AzureError`: nothing has failed, and the call is due when the wait ends.

    Attributes:
        retry_after: seconds until then.
    """

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


NoAnswer = AzureError | NotSent
"""Why there is no answer: the call failed, or was not made."""

LEAVES: tuple[type[AzureError], ...] = (
    Unauthenticated,
    Forbidden,
    NotFound,
    Throttled,
    FlexibleNotSupported,
    Rejected,
    ServerFailed,
    Unreachable,
    TimedOut,
    BrokenAnswer,
)

REASONS: tuple[str, ...] = tuple(leaf.reason for leaf in LEAVES)
"""Every `reason`: a closed set."""
