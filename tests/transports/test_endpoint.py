"""Is every valid endpoint parsed, and every other text refused with advice? No I/O."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import mq
from mq.endpoint import IPC_PATH_LIMIT, Endpoint, Inproc, Ipc, Tcp, parse, why_no_host_name

READ: list[tuple[str, Endpoint]] = [
    ("tcp://127.0.0.1:5555", Tcp("127.0.0.1", 5555)),
    ("tcp://localhost:1", Tcp("localhost", 1)),
    ("tcp://example.org:65535", Tcp("example.org", 65535)),
    ("tcp://my-host_1.example:80", Tcp("my-host_1.example", 80)),
    ("tcp://*:5555", Tcp("*", 5555)),
    ("tcp://eth0:5555", Tcp("eth0", 5555)),
    ("tcp://[::1]:5555", Tcp("::1", 5555)),
    ("tcp://[::]:0", Tcp("::", 0)),
    ("tcp://[fe80::1%eth0]:5555", Tcp("fe80::1%eth0", 5555)),
    ("tcp://127.0.0.1:0;example.org:80", Tcp("example.org", 80, source=("127.0.0.1", 0))),
    ("tcp://[::1]:0;[::1]:80", Tcp("::1", 80, source=("::1", 0))),
    ("tcp://*:7;example.org:80", Tcp("example.org", 80, source=("*", 7))),
    ("ipc:///run/some.sock", Ipc("/run/some.sock")),
    ("ipc://relative/path", Ipc("relative/path")),
    ("ipc://with spaces ; and :// signs", Ipc("with spaces ; and :// signs")),
    ("ipc://@abstract", Ipc("@abstract")),
    ("ipc://*", Ipc("*")),
    ("ipc://" + "x" * IPC_PATH_LIMIT, Ipc("x" * IPC_PATH_LIMIT)),
    ("inproc://name", Inproc("name")),
    ("inproc://any thing: goes/here*", Inproc("any thing: goes/here*")),
    ("inproc://ä", Inproc("ä")),
    ("ipc://not utf-8: \udcff", Ipc("not utf-8: \udcff")),
]


@pytest.mark.parametrize(("text", "endpoint"), READ, ids=[ascii(text[:40]) for text, _ in READ])
def test_an_endpoint_is_read_and_written_back(text: str, endpoint: Endpoint) -> None:
    assert parse(text) == endpoint
    assert str(endpoint) == text


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("tcp://::1:5555", Tcp("::1", 5555)),
        ("tcp://:::*", Tcp("::", 0)),
        ("tcp://fe80::1%eth0:5555", Tcp("fe80::1%eth0", 5555)),
        ("tcp://::1:0;2001:db8::7:80", Tcp("2001:db8::7", 80, source=("::1", 0))),
    ],
)
def test_ipv6_without_brackets_ends_at_the_last_colon(text: str, endpoint: Tcp) -> None:
    assert parse(text) == endpoint
    assert parse(str(endpoint)) == endpoint
    assert "[" in str(endpoint)


@pytest.mark.parametrize("text", [*(text for text, _ in READ), "tcp://127.0.0.1:*", "tcp://a:007", "tcp://::1:5555"])
def test_what_was_written_is_kept_for_errors(text: str) -> None:
    assert parse(text).text == text


@pytest.mark.parametrize(
    "host",
    ["localhost", "a", "A.example", "my_host", "_x._tcp.example", "a-.example", "a--b", "3com.example", "example.",
     "xn--bcher-kva.example", "127.0.0.1", "127.1", "0x7f.1", "::1", "a" * 63 + ".example", ".".join(["a" * 49] * 5)],
)  # fmt: skip
def test_a_host_may_have_such_a_name(host: str) -> None:
    assert why_no_host_name(host) is None


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("in val id", "cannot contain ' '"),
        (" localhost", "cannot contain ' '"),
        ("localhost\n", r"cannot contain '\\n'"),
        ("user@example.org", "cannot contain '@'"),
        ("*.example.org", r"cannot contain '\*'"),
        ("-", "cannot begin with '-'"),
        ("-a.example", "cannot begin with '-'"),
        (".", "1 to 63"),
        (".example", "1 to 63"),
        ("a..b", "1 to 63"),
        ("a" * 64, "1 to 63"),
        (".".join(["a" * 50] * 5), "at most 253"),
    ],
)
def test_no_host_has_such_a_name(host: str, reason: str) -> None:
    found = why_no_host_name(host)
    assert found is not None
    assert re.search(reason, found)


def test_a_star_for_the_port_is_zero() -> None:
    assert parse("tcp://127.0.0.1:*") == parse("tcp://127.0.0.1:0") == Tcp("127.0.0.1", 0)


REFUSED = {
    "": r"has no scheme.*tcp://",
    "127.0.0.1:5555": r"has no scheme.*tcp://",
    "tcp:127.0.0.1:5555": r"has no scheme",
    "tcp//127.0.0.1:5555": r"has no scheme",
    "://127.0.0.1:5555": r"unknown scheme.*use one of tcp://, ipc://, inproc://",
    "TCP://127.0.0.1:5555": r"unknown scheme 'TCP'.*use one of",
    "http://127.0.0.1:80": r"unknown scheme 'http'.*use one of",
    " tcp://127.0.0.1:5555": r"unknown scheme ' tcp'",
    "tcp://": r"no address after 'tcp://'",
    "ipc://": r"no address after 'ipc://'",
    "inproc://": r"no address after 'inproc://'",
    "tcp://127.0.0.1": r"write host:port",
    "tcp://127.0.0.1:": r"write host:port",
    "tcp://:5555": r"write host:port, \[ipv6\]:port or \*:port",
    "tcp://127.0.0.1:5555x": r"write host:port",
    "tcp://127.0.0.1:x": r"write host:port",
    "tcp://127.0.0.1:-1": r"write host:port",
    "tcp://127.0.0.1:+1": r"write host:port",
    "tcp://127.0.0.1: 1": r"write host:port",
    "tcp://127.0.0.1:1\n": r"write host:port",
    "tcp://127.0.0.1:٣": r"write host:port",
    "tcp://127.0.0.1:70000": r"port '70000'; the highest port is 65535",
    "tcp://127.0.0.1:65536": r"port '65536'",
    "tcp://127.0.0.1:" + "9" * 5000: r"port",
    "tcp://::1": r"no valid IPv6 address before its last colon; write host:port or \[ipv6\]:port",
    "tcp://1:2:3:4:5:6:7:5555": r"no valid IPv6 address before its last colon",
    "tcp://127.0.0.1:1:5555": r"no valid IPv6 address before its last colon",
    "tcp://a:1;b:2;c:3": r"write host:port",
    "tcp://[::1]": r"\[ipv6\]:port",
    "tcp://[]:5555": r"no valid IPv6 address in its brackets",
    "tcp://[127.0.0.1]:5555": r"no valid IPv6 address in its brackets",
    "tcp://[::1:5555": r"\[ipv6\]:port",
    "tcp://host:1/path": r"write host:port",
    "tcp://;host:1": r"write host:port",
    "tcp://127.0.0.1:0;": r"write host:port",
    "ipc://@": r"empty abstract name.*ipc://@name",
    "ipc://" + "x" * (IPC_PATH_LIMIT + 1): r"108 bytes.*107.*shorter",
    "ipc://" + "ä" * 54: r"108 bytes",
    "ipc:///tmp/a\0b": r"NUL",
    "inproc://a\0b": r"NUL",
    "tcp://a\0b:1": r"NUL",
    "ipc:///tmp/\ud800": r"an invalid character",
    "tcp://\ud800:1": r"an invalid character",
}


@pytest.mark.parametrize(("text", "advice"), REFUSED.items(), ids=[ascii(text[:30]) for text in REFUSED])
def test_what_is_no_endpoint_is_refused_with_its_text_and_advice(text: str, advice: str) -> None:
    with pytest.raises(mq.InvalidEndpoint, match=advice) as caught:
        parse(text)
    assert repr(text)[:300] in str(caught.value)


@pytest.mark.parametrize("text", ["http://a:1", "TCP://a:1", "udp://a:1", "://"])
def test_an_unknown_scheme_has_an_error_of_its_own(text: str) -> None:
    with pytest.raises(mq.UnsupportedScheme):
        parse(text)


@pytest.mark.parametrize("value", [None, 5555, b"tcp://127.0.0.1:5555", ("127.0.0.1", 5555)])
def test_what_is_no_text_is_a_type_error_with_an_example(value: Any) -> None:
    with pytest.raises(TypeError, match="such as 'tcp://"):
        parse(value)


pieces = st.sampled_from(
    ["tcp", "ipc", "inproc", "://", ":", ";", "*", "@", "[", "]", "::1", "127.0.0.1", "host", "5555", "%", "/", "\0"]
)
almost = st.builds("".join, st.lists(st.one_of(pieces, st.text(max_size=3)), max_size=10))
anything = st.one_of(
    st.text(),
    almost,
    st.builds("{}://{}".format, st.sampled_from(["tcp", "ipc", "inproc"]), st.one_of(almost, st.text())),
)


@given(anything)
@example("ipc://\ud800")
@example("tcp://\ud800:1")
@example("inproc://\ud800")
def test_any_text_is_an_endpoint_or_refused_as_none(text: str) -> None:
    try:
        endpoint = parse(text)
    except mq.InvalidEndpoint:
        return
    assert parse(str(endpoint)) == endpoint
    assert endpoint.text == text
