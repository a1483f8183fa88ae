"""`/scale-sets/…/{instance_id}`: everything that Azure says of one machine, and what to type."""

from __future__ import annotations

import pytest

from exporter.model.scale_set import ScaleSetId, ScaleSetModel
from exporter.web.pages.commands import commands_for
from support.answers import SUBSCRIPTION
from support.html import Element
from support.pages import FAILED, SINCE, WEB, WELL, Client, as_azure_sends, item, opened
from support.site import WebCase

VIEW = {
    "computerName": "host-7",
    "osName": "ubuntu",
    "osVersion": "22.04",
    "platformFaultDomain": 1,
    "platformUpdateDomain": 2,
    "statuses": WELL["statuses"],
    "vmHealth": {"status": {"code": "HealthState/healthy", "level": "Info", "time": SINCE}},
    "vmAgent": {
        "vmAgentVersion": "2.9.1",
        "statuses": [{"code": "ProvisioningState/succeeded", "message": "agent runs"}],
        "extensionHandlers": [
            {
                "type": "Contoso.Setup",
                "typeHandlerVersion": "1.2",
                "status": {"code": "ProvisioningState/NotReady", "level": "Info"},
            }
        ],
    },
    "extensions": [
        {
            "name": "setup",
            "type": "Contoso.Setup",
            "typeHandlerVersion": "1.2",
            "statuses": [
                {
                    "code": "ProvisioningState/failed/1",
                    "level": "Error",
                    "displayStatus": "Provisioning failed",
                    "message": "exit code 1",
                }
            ],
            "substatuses": [{"code": "ComponentStatus/StdOut/succeeded", "message": "line one"}],
        }
    ],
    "disks": [{"name": "os-disk", "statuses": [{"code": "ProvisioningState/succeeded"}]}],
    "patchStatus": {
        "availablePatchSummary": {"rebootPending": True, "criticalAndSecurityPatchCount": 4}
    },
    "maintenanceRedeployStatus": {
        "maintenanceWindowStartTime": "2024-05-01",
        "lastOperationMessage": "moved soon",
    },
}


async def polled(case: WebCase, view: object = VIEW, instance_id: str = "7") -> None:
    more = {"properties": {"protectionPolicy": {"protectFromScaleIn": True}}, "zones": ["3"]}
    case.source.pages["web"] = list(as_azure_sends(item(view, instance_id, **more)))
    await case.poll()


def sections(document: Element) -> dict[str, str]:
    tables = document.all("table", of="statuses")
    return {one.one("caption").text.removeprefix("Statuses: "): one.text for one in tables}


async def test_every_status_stands_there_with_code_level_time_text_and_message(
    client: Client, case: WebCase
) -> None:
    await polled(case)
    document = await opened(client, f"{WEB}/7")
    found = sections(document)
    assert found.keys() == {
        "Instance",
        "Application health",
        "VM agent",
        "Extension handlers",
        "Extensions",
        "Output of extensions",
        "Disks",
    }
    assert "Info ProvisioningState/succeeded 2024-01-01 00:00:00 UTC" in found["Instance"]
    assert "agent runs" in found["VM agent"]
    assert "Error setup ProvisioningState/failed/1" in found["Extensions"]
    assert "Provisioning failed exit code 1" in found["Extensions"]
    assert "setup ComponentStatus/StdOut/succeeded line one" in found["Output of extensions"]
    assert "os-disk" in found["Disks"]
    handlers = next(
        t
        for t in document.all("table", of="statuses")
        if "Handlers" in t.text or "handlers" in t.text
    )
    assert handlers.all("span", of="warning"), "not ready, though at level Info"


async def test_the_message_of_what_is_wrong_comes_first(client: Client, case: WebCase) -> None:
    await polled(case)
    document = await opened(client, f"{WEB}/7")
    assert document.one("h1").text == "7 failed"
    assert [one.text for one in document.all("li") if "extension" in one.text] == [
        "extension setup: failed"
    ]
    (told,) = document.all("div", of="told")
    assert told.text == "setup ProvisioningState/failed/1 exit code 1"


async def test_the_facts_of_the_instance(client: Client, case: WebCase) -> None:
    await polled(case)
    facts = (await opened(client, f"{WEB}/7")).one("dl", of="facts").text
    for words in (
        "Computer name host-7",
        "Operating system ubuntu 22.04",
        "Availability zone 3",
        "Fault domain 1",
        "Update domain 2",
        "VM agent 2.9.1",
        "Protected from scale-in",
        "Critical and security patches 4",
        "Reboot pending yes",
        "Maintenance 2024-05-01",
        "moved soon",
    ):
        assert words in facts


async def test_with_messages_off_no_message_is_there(client: Client, case: WebCase) -> None:
    case.site.messages = False
    await polled(case)
    text = (await opened(client, f"{WEB}/7")).text
    for message in ("exit code 1", "line one", "agent runs", "moved soon"):
        assert message not in text
    assert "ProvisioningState/failed/1" in text
    assert "Azure's messages are hidden" in text


async def test_an_instance_is_found_in_any_letter_case_and_another_is_404(
    client: Client, case: WebCase
) -> None:
    assert "had no such instance" in (await opened(client, f"{WEB}/7", status=404)).text
    await polled(case, instance_id="Web_a1")
    assert (await opened(client, f"{WEB}/WEB_A1")).one("h1").text == "Web_a1 failed"
    document = await opened(client, f"{WEB}/8", status=404)
    assert document.all("a", of="home")[0].attributes["href"] == "../../../../"
    await opened(client, "/scale-sets/s/g/n/7", status=404)


async def test_an_instance_without_anything(client: Client, case: WebCase) -> None:
    await polled(case, view=None)
    document = await opened(client, f"{WEB}/7")
    assert document.one("h1").text == "7 unknown"
    assert "Azure tells none." in document.text


async def test_the_links_of_an_instance(client: Client, case: WebCase) -> None:
    case.site.portal_url = "https://portal.azure.us"
    case.site.grafana_url = "https://grafana.example.com"
    await polled(case)
    document = await opened(client, f"{WEB}/7")
    links = {one.text: one.attributes["href"] for one in document.all("a")}
    assert links["Azure portal"].endswith("/virtualMachineScaleSets/web/virtualMachines/7")
    assert "/d/azure-vmss-instance?" in links["Grafana"]
    assert links["Grafana"].endswith("&var-instance=7")
    assert links["web"] == f"../../../../scale-sets/{SUBSCRIPTION}/rg-web/web"


async def test_the_commands_of_a_uniform_and_of_a_flexible_set(
    client: Client, case: WebCase
) -> None:
    await polled(case, view=FAILED)
    document = await opened(client, f"{WEB}/7")
    texts = [one.text for one in document.all("code")]
    where = f"--subscription {SUBSCRIPTION} --resource-group rg-web --name"
    assert f"az vmss get-instance-view {where} web --instance-id 7" in texts
    assert f"az vmss restart {where} web --instance-ids 7" in texts
    assert "az vmss restart" not in document.text.partition("Commands that change")[0]
    case.site.portal_url = "https://portal.azure.com"
    case.source.models["web"] = ScaleSetModel(orchestration_mode="Flexible")
    await polled(case, instance_id="web_a1")
    document = await opened(client, f"{WEB}/web_a1")
    texts = [one.text for one in document.all("code")]
    assert f"az vm get-instance-view {where} web_a1" in texts
    assert not [text for text in texts if "vmss" in text]
    portal = next(one for one in document.all("a") if one.text == "Azure portal")
    assert portal.attributes["href"].endswith("/Microsoft.Compute/virtualMachines/web_a1")


@pytest.mark.parametrize("flexible", [True, False])
def test_a_command_is_quoted_for_the_shell_or_not_given(*, flexible: bool) -> None:
    odd = ScaleSetId("s", "g; rm -rf /", "n'ame")
    texts = [one.text for one in commands_for(odd, "$(x)", flexible=flexible)]
    assert texts
    for text in texts:
        assert "'g; rm -rf /'" in text
        assert "'$(x)'" in text
    for hidden in ("a\nb", "a\u202eb", "a\x1b[2Jb", ""):
        assert commands_for(odd, hidden, flexible=flexible) == []
