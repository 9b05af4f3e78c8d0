"""Where does tcp listen and connect to? Addresses, names, interfaces, wildcards, ports in use."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import trio
import zmq

import mq

from ..conftest import married, next_event, until
from ..interop.libzmq import libzmq


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")


def _port(endpoint: str) -> int:
    return int(endpoint.rpartition(":")[2])


async def _talk(bind: str, connect: str) -> tuple[str, str]:
    """Bind ``bind``, connect to ``connect`` with its port, and send a message. Return the endpoint and the peer."""
    async with mq.Pull() as pull, mq.Push() as push:
        bound = pull.bind(bind)
        push.connect(connect.format(port=_port(bound)))
        await push.send(b"hello")
        assert await pull.receive() == b"hello"
        return bound, pull.statistics().peers[0].peer


@pytest.mark.parametrize("wildcard", ["*", "0"])
async def test_the_system_chooses_a_port_and_bind_returns_it(wildcard: str, deadline: None) -> None:
    bound, peer = await _talk(f"tcp://127.0.0.1:{wildcard}", "tcp://127.0.0.1:{port}")
    assert bound.startswith("tcp://127.0.0.1:")
    assert _port(bound) > 0
    assert peer.startswith("tcp://127.0.0.1:")


async def test_a_star_listens_on_every_address(deadline: None) -> None:
    bound, _ = await _talk("tcp://*:*", "tcp://127.0.0.1:{port}")
    assert bound.startswith("tcp://0.0.0.0:")


async def test_localhost_is_the_loopback_address(deadline: None) -> None:
    bound, _ = await _talk("tcp://localhost:*", "tcp://localhost:{port}")
    assert bound.startswith("tcp://127.0.0.1:")


@pytest.mark.skipif(sys.platform != "linux", reason="looks up the loopback interface as Linux names it")
async def test_an_interface_stands_for_its_address(deadline: None) -> None:
    bound, _ = await _talk("tcp://lo:*", "tcp://127.0.0.1:{port}")
    assert bound.startswith("tcp://127.0.0.1:")


@ipv6
@pytest.mark.parametrize(
    ("bind", "connect"),
    [
        ("tcp://[::1]:*", "tcp://[::1]:{port}"),
        ("tcp://[::]:*", "tcp://[::1]:{port}"),
        ("tcp://[::]:*", "tcp://127.0.0.1:{port}"),
        ("tcp://[::1]:*", "tcp://localhost:{port}"),
    ],
)
async def test_ipv6_addresses_stand_in_brackets(bind: str, connect: str, deadline: None) -> None:
    if "localhost" in connect:
        found = {family for family, *_ in await trio.socket.getaddrinfo("localhost", 1)}
        if socket.AF_INET6 not in found:
            pytest.skip("localhost has no IPv6 address here")
    bound, peer = await _talk(bind, connect)
    assert bound.startswith(bind.removesuffix("*"))
    assert peer.startswith("tcp://[")


@ipv6
async def test_an_ipv6_address_leaves_the_port_free_for_ipv4(deadline: None) -> None:
    async with mq.Pull() as pull:
        port = _port(pull.bind("tcp://[::1]:*"))
        pull.bind(f"tcp://127.0.0.1:{port}")


@ipv6
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_a_star_with_ipv6_listens_on_both_families(host: str, deadline: None) -> None:
    async with mq.Pull(ipv6=True) as pull, mq.Push() as push:
        bound = pull.bind("tcp://*:*")
        assert bound.startswith("tcp://[::]:")
        push.connect(f"tcp://{host}:{_port(bound)}")
        await push.send(b"hello")
        assert await pull.receive() == b"hello"


@ipv6
async def test_a_star_without_ipv6_leaves_the_other_family_alone(deadline: None) -> None:
    async with mq.Pull() as pull, mq.Pull(reconnect_interval=None) as other, other.monitor() as events:
        other.connect(f"tcp://[::1]:{_port(pull.bind('tcp://*:*'))}")
        assert "refused" in (await next_event(events, mq.ConnectDelayed)).reason


@ipv6
@pytest.mark.parametrize("bind", ["tcp://127.0.0.1:*", "tcp://localhost:*", "tcp://[::1]:*"])
async def test_ipv6_leaves_addresses_as_they_are(bind: str, deadline: None) -> None:
    async with mq.Pull(ipv6=True) as pull, mq.Pull() as plain:
        assert pull.bind(bind).rpartition(":")[0] == plain.bind(bind).rpartition(":")[0]


@pytest.mark.parametrize(
    "wildcard",
    [
        "tcp://127.0.0.1:*",
        "tcp://*:*",
        "tcp://*:0",
        pytest.param("tcp://[::1]:*", marks=ipv6),
        pytest.param("tcp://[::]:*", marks=ipv6),
    ],
)
async def test_a_wildcard_is_unbound_by_what_bind_returned(wildcard: str, deadline: None) -> None:
    async with mq.Pull() as pull, mq.Pull() as other:
        first, second = pull.bind(wildcard), pull.bind(wildcard)
        assert first != second
        with pytest.raises(mq.InvalidEndpoint, match=re.escape(first)):
            pull.unbind(wildcard)
        pull.unbind(first)
        assert other.bind(first) == first
        pull.unbind(second)
        assert other.bind(second) == second


def _link_local() -> str | None:
    """Return a link-local address of this machine with its zone."""
    try:
        lines = Path("/proc/net/if_inet6").read_text().split("\n")
    except OSError:
        return None
    for digits, _, _, scope, _, name in filter(None, map(str.split, lines)):
        if scope == "20":
            return f"{ipaddress.IPv6Address(bytes.fromhex(digits))}%{name}"
    return None


@pytest.mark.skipif(_link_local() is None, reason="this machine has no link-local address")
async def test_a_link_local_address_has_its_zone(deadline: None) -> None:
    host = _link_local()
    bound, peer = await _talk(f"tcp://[{host}]:*", f"tcp://[{host}]:{{port}}")
    assert bound.startswith(f"tcp://[{host}]:")
    assert peer.startswith(f"tcp://[{host}]:")
    _, peer = await _talk(f"tcp://[{host}]:*", f"tcp://[{host}]:0;[{host}]:{{port}}")
    assert peer.startswith(f"tcp://[{host}]:")
    async with mq.Pull() as pull, mq.Push() as push, push.monitor() as events:
        push.connect(pull.bind(f"tcp://[{host}]:*"))
        assert (await next_event(events, mq.Connected)).peer == push.statistics().peers[0].endpoint


@ipv6
async def test_a_zone_that_is_no_interface_is_refused_with_those_that_are(deadline: None) -> None:
    async with mq.Pull(reconnect_interval=0.01) as pull, pull.monitor() as events:
        with pytest.raises(mq.InvalidEndpoint, match=r"zone 'nowhere'.*\(.*lo"):
            pull.bind("tcp://[fe80::1%nowhere]:*")
        pull.connect("tcp://[fe80::1%nowhere]:5555")
        assert (await next_event(events, mq.ConnectDelayed)).reason


@ipv6
async def test_a_link_local_address_without_its_zone_is_told_which_there_are(deadline: None) -> None:
    async with mq.Pull() as pull:
        with pytest.raises(mq.InvalidEndpoint, match=r"as in \[fe80::1%\w+\]; this machine has") as caught:
            pull.bind("tcp://[fe80::1]:*")
        assert "'tcp://[fe80::1]:*'" in str(caught.value)


@ipv6
async def test_a_device_stands_for_the_zone(deadline: None) -> None:
    async with mq.Pull(bind_to_device="lo") as pull, mq.Push(bind_to_device="lo", linger=0) as push:
        with pytest.raises(mq.BindError):  # that address is nobody's
            pull.bind("tcp://[fe80::1]:*")
        push.connect("tcp://[fe80::1]:1")


@ipv6
async def test_ipv6_works_without_brackets(deadline: None) -> None:
    bound, _ = await _talk("tcp://::1:*", "tcp://::1:{port}")
    assert bound.startswith("tcp://[::1]:")


async def test_a_source_address_is_bound_before_connecting(deadline: None) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        own = probe.getsockname()[1]
    _, peer = await _talk("tcp://127.0.0.1:*", f"tcp://127.0.0.1:{own};127.0.0.1:{{port}}")
    assert peer == f"tcp://127.0.0.1:{own}"


@pytest.mark.parametrize("source", ["127.0.0.1:0", "*:0", "localhost:0"])
async def test_a_source_may_leave_its_port_to_the_system(source: str, deadline: None) -> None:
    _, peer = await _talk("tcp://127.0.0.1:*", f"tcp://{source};127.0.0.1:{{port}}")
    assert peer.startswith("tcp://127.0.0.1:")


@pytest.mark.skipif(sys.platform != "linux", reason="every 127.x address is this machine's on Linux")
async def test_the_source_address_is_what_the_other_side_sees(deadline: None) -> None:
    _, peer = await _talk("tcp://127.0.0.1:*", "tcp://127.0.0.7:0;127.0.0.1:{port}")
    assert peer.startswith("tcp://127.0.0.7:")


async def test_an_address_in_use_raises_at_once_and_says_what_to_do(deadline: None) -> None:
    async with mq.Pull() as first, mq.Pull() as second:
        bound = first.bind("tcp://127.0.0.1:*")
        with pytest.raises(OSError, match="in use") as caught:
            second.bind(bound)
        assert isinstance(caught.value, mq.BindError)
        assert caught.value.errno == errno.EADDRINUSE
        assert repr(bound) in str(caught.value)
        assert "port '*'" in str(caught.value)
        assert second.bind("tcp://127.0.0.1:*") != bound


async def test_an_address_that_is_not_ours_raises_at_once(deadline: None) -> None:
    async with mq.Pull() as pull:
        with pytest.raises(mq.BindError, match="this machine does not have that address") as caught:
            pull.bind("tcp://192.0.2.1:*")
        assert caught.value.errno == errno.EADDRNOTAVAIL
        assert "'tcp://192.0.2.1:*'" in str(caught.value)


async def test_a_host_name_cannot_be_bound(deadline: None) -> None:
    async with mq.Pull() as pull:
        with pytest.raises(mq.InvalidEndpoint, match=r"neither an address nor an interface .*connect\(\)") as caught:
            pull.bind("tcp://example.invalid:*")
        assert "'tcp://example.invalid:*'" in str(caught.value)


@pytest.mark.parametrize(
    ("listed", "bound"),
    [
        ("127.0.0.1 other\n127.0.0.7\tBox.example  box # the machine itself\n", "127.0.0.7"),
        ("::1 box\n127.0.0.7 box\n", "127.0.0.7"),
        pytest.param("fe80::x box\n::1 box\n", "[::1]", marks=ipv6),
    ],
)
async def test_a_name_in_the_hosts_file_is_bound(
    listed: str, bound: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deadline: None
) -> None:
    monkeypatch.setattr("mq.transports.local._HOSTS", tmp_path / "hosts")
    async with mq.Pull() as pull:
        with pytest.raises(mq.InvalidEndpoint):
            pull.bind("tcp://box:*")
        (tmp_path / "hosts").write_text(listed)
        assert pull.bind("tcp://box:*").startswith(f"tcp://{bound}:")
        assert pull.bind("tcp://BOX:*").startswith(f"tcp://{bound}:")
        with pytest.raises(mq.InvalidEndpoint, match="only connect"):
            pull.bind("tcp://the:*")


def _own_names() -> list[str]:
    with suppress(OSError):
        lines = [line.partition("#")[0].split() for line in Path("/etc/hosts").read_text().splitlines()]
        return [name for number, *names in filter(None, lines) if number == "127.0.0.1" for name in names]
    return []


@pytest.mark.skipif(not _own_names(), reason="the hosts file has no name for 127.0.0.1")
async def test_libzmq_binds_the_same_names(deadline: None) -> None:
    async with mq.Pull() as pull:
        for name in _own_names():
            async with libzmq(zmq.PULL) as theirs:
                theirs_bound = theirs.bind(f"tcp://{name}:*")
            assert _host(pull.bind(f"tcp://{name}:*")) == _host(theirs_bound)


def _host(endpoint: str) -> str:
    return endpoint.rpartition(":")[0]


async def test_a_source_cannot_be_bound(deadline: None) -> None:
    async with mq.Pull() as pull:
        with pytest.raises(mq.InvalidEndpoint, match=r"a source address, which is only for connect\(\)"):
            pull.bind("tcp://127.0.0.1:0;127.0.0.1:*")


@pytest.mark.parametrize(
    ("endpoint", "advice"),
    [
        ("tcp://*:5555", r"one host and one port"),
        ("tcp://127.0.0.1:*", r"one host and one port"),
        ("tcp://127.0.0.1:0", r"one host and one port"),
        (f"tcp://{'a' * 64}.example:1", r"1 to 63"),
        ("tcp://a..b:1", r"1 to 63"),
        ("tcp://in val id:1234", r"cannot contain ' '"),
        ("tcp://localhost :1234", r"cannot contain ' '"),
        ("tcp://-:1", r"cannot begin with '-'"),
        ("tcp://127.0.0.256:1", r"at most 255"),
        ("tcp://\N{ONE DOT LEADER}:1", r"not a valid host name"),
        ("tcp://bü cher.example:1", r"not a valid host name"),
        (f"tcp://{'ü' * 70}:1", r"not a valid host name"),
        ("tcp://[fe80::1]:1", r"needs a zone: .* as in \[fe80::1%\w+\]; this machine has"),
        ("tcp://[fe80::1]:0;[::1]:1", r"needs a zone"),
        ("tcp://127.0.0.1:0;[fe80::1]:1", r"needs a zone"),
        ("tcp://no.such.interface:0;127.0.0.1:1", r"neither an address nor an interface"),
    ],
)
async def test_what_cannot_be_connected_to_is_refused_at_once(endpoint: str, advice: str, deadline: None) -> None:
    async with mq.Push() as push:
        with pytest.raises(mq.InvalidEndpoint, match=advice) as caught:
            push.connect(endpoint)
        assert f"endpoint {endpoint!r} " in str(caught.value)
        assert not push.statistics().peers


@pytest.mark.parametrize("host", ["no-such-host.invalid", "no_such_host.invalid.", "bücher.invalid"])
async def test_a_name_that_cannot_be_resolved_is_reported_and_tried_again(host: str, deadline: None) -> None:
    async with mq.Push(reconnect_interval=0.01) as push, push.monitor() as events:
        push.connect(f"tcp://{host}:5555")
        for _ in range(2):
            assert (await next_event(events, mq.ConnectDelayed)).reason


async def test_a_socket_does_not_meet_itself(deadline: None) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        own = probe.getsockname()[1]
    async with mq.Pair(reconnect_interval=0.01) as pair, pair.monitor() as events:
        pair.connect(f"tcp://127.0.0.1:{own};127.0.0.1:{own}")
        assert "reached itself" in (await next_event(events, mq.ConnectDelayed)).reason
        assert not pair.statistics().peers[0].connected


async def test_messages_are_not_held_back_to_be_joined(deadline: None) -> None:
    # Nagle's algorithm and delayed acknowledgements together cost 40 ms for each of these.
    async with married(mq.Pair(), mq.Pair(), "tcp://127.0.0.1:*") as (one, two):
        with trio.fail_after(10):
            for _ in range(500):
                await one.send(b"a")
                await one.send(b"b")
                assert await two.receive() == b"a"
                assert await two.receive() == b"b"
                await two.send(b"c")
                assert await one.receive() == b"c"


async def test_a_closed_listener_frees_its_port_at_once(deadline: None) -> None:
    async with mq.Pull() as pull, mq.Push() as push:
        bound = pull.bind("tcp://127.0.0.1:*")
        push.connect(bound)
        await push.send(b"hello")
        await pull.receive()
        for _ in range(5):
            pull.unbind(bound)
            assert pull.bind(bound) == bound
        await until(lambda: len(pull.statistics().peers) == 1)
