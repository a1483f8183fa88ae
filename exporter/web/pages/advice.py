"""What to do about a poll that failed, by its reason: the words of `poll_failures_total`."""

from __future__ import annotations

_ADVICE = {
    "authentication": "Azure refused the credential, or none could be had. Check azure.credential, "
    "and that the identity exists in the subscription's tenant.",
    "permission": "The identity may not read this scale set. Grant it the role Reader on the "
    "resource group, or the missing action that the message names.",
    "not_found": "Azure does not know this scale set. Check subscription, resource group and name; "
    "if it was deleted, remove it from the configuration.",
    "throttled": "Azure's read limits are used up, by the exporter or by others in the "
    "subscription. Polls go on by themselves; lengthen polling.interval if it lasts.",
    "rejected": "Azure did not take the request. The message says why; check azure.api_version.",
    "flexible": "Azure lists this set in another way than it was asked. The next poll asks in that "
    "way.",
    "server_error": "Azure has a fault. Polls go on by themselves; look at Azure's status page if "
    "it lasts.",
    "connection": "Azure could not be reached. Check network, name resolution, proxy and "
    "certificates from where the exporter runs.",
    "timeout": "Azure did not answer in time. Polls go on by themselves; raise polling.timeout or "
    "polling.deadline if it lasts.",
    "broken_answer": "Azure's answer could not be read, or looked wrong. The next poll asks again.",
    "internal": "This is a fault of the exporter: its log has the details.",
}


def advice_for(reason: str) -> str:
    """What to do, in words of the exporter's own; never a text of Azure's."""
    return _ADVICE.get(reason, "See the exporter's log.")
