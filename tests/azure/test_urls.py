from __future__ import annotations

import re
from unittest.mock import Mock

import pytest
from aiohttp import ClientRequest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from exporter.azure.endpoints import Endpoints, resolve, same_origin
from exporter.azure.errors import BrokenAnswer
from exporter.azure.urls import instances_url, next_url, scale_set_url
from exporter.configuration import Azure
from exporter.model.scale_set import ScaleSetId

PUBLIC = resolve(Azure())
LOOPBACK = Endpoints(resource_manager="http://127.0.0.1:8080", scope="https://x/.default")
LOOP = Mock()
ARM = "https://management.azure.com"


def following(link: str, endpoints: Endpoints = PUBLIC) -> str:
    return str(next_url(link, endpoints, api_version="2024-07-01"))


def test_the_first_page_is_asked_for_with_the_documented_options() -> None:
    url = instances_url(
        PUBLIC, ScaleSetId("s", "g", "n"), api_version="2016-04-30-preview", full=False
    )
    assert str(url) == (
        f"{ARM}/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute"
        "/virtualMachineScaleSets/n/virtualMachines"
        "?$expand=instanceView&$select=instanceView&api-version=2016-04-30-preview"
    )


def test_full_detail_leaves_the_selection_out() -> None:
    url = instances_url(PUBLIC, ScaleSetId("s", "g", "n"), api_version="2024-07-01", full=True)
    assert url.raw_query_string == "$expand=instanceView&api-version=2024-07-01"


def test_names_cannot_change_the_address() -> None:
    url = scale_set_url(PUBLIC, ScaleSetId("s/x", "g?y", "n#ö (1)"), api_version="2024-07-01")
    assert url.raw_path.startswith("/subscriptions/s%2Fx/resourceGroups/g%3Fy/")
    assert url.raw_path.endswith("/n%23%C3%B6%20%281%29")
    assert url.host == "management.azure.com"


@pytest.mark.parametrize(
    "link",
    [
        f"{ARM}/a?api-version=1&$skiptoken=0a!/Subscriptions/S/ResourceGroups/RG/VMs/VM_1",
        f"{ARM}/a?api-version=1&%24skiptoken=eyJh%2Bb%2F==",
        f"{ARM}/a?api-version=1&$skiptoken=a+b%20c!d%2b%2B%zz'x'",
        "https://MANAGEMENT.azure.COM/a?api-version=1",
        f"{ARM}/a?Api-Version=1",
        f"{ARM}/a?api%2Dversion=1",
        f"{ARM}/a/../b/./c?api-version=1",
        f"{ARM}/a?api-version=1&a=1&&b",
    ],
)
def test_a_legal_link_stays_as_it_is(link: str) -> None:
    assert following(link) == link


def test_the_default_port_may_be_written() -> None:
    found = next_url(f"{ARM}:443/a?api-version=1&$skiptoken=a", PUBLIC, api_version="2024-07-01")
    assert same_origin(found, URL(ARM))
    assert found.raw_path_qs == "/a?api-version=1&$skiptoken=a"


@pytest.mark.parametrize(
    ("raw", "encoded"),
    [
        (" ", "%20"),
        ('"', "%22"),
        ("<>", "%3C%3E"),
        ("{|}", "%7B%7C%7D"),
        ("\\^`", "%5C%5E%60"),
        ("\r\n\t\x00\x7f", "%0D%0A%09%00%7F"),
        ("ö", "%C3%B6"),
        ("'virtualMachineScaleSet/id' eq '/sub'", "'virtualMachineScaleSet/id'%20eq%20'/sub'"),
    ],
)
def test_what_no_address_may_hold_is_encoded(raw: str, encoded: str) -> None:
    assert following(f"{ARM}/a?api-version=1&x={raw}") == f"{ARM}/a?api-version=1&x={encoded}"


@pytest.mark.parametrize(
    ("link", "wanted"),
    [
        (f"{ARM}/a", f"{ARM}/a?api-version=2024-07-01"),
        (f"{ARM}/a?", f"{ARM}/a?api-version=2024-07-01"),
        (f"{ARM}/a?$skiptoken=b", f"{ARM}/a?$skiptoken=b&api-version=2024-07-01"),
        (f"{ARM}/a?x-api-version=b", f"{ARM}/a?x-api-version=b&api-version=2024-07-01"),
        (f"{ARM}/a?b=c#end", f"{ARM}/a?b=c&api-version=2024-07-01#end"),
        (f"{ARM}/a#?api-version=1", f"{ARM}/a?api-version=2024-07-01#?api-version=1"),
    ],
)
def test_a_missing_version_is_added(link: str, wanted: str) -> None:
    assert following(link) == wanted


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/a",
        "http://management.azure.com/a",
        "https://management.azure.com:8443/a",
        "https://management.azure.com.evil.example/a",
        "https://management.azure.com@evil.example/a",
        "https://evil.example\\@management.azure.com/a",
        "https://user@management.azure.com/a",
        "https://user:password@management.azure.com/a",
        "https://:@management.azure.com/a",
        "https://@management.azure.com/a",
        "https://:password@management.azure.com/a",
        "https://%40@management.azure.com/a",
        "https://management.azure.com[::1]@",
        "https://management.azure.com%2f@evil.example/a",
        "https://management.azure.com\t/a",
        "https://management.azure.com%00/a",
        "https://\uff4danagement.azure.com/a",
        "https://management。azure.com/a",
        "https://management.azure.com:0/a",
        "https://management.azure.com:443443/a",
        "https:///management.azure.com/a",
        "https:\\\\management.azure.com/a",
        "https:management.azure.com/a",
        "https://[fe80::1%25eth0]/a",
        "https://management.azure.com./a",
        "//management.azure.com/a",
        "/subscriptions/a",
        "management.azure.com",
        "ftp://management.azure.com/a",
        "https://",
        "https://[::1/a",
        "https://management.azure.com:port/a",
        "https://management.azure.com:99999/a",
        "javascript:alert(1)",
        " ",
        "\ud800",
        f"{ARM}/{'a' * 70_000}",
    ],
)
def test_a_link_elsewhere_is_refused(link: str) -> None:
    with pytest.raises(BrokenAnswer, match="nextLink") as failure:
        following(link)
    assert "evil" not in str(failure.value)


def test_plain_http_is_for_loopback_only() -> None:
    assert following("http://127.0.0.1:8080/a?api-version=1", LOOPBACK)
    plain = Endpoints(resource_manager="http://management.azure.com", scope="https://x/.default")
    assert not plain.may_have_token(URL("http://management.azure.com/a"))
    assert Endpoints(resource_manager="http://[::1]:1", scope="").is_loopback
    assert Endpoints(resource_manager="http://localhost", scope="").is_loopback
    assert not Endpoints(resource_manager="http://localhost.evil.example", scope="").is_loopback


def test_an_origin_is_scheme_host_and_port() -> None:
    assert same_origin(URL("https://A.b:443/x"), URL("https://a.B/y"))
    assert not same_origin(URL("https://a.b:80"), URL("http://a.b:80"))


@pytest.mark.parametrize(
    ("cloud", "host", "scope", "authority"),
    [
        (
            "public",
            "https://management.azure.com",
            "https://management.azure.com/.default",
            "https://login.microsoftonline.com",
        ),
        (
            "usgovernment",
            "https://management.usgovcloudapi.net",
            "https://management.core.usgovcloudapi.net/.default",
            "https://login.microsoftonline.us",
        ),
        (
            "china",
            "https://management.chinacloudapi.cn",
            "https://management.chinacloudapi.cn/.default",
            "https://login.chinacloudapi.cn",
        ),
    ],
)
def test_each_cloud_has_its_addresses(cloud: str, host: str, scope: str, authority: str) -> None:
    found = resolve(Azure.model_validate({"cloud": cloud}))
    assert (found.resource_manager, found.scope, found.authority) == (host, scope, authority)


@pytest.mark.parametrize(
    ("audience", "scope"),
    [
        ("https://a.example/b", "https://a.example/b/.default"),
        ("https://a.example/", "https://a.example//.default"),
        ("https://a.example/.default", "https://a.example/.default"),
    ],
)
def test_a_custom_cloud_names_its_own(audience: str, scope: str) -> None:
    settings = Azure.model_construct(
        cloud="custom",
        endpoint="https://management.local.example/",
        audience=audience,
        authority_host="https://login.local.example",
    )
    assert resolve(settings) == Endpoints(
        resource_manager="https://management.local.example",
        scope=scope,
        authority="https://login.local.example",
    )


_PARTS = (
    *("http", "https", "HTTPS", ":", "//", "/", "@", "?", "#", "[", "]", "%", "%25", "%40", "\\"),
    *("\t", "\r\n", "\x00", " ", "a", "user", "management.azure.com", ":443", ":8443", "[::1]"),
    *("é", "。", "①", "..", ".", ";", "127.1", "&", "=", "api-version=1", "$skiptoken=a b"),
)


@given(
    st.builds(
        lambda before, host, after: "".join((*before, host, *after)),
        st.lists(st.sampled_from(_PARTS), max_size=4),
        st.sampled_from((ARM, "https://", "")),
        st.lists(st.sampled_from(_PARTS), max_size=8),
    )
    | st.text(max_size=60)
    | st.builds(ARM.__add__, st.text(max_size=60))
)
def test_any_link_is_refused_or_an_address_of_the_endpoint(link: str) -> None:
    try:
        url = next_url(link, PUBLIC, api_version="2024-07-01")
    except BrokenAnswer:
        return
    assert PUBLIC.may_have_token(url)
    # What goes to the wire is one line, to that host, with no credentials but ours.
    assert re.fullmatch(r"(?i)https://management\.azure\.com(:443)?", str(url.origin()))
    assert re.fullmatch(r"[!-~]+", url.raw_path_qs)
    assert "@" not in url.raw_authority
    request = ClientRequest(
        "GET", url, loop=LOOP, headers={"Authorization": "Bearer x"}, session=Mock()
    )
    assert request.headers["Authorization"] == "Bearer x"
    assert request.headers["Host"].lower() in ("management.azure.com", "management.azure.com:443")
