"""HTTP goes where it is meant to go, and nowhere else (I39)."""

from __future__ import annotations

import ipaddress
import socket
import ssl

import pytest

from pilothouse.errors import ToolFailed, Unreachable
from pilothouse_tools import web

ALWAYS = ["169.254.169.254", "169.254.1.1", "fe80::1", "fe80::1%eth0", "224.0.0.1", "ff02::1", "0.0.0.0", "0.1.2.3", "::", "240.0.0.1",
          "255.255.255.255", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "::ffff:169.254.169.254", "2002:7f00:1::",
          "2002:a9fe:a9fe::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2001:0:0:0:0:0:80ff:fffe"]  # fmt: skip
PRIVATE = ["127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd00::1", "::ffff:127.0.0.1",
           "::ffff:10.0.0.1"]  # fmt: skip
PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:4700::1111"]


@pytest.mark.parametrize("allow", [True, False])
@pytest.mark.parametrize("text", ALWAYS)
def test_some_addresses_are_refused_always(text, allow):
    assert web.address_problem(ipaddress.ip_address(text), allow_private=allow)


@pytest.mark.parametrize("text", PRIVATE)
def test_private_addresses_need_the_configurations_word(text):
    assert web.address_problem(ipaddress.ip_address(text), allow_private=False)
    assert not web.address_problem(ipaddress.ip_address(text), allow_private=True)


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_fine(text):
    assert not web.address_problem(ipaddress.ip_address(text), allow_private=False)


def test_a_public_address_in_an_ipv4_mapped_disguise_is_refused_unless_private_is_allowed():
    assert web.address_problem(ipaddress.ip_address("::ffff:8.8.8.8"), allow_private=False)


@pytest.mark.parametrize(
    "base",
    ["ftp://x", "file:///etc/passwd", "gopher://x", "http://", "http://user@x", "http://u:p@x", "http://x?q", "http://x#f", "//x",
     "http://x y", "http://x\\@y", "x", "javascript:1"],
)  # fmt: skip
def test_an_environments_url_is_plain(base):
    with pytest.raises(ToolFailed) as refused:
        web.join(base, "/health")
    assert refused.value.reason_code == "url-refused"


@pytest.mark.parametrize("path", ["health", "//evil.test/x", "/a b", "/a#b", "/\\evil", "http://evil", ""])
def test_a_path_cannot_name_another_host(path):
    with pytest.raises(ToolFailed) as refused:
        web.join("http://good.test", path)
    assert refused.value.reason_code == "url-refused"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "127.1", "0177.0.0.1"])
def test_loopback_in_any_spelling_is_refused(small, host):
    port = small.served.url.rpartition(":")[2]
    with pytest.raises(ToolFailed) as refused:
        web.get(f"http://{host}:{port}/health", timeout=2, allow_private=False)
    assert refused.value.reason_code in {"address-refused", "environment-unreachable", "url-refused"}
    assert small.served.hits == []


def test_the_name_is_resolved_once_and_the_judged_address_is_the_one_connected_to(small, monkeypatch):
    """DNS rebinding: the second answer would be another host's."""
    port, real, asked = int(small.served.url.rpartition(":")[2]), socket.getaddrinfo, []

    def resolver(host, *rest, **more):
        if host == "shop.test":
            asked.append(host)
            return real("127.0.0.1" if len(asked) == 1 else "169.254.169.254", *rest, **more)
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    answer = web.get(f"http://shop.test:{port}/health", timeout=2, allow_private=True)
    assert answer.status == 200
    assert asked == ["shop.test"]
    assert small.served.hits == [("/health", f"shop.test:{port}")]


def test_one_bad_address_among_good_ones_refuses_the_host(monkeypatch):
    entries = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 80)) for ip in ("93.184.216.34", "169.254.169.254")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
    with pytest.raises(ToolFailed) as refused:
        web.resolve("mixed.test", 80, allow_private=True)
    assert refused.value.reason_code == "address-refused"


def test_a_redirect_is_an_answer_not_an_instruction(small):
    small.served.pages["/go"] = (302, b"", {"Location": f"{small.served.url}/health"})
    assert web.get(f"{small.served.url}/go", timeout=2, allow_private=True).status == 302
    assert [path for path, _ in small.served.hits] == ["/go"]


def test_certificate_authorities_are_read_for_https_only(small, monkeypatch):
    """Reading them takes longer than a look over plain HTTP; over HTTPS nothing is trusted without them."""
    read = []

    def reader(context, *places, **_):
        read.append(places)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", reader)
    assert web.get(f"{small.served.url}/health", timeout=2, allow_private=True).status == 200
    assert read == []
    with pytest.raises(Unreachable):
        web.get(small.served.url.replace("http:", "https:") + "/health", timeout=2, allow_private=True)
    assert read


def test_no_proxy_of_the_environment_is_used(small, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert web.get(f"{small.served.url}/health", timeout=2, allow_private=True).status == 200


def test_a_large_body_is_refused(small):
    small.served.pages["/big"] = (200, b"x" * 70_000, {})
    with pytest.raises(ToolFailed) as refused:
        web.get(f"{small.served.url}/big", timeout=2, allow_private=True)
    assert refused.value.reason_code == "answer-too-large"


def test_nobody_there_is_unreachable():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unreachable) as failed:
        web.get(f"http://127.0.0.1:{port}/", timeout=1, allow_private=True)
    assert failed.value.reason_code == "environment-unreachable"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'"x"', b"{", b'{"a": 1, "a": 2}', b'{"a": NaN}', b"\xff", b"[" * 100_000]
)
def test_json_is_strict(body):
    with pytest.raises(ToolFailed) as refused:
        web.strict_json(body, "it")
    assert refused.value.reason_code == "bad-answer"
