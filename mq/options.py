"""What can be set on a socket? Each option with its libzmq name, its unit and its default."""

from __future__ import annotations

import ipaddress
import math
import sys
from collections.abc import Iterable, Mapping, Set
from typing import Any, TypedDict

from attrs import Attribute, field, fields, frozen

from .endpoint import Tcp, parse
from .errors import InvalidEndpoint


def _check_seconds(name: str, value: Any) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not (0 <= value <= sys.float_info.max or value == math.inf):  # not NaN, nor an int beyond floats
        raise ValueError(f"{name} is in seconds, 0 or more, or math.inf; got {value!r}")


def _seconds(_: object, attribute: Attribute[float], value: Any) -> None:
    _check_seconds(attribute.name, value)


def _seconds_or_none(_: object, attribute: Attribute[float | None], value: Any) -> None:
    if value is not None:
        _check_seconds(attribute.name, value)


def _count(minimum: int, maximum: float = math.inf) -> Any:
    limits = f"of at least {minimum}" if maximum == math.inf else f"from {minimum} to {maximum}"

    def check(_: object, attribute: Attribute[int | None], value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
            raise ValueError(f"{attribute.name} is a whole number {limits}; got {value!r}")

    return check


def _count_or_none(minimum: int, maximum: float = math.inf) -> Any:
    check = _count(minimum, maximum)

    def check_if_given(instance: object, attribute: Attribute[int | None], value: Any) -> None:
        if value is not None:
            check(instance, attribute, value)

    return check_if_given


def _flag(_: object, attribute: Attribute[Any], value: Any) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{attribute.name} is True or False; got {value!r}")


def _bytes(minimum: int, maximum: int | None = None) -> Any:
    def check(_: object, attribute: Attribute[bytes], value: Any) -> None:
        if not isinstance(value, bytes):
            raise ValueError(f"{attribute.name} is bytes; got {value!r}")
        if len(value) < minimum or (maximum is not None and len(value) > maximum):
            raise ValueError(f"{attribute.name} has {minimum} to {maximum} bytes; got {len(value)}")

    return check


def _bytes_or_none(_: object, attribute: Attribute[bytes | None], value: Any) -> None:
    if value is not None and not isinstance(value, bytes):
        raise ValueError(f"{attribute.name} is bytes or None; got {value!r}")


def _names(*known: str) -> Any:
    def check(_: object, attribute: Attribute[frozenset[str]], value: Any) -> None:
        if not isinstance(value, frozenset) or not value <= set(known):
            raise ValueError(f"{attribute.name} is a set of {', '.join(map(repr, known))}; got {value!r}")

    return check


def _metadata(_: object, attribute: Attribute[Mapping[str, str]], value: Any) -> None:
    if not isinstance(value, Mapping):
        raise ValueError(f"{attribute.name} maps names to texts, as in {{'X-Unit': '7'}}; got {value!r}")
    for name, text in value.items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise ValueError(f"{attribute.name} maps names to texts; got {name!r}: {text!r}")
        if not name.startswith("X-") or not name.isascii() or len(name) > 255:
            raise ValueError(f"{attribute.name} has names like 'X-Unit', of at most 255 characters; got {name!r}")


def _flag_or_none(instance: object, attribute: Attribute[bool | None], value: Any) -> None:
    if value is not None:
        _flag(instance, attribute, value)


def _finite_seconds_or_none(_: object, attribute: Attribute[float | None], value: Any) -> None:
    if value is not None:
        _check_seconds(attribute.name, value)
        if value == math.inf:
            raise ValueError(f"{attribute.name} is a number of seconds, or None for the system's own; got {value!r}")


def _is_short_text(value: Any) -> bool:
    try:
        return isinstance(value, str) and "\0" not in value and 1 <= len(value.encode()) <= 255
    except UnicodeEncodeError:
        return False


def _short_text_or_none(_: object, attribute: Attribute[str | None], value: Any) -> None:
    if value is not None and not _is_short_text(value):
        raise ValueError(f"{attribute.name} is a text of 1 to 255 bytes, or None; got {value!r}")


def _share(_: object, attribute: Attribute[float], value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f"{attribute.name} is a share, from 0 to 1; got {value!r}")


def _time_to_live(_: object, attribute: Attribute[float | None], value: Any) -> None:
    if value is not None:
        _check_seconds(attribute.name, value)
        if not 0.1 <= value <= 6553.5:
            raise ValueError(f"{attribute.name} is from 0.1 to 6553.5 seconds, or None; got {value!r}")


RECONNECT_ENDS = frozenset({"refused", "handshake", "disconnect"})
"""How an attempt to connect, or a connection, may end in a way that is known for good."""


def _as_frozenset(value: Any) -> Any:
    """Return a set of what is given; what makes none stays as it is, for the validator to refuse."""
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        value = tuple(value)
        if all(isinstance(each, str) for each in value):
            return frozenset(value)
    return value


def _as_tuple(value: Any) -> Any:
    """Return a tuple of what is given; what makes none stays as it is, for the validator to refuse."""
    return tuple(value) if isinstance(value, Iterable) and not isinstance(value, (str, bytes)) else value


def _networks(_: object, attribute: Attribute[tuple[str, ...]], value: Any) -> None:
    if not isinstance(value, tuple) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"{attribute.name} is a tuple of networks such as '10.0.0.0/8'; got {value!r}")
    for each in value:
        try:
            ipaddress.ip_network(each, strict=False)
        except ValueError as error:
            raise ValueError(f"{attribute.name} has {each!r}, which is no network: {error}") from None


def _numbers(_: object, attribute: Attribute[tuple[int, ...]], value: Any) -> None:
    whole = isinstance(value, tuple) and all(isinstance(each, int) and not isinstance(each, bool) for each in value)
    if not whole or any(each < 0 for each in value):
        raise ValueError(f"{attribute.name} is a tuple of whole numbers, 0 or more; got {value!r}")


def _proxy(_: object, attribute: Attribute[str | None], value: Any) -> None:
    if value is None:
        return
    try:
        proxy = parse(f"tcp://{value}" if isinstance(value, str) else "")
    except InvalidEndpoint:
        proxy = None
    if not isinstance(proxy, Tcp) or proxy.source is not None or proxy.host == "*" or not proxy.port:
        raise ValueError(f"{attribute.name} is 'host:port' or '[ipv6]:port', or None; got {value!r}")


def _password(instance: Options, attribute: Attribute[str | None], value: Any) -> None:
    if value is not None and not _is_short_text(value):
        raise ValueError(f"{attribute.name} is a text of 1 to 255 bytes, or None; got something else, not shown here")
    if value is not None and instance.socks_username is None:
        raise ValueError(f"{attribute.name} is given without socks_username: give both")


def _option(
    default: Any,
    validator: Any,
    libzmq: str,
    text: str,
    *,
    types: str = "",
    converter: Any = None,
    secret: bool = False,
) -> Any:
    metadata = {"libzmq": libzmq, "text": text, "types": frozenset(types.split())}
    return field(default=default, validator=validator, converter=converter, metadata=metadata, repr=not secret)


@frozen(kw_only=True)
class Options:
    """The options of one socket: the keyword arguments of its constructor. Times are in seconds."""

    linger: float = _option(5.0, _seconds, "ZMQ_LINGER", (
        "How long leaving the block waits for a peer that takes nothing, before it drops what is unsent; every "
        "message taken starts the time anew. 0 drops at once, math.inf waits for ever."))
    send_hwm: int = _option(1000, _count(0), "ZMQ_SNDHWM", (
        "Messages that may wait for one peer before sending to it blocks. 0: no limit."))
    receive_hwm: int = _option(1000, _count(0), "ZMQ_RCVHWM", (
        "Messages received from one peer that may wait here before its connection is no longer read. 0: no limit."))
    immediate: bool = _option(False, _flag, "ZMQ_IMMEDIATE", (
        "Never queue for an endpoint that is not connected: send waits for a connected peer instead."))
    max_message_size: int | None = _option(None, _count_or_none(0), "ZMQ_MAXMSGSIZE", (
        "Bytes in one received message, all frames together; a peer that sends more loses its connection. "
        "None: no limit."))
    metadata: Mapping[str, str] = _option({}, _metadata, "ZMQ_METADATA", (
        "Properties that the peer is told in the handshake; their names begin with X-."))
    conflate: bool = _option(False, _flag, "ZMQ_CONFLATE", (
        "Keep only the newest message of each queue: a message that still waits is replaced by the next."),
        types="PUSH PULL PUB SUB DEALER")
    routing_id: bytes = _option(b"", _bytes(0, 255), "ZMQ_ROUTING_ID", (
        "What a ROUTER at the other end knows this socket by, also after a reconnection; at most 255 bytes. Empty: it "
        "chooses."), types="REQ REP DEALER ROUTER")
    probe_router: bool = _option(False, _flag, "ZMQ_PROBE_ROUTER", (
        "Send an empty message on every new connection, so that a ROUTER there knows this peer before it speaks."),
        types="REQ DEALER ROUTER")
    router_mandatory: bool = _option(False, _flag, "ZMQ_ROUTER_MANDATORY", (
        "Raise `Unroutable` for a message to a peer that is not there, and wait while its queue is full, instead of "
        "dropping and counting it."), types="ROUTER")
    router_handover: bool = _option(False, _flag, "ZMQ_ROUTER_HANDOVER", (
        "A new peer with the routing id of one that is there takes its place, instead of being turned away."),
        types="ROUTER")
    router_notify: Set[str] = _option(frozenset(), _names("connect", "disconnect"), "ZMQ_ROUTER_NOTIFY", (
        "Receive [routing id, b\"\"] when a peer has come ('connect'), has gone ('disconnect'), or both."),
        types="ROUTER", converter=_as_frozenset)
    req_correlate: bool = _option(False, _flag, "ZMQ_REQ_CORRELATE", (
        "Put a number before each request that is sent with send(), and take only the reply that repeats it. "
        "request() always does."), types="REQ")
    req_relaxed: bool = _option(False, _flag, "ZMQ_REQ_RELAXED", (
        "Allow the next send() before the reply has come; that reply is dropped when it comes with req_correlate."),
        types="REQ")
    stream_notify: bool = _option(True, _flag, "ZMQ_STREAM_NOTIFY", (
        "Receive an empty message when a connection has come and when it has gone."), types="STREAM")
    xpub_verbose: bool = _option(False, _flag, "ZMQ_XPUB_VERBOSE", (
        "Receive every subscription, not only the first to each topic."), types="XPUB")
    xpub_verboser: bool = _option(False, _flag, "ZMQ_XPUB_VERBOSER", (
        "Receive every subscription and every cancellation, not only the first and the last of each topic."),
        types="XPUB")
    xpub_manual: bool = _option(False, _flag, "ZMQ_XPUB_MANUAL", (
        "Subscriptions take no effect by themselves: receive one, and call subscribe() or unsubscribe() for its peer."),
        types="XPUB")
    xpub_manual_last_value: bool = _option(False, _flag, "ZMQ_XPUB_MANUAL_LAST_VALUE", (
        "As xpub_manual, and the first message sent after subscribe() goes to that peer alone."), types="XPUB")
    xpub_nodrop: bool = _option(False, _flag, "ZMQ_XPUB_NODROP", (
        "Wait while the queue of any peer that a message is for is full, instead of dropping it for that peer."),
        types="PUB XPUB RADIO")
    xpub_welcome_message: bytes | None = _option(None, _bytes_or_none, "ZMQ_XPUB_WELCOME_MSG", (
        "Sent to each new peer before anything else; a SUB must have subscribed to it."), types="PUB XPUB")
    last_values: int = _option(0, _count(0), "none", (
        "Topics whose last message is kept and sent to whoever subscribes to them later. A topic is the first frame of "
        "a message of several. 0: none."), types="PUB XPUB")
    invert_matching: bool = _option(False, _flag, "ZMQ_INVERT_MATCHING", (
        "Deliver what does not match the subscriptions. To be set on both sides."), types="PUB XPUB SUB")
    only_first_subscribe: bool = _option(False, _flag, "ZMQ_ONLY_FIRST_SUBSCRIBE", (
        "Take only the first frame of a message for a subscription or cancellation, not each of them."),
        types="PUB XPUB XSUB")
    xsub_verbose_unsubscribe: bool = _option(False, _flag, "ZMQ_XSUB_VERBOSE_UNSUBSCRIBE", (
        "Pass on every cancellation, also of a topic that is not, or still, subscribed to."), types="XSUB")
    hello_message: bytes | None = _option(None, _bytes_or_none, "ZMQ_HELLO_MSG", (
        "Sent first on every new connection, also after a reconnection."), types="ROUTER DEALER CLIENT SERVER PEER")
    disconnect_message: bytes | None = _option(None, _bytes_or_none, "ZMQ_DISCONNECT_MSG", (
        "Received, as from the peer, when one that had connected to this socket is gone."), types="ROUTER SERVER PEER")
    hiccup_message: bytes | None = _option(None, _bytes_or_none, "ZMQ_HICCUP_MSG", (
        "Received, as from the peer, when one that this socket had connected to is gone."), types="DEALER CLIENT PEER")
    reconnect_interval: float | None = _option(0.1, _seconds_or_none, "ZMQ_RECONNECT_IVL", (
        "Pause before the first attempt to connect again; doubled at each further one. None: never reconnect."))
    reconnect_interval_max: float = _option(5.0, _seconds, "ZMQ_RECONNECT_IVL_MAX", (
        "Longest pause between attempts to connect."))
    connect_timeout: float = _option(30.0, _seconds, "ZMQ_CONNECT_TIMEOUT", (
        "How long one attempt to connect may take. math.inf: as long as the system tries."))
    handshake_timeout: float = _option(30.0, _seconds, "ZMQ_HANDSHAKE_IVL", (
        "How long a new connection may take to complete the ZMTP handshake. math.inf: for ever."))
    heartbeat_interval: float | None = _option(10.0, _seconds_or_none, "ZMQ_HEARTBEAT_IVL", (
        "Silence after which a ZMTP 3.1 peer is sent a PING. None: no heartbeats."))
    heartbeat_timeout: float | None = _option(None, _seconds_or_none, "ZMQ_HEARTBEAT_TIMEOUT", (
        "Silence after a PING that ends the connection. None: as long as heartbeat_interval."))
    backlog: int = _option(1024, _count(1), "ZMQ_BACKLOG", (
        "Connections that may wait to be accepted; passed to listen()."))

    # -- connections and the operating system --------------------------------------------------------------

    send_buffer: int | None = _option(None, _count_or_none(0), "ZMQ_SNDBUF", (
        "Bytes that the kernel may hold for one peer to take. None: as the system chooses."))
    receive_buffer: int | None = _option(None, _count_or_none(0), "ZMQ_RCVBUF", (
        "Bytes from one peer that the kernel may hold for us to read. None: as the system chooses."))
    tcp_keepalive: bool | None = _option(None, _flag_or_none, "ZMQ_TCP_KEEPALIVE", (
        "Whether the kernel probes silent tcp connections. None: as the system chooses."))
    tcp_keepalive_count: int | None = _option(None, _count_or_none(1), "ZMQ_TCP_KEEPALIVE_CNT", (
        "Probes without an answer that end a connection. With tcp_keepalive on; None: as the system chooses."))
    tcp_keepalive_idle: float | None = _option(None, _finite_seconds_or_none, "ZMQ_TCP_KEEPALIVE_IDLE", (
        "Silence before the first probe, in whole seconds. With tcp_keepalive on; None: as the system chooses."))
    tcp_keepalive_interval: float | None = _option(None, _finite_seconds_or_none, "ZMQ_TCP_KEEPALIVE_INTVL", (
        "Pause between probes, in whole seconds. With tcp_keepalive on; None: as the system chooses."))
    tcp_max_retransmit_time: float | None = _option(None, _finite_seconds_or_none, "ZMQ_TCP_MAXRT", (
        "How long what was written to a tcp connection may go unacknowledged before the kernel ends it. None: as the "
        "system chooses, which is minutes."))
    type_of_service: int | None = _option(None, _count_or_none(0, 255), "ZMQ_TOS", (
        "The byte in the IP header of tcp that routers sort by: DSCP in its upper six bits. None: as the system "
        "chooses."))
    priority: int | None = _option(None, _count_or_none(0), "ZMQ_PRIORITY", (
        "The queue of the network device that tcp's packets go to, 0 to 6 without a privilege. None: as the system "
        "chooses."))
    bind_to_device: str | None = _option(None, _short_text_or_none, "ZMQ_BINDTODEVICE", (
        "The one network device, as 'eth0', that tcp may use. None: as routes say."))
    busy_poll: int | None = _option(None, _count_or_none(0), "ZMQ_BUSY_POLL", (
        "Microseconds for which reading tcp polls the network device before it sleeps. None: as the system chooses."))
    ipv6: bool = _option(False, _flag, "ZMQ_IPV6", (
        "Whether 'tcp://*:port' listens on all addresses of both families, or of IPv4 only. Addresses and names are "
        "taken as they are."))
    reconnect_jitter: float = _option(0.5, _share, "none", (
        "The share by which each pause between attempts to connect may be cut at random, so that many clients do not "
        "come back in step. 0: pauses are exactly reconnect_interval, doubled each time."))
    reconnect_stop: Set[str] = _option(frozenset(), _names(*sorted(RECONNECT_ENDS)), "ZMQ_RECONNECT_STOP", (
        "The kinds of end after which an endpoint is given up: 'refused' (nobody listens there), 'handshake' (it "
        "failed), 'disconnect' (the peer was there and is gone)."), converter=_as_frozenset)
    heartbeat_ttl: float | None = _option(None, _time_to_live, "ZMQ_HEARTBEAT_TTL", (
        "Silence after a PING of ours for which the peer may take us for dead: it is told so in each PING. At most "
        "6553.5, in steps of 0.1. None: as the peer likes."))
    tcp_accept_filter: tuple[str, ...] = _option((), _networks, "ZMQ_TCP_ACCEPT_FILTER", (
        "The networks, as '10.0.0.0/8', from which tcp connections are accepted; others are closed at once. Empty: "
        "from everywhere."), converter=_as_tuple)
    ipc_filter_pid: tuple[int, ...] = _option((), _numbers, "ZMQ_IPC_FILTER_PID", (
        "The processes from which ipc connections are accepted, together with those of the users and groups below. "
        "All three empty: from everybody."), converter=_as_tuple)
    ipc_filter_uid: tuple[int, ...] = _option((), _numbers, "ZMQ_IPC_FILTER_UID", (
        "The users from whose processes ipc connections are accepted, as above."), converter=_as_tuple)
    ipc_filter_gid: tuple[int, ...] = _option((), _numbers, "ZMQ_IPC_FILTER_GID", (
        "The groups from whose processes ipc connections are accepted, as above; supplementary groups count."),
        converter=_as_tuple)
    use_fd: int | None = _option(None, _count_or_none(0), "ZMQ_USE_FD", (
        "A descriptor that listens already, as systemd hands one over: the first bind() to a tcp or ipc endpoint takes "
        "it, its address and its backlog, and closes it when it is done. None: bind() makes its own."))
    socks_proxy: str | None = _option(None, _proxy, "ZMQ_SOCKS_PROXY", (
        "A SOCKS 5 proxy, as 'host:port' or '[ipv6]:port', through which tcp connects. Names of hosts are its to look "
        "up. None: directly."))
    socks_username: str | None = _option(None, _short_text_or_none, "ZMQ_SOCKS_USERNAME", (
        "The name to give to a proxy that asks for one. None: it must not ask."))
    socks_password: str | None = _option(None, _password, "ZMQ_SOCKS_PASSWORD", (
        "The password that belongs to socks_username. It goes to the proxy as plain text."), secret=True)
    read_size: int = _option(256 * 1024, _count(1), "ZMQ_IN_BATCH_SIZE", (
        "Bytes asked from the kernel at most in one read, other than the body of a large frame, which is read into its "
        "place. Less lets other connections have their turn sooner."))
    write_batch: int = _option(1024, _count(1), "ZMQ_OUT_BATCH_SIZE", (
        "Messages that wait for a peer and are written together at most."))

    def gives_up_after(self, end: str) -> bool:
        """Return whether an endpoint that has come to this ``end`` is not tried again."""
        return self.reconnect_interval is None or end in self.reconnect_stop


class OptionArguments(TypedDict, total=False):
    """The fields of `Options` as keyword arguments, for type checkers."""

    linger: float
    send_hwm: int
    receive_hwm: int
    immediate: bool
    max_message_size: int | None
    metadata: Mapping[str, str]
    conflate: bool
    routing_id: bytes
    probe_router: bool
    router_mandatory: bool
    router_handover: bool
    router_notify: Set[str]
    req_correlate: bool
    req_relaxed: bool
    stream_notify: bool
    xpub_verbose: bool
    xpub_verboser: bool
    xpub_manual: bool
    xpub_manual_last_value: bool
    xpub_nodrop: bool
    xpub_welcome_message: bytes | None
    last_values: int
    invert_matching: bool
    only_first_subscribe: bool
    xsub_verbose_unsubscribe: bool
    hello_message: bytes | None
    disconnect_message: bytes | None
    hiccup_message: bytes | None
    reconnect_interval: float | None
    reconnect_interval_max: float
    connect_timeout: float
    handshake_timeout: float
    heartbeat_interval: float | None
    heartbeat_timeout: float | None
    backlog: int

    send_buffer: int | None
    receive_buffer: int | None
    tcp_keepalive: bool | None
    tcp_keepalive_count: int | None
    tcp_keepalive_idle: float | None
    tcp_keepalive_interval: float | None
    tcp_max_retransmit_time: float | None
    type_of_service: int | None
    priority: int | None
    bind_to_device: str | None
    busy_poll: int | None
    ipv6: bool
    reconnect_jitter: float
    reconnect_stop: Set[str]
    heartbeat_ttl: float | None
    tcp_accept_filter: tuple[str, ...]
    ipc_filter_pid: tuple[int, ...]
    ipc_filter_uid: tuple[int, ...]
    ipc_filter_gid: tuple[int, ...]
    use_fd: int | None
    socks_proxy: str | None
    socks_username: str | None
    socks_password: str | None
    read_size: int
    write_batch: int


def from_arguments(socket: str, socket_type: str, arguments: OptionArguments) -> Options:
    """Build `Options`, naming the socket and the options that it has when one is unknown or not for its type."""
    known = {each.name: each.metadata["types"] for each in fields(Options)}
    own = [name for name, types in known.items() if not types or socket_type in types]
    for name in arguments:
        if name not in known:
            raise TypeError(f"{socket}() has no option {name!r}; it has {', '.join(own)}")
    options = Options(**arguments)
    for name in arguments:
        if name not in own:
            raise TypeError(f"{socket}() has no option {name!r}, which is for {', '.join(sorted(known[name]))}")
    return options
