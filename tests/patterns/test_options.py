"""What can be set, and what is refused? Options are checked where they are written."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest

import mq

SOCKETS = (mq.Push, mq.Pull, mq.Pair)


@pytest.mark.parametrize("kind", SOCKETS)
def test_options_are_keyword_arguments_of_every_socket(kind: type[Any]) -> None:
    socket = kind(linger=1, send_hwm=7, immediate=True, heartbeat_interval=None)
    assert socket.options == mq.Options(linger=1, send_hwm=7, immediate=True, heartbeat_interval=None)


@pytest.mark.parametrize("kind", SOCKETS)
def test_an_unknown_option_names_the_socket_and_the_one_that_was_meant_or_all(kind: type[Any]) -> None:
    with pytest.raises(TypeError) as caught:
        kind(lingre=1)
    assert f"{kind.__name__}() has no option 'lingre': did you mean linger?" in str(caught.value)
    with pytest.raises(TypeError, match=r"has no option 'zzz': the options are linger, send_hwm, "):
        kind(zzz=1)


@pytest.mark.parametrize("kind", SOCKETS)
def test_options_are_not_positional(kind: type[Any]) -> None:
    with pytest.raises(TypeError):
        kind(5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("linger", value) for value in (-1, None, "5", math.nan, True, b"5", -math.inf, 10**400)),
        *(("send_hwm", value) for value in (-1, 1.5, None, "5", math.inf, True)),
        *(("receive_hwm", value) for value in (-1, 1.5, None, "5", math.inf, True)),
        *(("immediate", value) for value in (0, 1, None, "yes")),
        *(("max_message_size", value) for value in (-1, 1.5, "5", True)),
        *(("reconnect_interval", value) for value in (-1, "5", math.nan)),
        *(("reconnect_interval_max", value) for value in (-1, None, "5")),
        *(("connect_timeout", value) for value in (-1, None, "5")),
        *(("handshake_timeout", value) for value in (-1, None, "5")),
        *(("heartbeat_interval", value) for value in (-1, "5", math.nan)),
        *(("heartbeat_timeout", value) for value in (-1, "5", math.nan)),
        *(("backlog", value) for value in (0, -1, 1.5, None)),
        *(("send_buffer", value) for value in (-1, 1.5, "5", True)),
        *(("receive_buffer", value) for value in (-1, 1.5, "5", True)),
        *(("tcp_keepalive", value) for value in (0, 1, -1, "yes")),
        *(("tcp_keepalive_count", value) for value in (0, -1, 1.5, "5")),
        *(("tcp_keepalive_idle", value) for value in (-1, math.inf, math.nan, "5", True)),
        *(("tcp_keepalive_interval", value) for value in (-1, math.inf, math.nan, "5", True)),
        *(("tcp_max_retransmit_time", value) for value in (-1, math.inf, math.nan, "5", True)),
        *(("type_of_service", value) for value in (-1, 256, 1.5, "5")),
        *(("priority", value) for value in (-1, 1.5, "5")),
        *(("bind_to_device", value) for value in ("", "a\0b", "a\ud800", 5, b"lo")),
        *(("busy_poll", value) for value in (-1, 1.5, "5")),
        *(("ipv6", value) for value in (0, 1, None, "yes")),
        *(("heartbeat_ttl", value) for value in (-1, 0, 0.05, 6553.6, math.inf, math.nan, "5", True)),
        *(("tcp_accept_filter", value) for value in (None, "10.0.0.0/8", b"10.0.0.0/8", 10)),
        *((f"ipc_filter_{kind}", value) for kind in ("pid", "uid", "gid") for value in (None, "5", b"5", 5)),
        *((f"ipc_filter_{kind}", value) for kind in ("pid", "uid", "gid") for value in ((-1,), ("5",), (True,))),
        *(("use_fd", value) for value in (-1, 1.5, "3", True)),
        *(("socks_proxy", value) for value in (5, b"a:1", "", "host", "host:", "host:0", "*:1", "::1:x", "a:1;b:0")),
        *(("socks_proxy", value) for value in ("a:1;b:1;c:1", "in val id:1", "-:1", "host :1", "a..b:1")),
        *(("socks_username", value) for value in ("", "u" * 256, "ü" * 128, "\ud800", b"user", 5)),
        *(("read_size", value) for value in (0, -1, 1.5, None, "5", True)),
        *(("write_batch", value) for value in (0, -1, 1.5, None, "5", True)),
        *(("reconnect_jitter", value) for value in (-0.1, 1.1, None, "0.5", math.nan, True)),
        *(("reconnect_stop", value) for value in (None, "refused", b"refused", 1)),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        mq.Pair(**{name: value})
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"linger": 0},
        {"linger": math.inf},
        {"send_hwm": 0, "receive_hwm": 0},
        {"max_message_size": 0},
        {"reconnect_interval": None},
        {"reconnect_interval": 0},
        {"connect_timeout": math.inf, "handshake_timeout": math.inf},
        {"heartbeat_interval": None, "heartbeat_timeout": None},
        {"backlog": 1},
        {"heartbeat_ttl": 0.1},
        {"heartbeat_ttl": 6553.5},
        {"reconnect_jitter": 0},
        {"reconnect_jitter": 1},
    ],
    ids=str,
)
def test_a_value_at_the_edge_is_taken(options: dict[str, Any]) -> None:
    assert attrs.asdict(mq.Pair(**options).options).items() >= options.items()


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset, iter])
def test_ends_are_given_as_any_iterable(kind: type[Any]) -> None:
    socket = mq.Pair(reconnect_stop=kind(["refused", "handshake"]))
    assert socket.options.reconnect_stop == frozenset({"refused", "handshake"})


def test_an_end_that_does_not_exist_is_answered_with_those_that_do() -> None:
    with pytest.raises(ValueError, match=r"reconnect_stop.*'disconnect', 'handshake', 'refused'.*'refusd'"):
        mq.Pair(reconnect_stop=frozenset({"refusd"}))


@pytest.mark.parametrize("kind", [list, tuple, iter])
def test_filters_are_given_as_any_iterable_and_kept_as_tuples(kind: type[Any]) -> None:
    options = mq.Pair(tcp_accept_filter=kind(["10.0.0.1/8", "::1"]), ipc_filter_uid=kind([0, 1000])).options
    assert (options.tcp_accept_filter, options.ipc_filter_uid) == (("10.0.0.1/8", "::1"), (0, 1000))


@pytest.mark.parametrize("network", ["", "10.0.0.0/33", "nowhere", "10.0.0.0/8/8", "::1/129"])
def test_what_is_no_network_is_refused(network: str) -> None:
    with pytest.raises(ValueError, match=f"tcp_accept_filter contains {network!r}, which is not a network"):
        mq.Pair(tcp_accept_filter=("127.0.0.0/8", network))


@pytest.mark.parametrize("name", ["", "X", "x-unit", "Socket-Type", "Identity", "X-ü", "X-" + "u" * 254, b"X-Unit", 5])
def test_a_name_of_a_property_that_cannot_be_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="metadata") as caught:
        mq.Pair(metadata={"X-Good": "7", name: "7"})
    assert repr(name)[:39] in str(caught.value)  # a long name is shortened


@pytest.mark.parametrize("proxy", ["localhost:1080", "127.0.0.1:1080", "[::1]:1080", "lo:0;a_b:1080"])
def test_a_proxy_is_a_host_and_a_port(proxy: str) -> None:
    assert mq.Pair(socks_proxy=proxy).options.socks_proxy == proxy


def test_a_password_is_never_shown() -> None:
    assert "secret" not in repr(mq.Options(socks_username="user", socks_password="secret"))
    for wrong in ({"socks_password": "secret"}, {"socks_username": "user", "socks_password": "secret" * 50}):
        with pytest.raises(ValueError, match="socks_password") as caught:
            mq.Pair(**wrong)  # type: ignore[arg-type]
        assert "secret" not in str(caught.value)


def test_options_do_not_change_afterwards() -> None:
    socket = mq.Pair()
    with pytest.raises(AttributeError):
        socket.options.linger = 0  # type: ignore[misc]


@pytest.mark.parametrize("field", attrs.fields(mq.Options), ids=lambda field: field.name)
def test_every_option_tells_its_libzmq_name_and_what_it_does(field: Any) -> None:
    assert field.metadata["libzmq"] == "none" or field.metadata["libzmq"].startswith("ZMQ_")
    assert field.metadata["text"].endswith(".")
