"""Which options does a socket have? Each option has a default, a check, its name in libzmq, and a text for the docs."""

from __future__ import annotations

from collections.abc import Mapping, Set
from difflib import get_close_matches
from typing import Any, TypedDict

from attrs import field, fields, frozen

from . import checks, limits

RECONNECT_ENDS = frozenset({"refused", "handshake", "disconnect"})
"""The kinds of end after which `reconnect_stop` can give up an endpoint."""


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
    """The options of one socket, which are the keyword arguments of its constructor. Times are in seconds.

    Raises ValueError for a value of the wrong type or range.
    """

    linger: float = _option(5.0, checks.seconds, "ZMQ_LINGER", (
        "How long closing waits without progress before it drops the unsent messages. Each message or byte that a "
        "peer takes restarts the time. 0: drop at once. math.inf: no limit."))
    send_hwm: int = _option(1000, checks.count(0), "ZMQ_SNDHWM", (
        "The high-water mark of a send queue: the number of messages that may wait for one peer. While the queue is "
        "full, sending to that peer waits, or a type that never waits drops the message. 0: no limit."))
    receive_hwm: int = _option(1000, checks.count(0), "ZMQ_RCVHWM", (
        "The high-water mark of a receive queue: the number of messages of one peer that may wait. While the queue "
        "is full, the socket does not read the connection. Reading also stops when about 1000 messages wait and the "
        "thread is busy. 0: no limit."))
    immediate: bool = _option(False, checks.flag, "ZMQ_IMMEDIATE", (
        "Queue messages for connected peers only. Without a connected peer, send waits instead of queueing for an "
        "endpoint without a connection. A publisher keeps no messages for an absent peer."))
    max_message_size: int | None = _option(None, checks.count_or_none(0), "ZMQ_MAXMSGSIZE", (
        "The maximum size of a received message in bytes, all frames together. A larger message ends the "
        "connection. None: no limit."))
    metadata: Mapping[str, str] = _option({}, checks.metadata, "ZMQ_METADATA", (
        "Properties for the peer, sent in the handshake. The peer finds them in its `Handshaken` event. The names "
        "begin with X-. All properties together have at most 1023 KiB."),
        converter=checks.as_dict)
    conflate: bool = _option(False, checks.flag, "ZMQ_CONFLATE", (
        "Keep only the newest message of each queue. A new message replaces a message that still waits."),
        types="PUSH PULL PUB SUB DEALER")
    routing_id: bytes = _option(b"", checks.some_bytes(0, limits.ROUTING_ID), "ZMQ_ROUTING_ID", (
        "The routing id by which a ROUTER addresses this socket, also after a reconnection. At most 255 bytes. "
        "Empty: the ROUTER chooses one."), types="REQ REP DEALER ROUTER")
    probe_router: bool = _option(False, checks.flag, "ZMQ_PROBE_ROUTER", (
        "Send an empty message on each new connection. A ROUTER at the other end then knows the routing id of this "
        "socket before the first real message."),
        types="REQ DEALER ROUTER")
    router_mandatory: bool = _option(False, checks.flag, "ZMQ_ROUTER_MANDATORY", (
        "Raise `Unroutable` for a message to an unknown routing id, and wait while the queue of the peer is full. "
        "Without this option, such messages are dropped and counted."), types="ROUTER")
    router_handover: bool = _option(False, checks.flag, "ZMQ_ROUTER_HANDOVER", (
        "A new peer with the routing id of a connected peer replaces that peer. Without this option, the new peer "
        "is rejected."),
        types="ROUTER")
    router_notify: Set[str] = _option(frozenset(), checks.names("connect", "disconnect"), "ZMQ_ROUTER_NOTIFY", (
        "Receive [routing id, b\"\"] when a peer connects ('connect'), disconnects ('disconnect'), or both."),
        types="ROUTER", converter=checks.as_frozenset)
    req_correlate: bool = _option(False, checks.flag, "ZMQ_REQ_CORRELATE", (
        "Put a number before each request of send(), and accept only the reply that repeats the number. request() "
        "always does so."), types="REQ")
    req_relaxed: bool = _option(False, checks.flag, "ZMQ_REQ_RELAXED", (
        "Allow the next send() before the reply to the last request. With req_correlate, a reply to an earlier "
        "request is dropped."),
        types="REQ")
    stream_notify: bool = _option(True, checks.flag, "ZMQ_STREAM_NOTIFY", (
        "Receive an empty message when a connection opens and when it closes."), types="STREAM")
    xpub_verbose: bool = _option(False, checks.flag, "ZMQ_XPUB_VERBOSE", (
        "Receive every subscription, not only the first one to each topic."), types="XPUB")
    xpub_verboser: bool = _option(False, checks.flag, "ZMQ_XPUB_VERBOSER", (
        "Receive every subscription and every cancellation, not only the first and the last one of each topic."),
        types="XPUB")
    xpub_manual: bool = _option(False, checks.flag, "ZMQ_XPUB_MANUAL", (
        "A received subscription has no effect by itself. After receiving it, call subscribe() or unsubscribe() for "
        "its peer."),
        types="XPUB")
    xpub_manual_last_value: bool = _option(False, checks.flag, "ZMQ_XPUB_MANUAL_LAST_VALUE", (
        "As xpub_manual. In addition, the first message that is sent after subscribe() goes to that peer only."),
        types="XPUB")
    xpub_nodrop: bool = _option(False, checks.flag, "ZMQ_XPUB_NODROP", (
        "Wait while the queue of any recipient is full, instead of dropping the message for that recipient."),
        types="PUB XPUB RADIO")
    xpub_welcome_message: bytes | None = _option(None, checks.bytes_or_none, "ZMQ_XPUB_WELCOME_MSG", (
        "A message that each new peer gets first. A SUB receives it only if it has a matching subscription."),
        types="PUB XPUB")
    last_values: int = _option(0, checks.count(0), "none", (
        "The number of topics whose last message is kept, and sent to each later subscriber of the topic. Only "
        "messages of several frames are kept, and the topic is the first frame. 0: none."), types="PUB XPUB")
    invert_matching: bool = _option(False, checks.flag, "ZMQ_INVERT_MATCHING", (
        "Deliver the messages that do not match the subscriptions. Set this option on both sides."),
        types="PUB XPUB SUB")
    only_first_subscribe: bool = _option(False, checks.flag, "ZMQ_ONLY_FIRST_SUBSCRIBE", (
        "Only the first frame of a message can be a subscription or cancellation. Without this option, each frame "
        "can."),
        types="PUB XPUB XSUB")
    xsub_verbose_unsubscribe: bool = _option(False, checks.flag, "ZMQ_XSUB_VERBOSE_UNSUBSCRIBE", (
        "Send every cancellation to the publishers, even if the topic has no subscription, or has other "
        "subscriptions."), types="XSUB")
    hello_message: bytes | None = _option(None, checks.bytes_or_none, "ZMQ_HELLO_MSG", (
        "A message that is sent first on each new connection, also after a reconnection."),
        types="ROUTER DEALER CLIENT SERVER PEER")
    disconnect_message: bytes | None = _option(None, checks.bytes_or_none, "ZMQ_DISCONNECT_MSG", (
        "A message that is received as if from the peer, when a peer disconnects that had connected to this socket."),
        types="ROUTER SERVER PEER")
    hiccup_message: bytes | None = _option(None, checks.bytes_or_none, "ZMQ_HICCUP_MSG", (
        "A message that is received as if from the peer, when this socket had connected to the peer and the "
        "connection ends."), types="DEALER CLIENT PEER")
    reconnect_interval: float | None = _option(0.1, checks.seconds_or_none, "ZMQ_RECONNECT_IVL", (
        "The reconnect interval: the pause before the first attempt to connect again. The pause doubles with each "
        "further attempt. None: never reconnect."))
    reconnect_interval_max: float = _option(5.0, checks.seconds, "ZMQ_RECONNECT_IVL_MAX", (
        "The maximum pause between attempts to connect."))
    connect_timeout: float = _option(30.0, checks.seconds, "ZMQ_CONNECT_TIMEOUT", (
        "The maximum duration of one attempt to connect. math.inf: the limit of the system."))
    handshake_timeout: float = _option(30.0, checks.seconds, "ZMQ_HANDSHAKE_IVL", (
        "The maximum duration of the ZMTP handshake of a new connection. math.inf: no limit."))
    heartbeat_interval: float | None = _option(10.0, checks.seconds_or_none, "ZMQ_HEARTBEAT_IVL", (
        "The silence of a ZMTP 3.1 peer after which the socket sends a PING. None: no heartbeats."))
    heartbeat_timeout: float | None = _option(None, checks.seconds_or_none, "ZMQ_HEARTBEAT_TIMEOUT", (
        "The silence after a PING that ends the connection. None: the same as heartbeat_interval."))
    backlog: int = _option(1024, checks.count(1), "ZMQ_BACKLOG", (
        "The number of connections that may wait to be accepted, passed to listen()."))

    # -- connections and the operating system --------------------------------------------------------------

    send_buffer: int | None = _option(None, checks.count_or_none(0), "ZMQ_SNDBUF", (
        "The size of the kernel's send buffer for each connection, in bytes. None: the default of the system; on "
        "ipc 2 MiB, or net.core.wmem_max if that is less."))
    receive_buffer: int | None = _option(None, checks.count_or_none(0), "ZMQ_RCVBUF", (
        "The size of the kernel's receive buffer for each connection, in bytes. None: the default of the system."))
    tcp_keepalive: bool | None = _option(None, checks.flag_or_none, "ZMQ_TCP_KEEPALIVE", (
        "Whether the kernel probes silent tcp connections. None: the default of the system."))
    tcp_keepalive_count: int | None = _option(None, checks.count_or_none(1), "ZMQ_TCP_KEEPALIVE_CNT", (
        "The number of unanswered probes that ends a connection. Used with tcp_keepalive=True. None: the default of "
        "the system."))
    tcp_keepalive_idle: float | None = _option(None, checks.finite_seconds_or_none, "ZMQ_TCP_KEEPALIVE_IDLE", (
        "The silence before the first probe, in whole seconds. Used with tcp_keepalive=True. None: the default of "
        "the system."))
    tcp_keepalive_interval: float | None = _option(None, checks.finite_seconds_or_none, "ZMQ_TCP_KEEPALIVE_INTVL", (
        "The pause between probes, in whole seconds. Used with tcp_keepalive=True. None: the default of the system."))
    tcp_max_retransmit_time: float | None = _option(None, checks.finite_seconds_or_none, "ZMQ_TCP_MAXRT", (
        "How long data on a tcp connection may stay unacknowledged before the kernel ends the connection. None: the "
        "default of the system, which is minutes."))
    type_of_service: int | None = _option(None, checks.count_or_none(0, 255), "ZMQ_TOS", (
        "The type of service byte in the IP header of tcp packets; its upper six bits are the DSCP. None: the "
        "default of the system."))
    priority: int | None = _option(None, checks.count_or_none(0), "ZMQ_PRIORITY", (
        "The priority of tcp packets (SO_PRIORITY), which selects the queue of the network device. 0 to 6 need no "
        "privilege. None: the default of the system."))
    bind_to_device: str | None = _option(None, checks.short_text_or_none, "ZMQ_BINDTODEVICE", (
        "The name of the only network device that tcp may use, such as 'eth0'. None: the routing table decides."))
    busy_poll: int | None = _option(None, checks.count_or_none(0), "ZMQ_BUSY_POLL", (
        "How long a read from tcp polls the network device before it sleeps, in microseconds. None: the default of "
        "the system."))
    ipv6: bool = _option(False, checks.flag, "ZMQ_IPV6", (
        "Whether 'tcp://*:port' listens on all IPv4 and IPv6 addresses, or on IPv4 addresses only. Other endpoints "
        "are not affected."))
    reconnect_jitter: float = _option(0.5, checks.share, "none", (
        "The maximum part of each reconnect pause that is cut off at random, from 0 to 1, so that many clients do "
        "not reconnect at the same moment. 0: the pauses are exact."))
    reconnect_stop: Set[str] = _option(frozenset(), checks.names(*sorted(RECONNECT_ENDS)), "ZMQ_RECONNECT_STOP", (
        "The kinds of end after which the socket gives up an endpoint: 'refused' (no listener), 'handshake' (the "
        "handshake failed), 'disconnect' (the peer was connected and disconnected)."), converter=checks.as_frozenset)
    heartbeat_ttl: float | None = _option(None, checks.time_to_live, "ZMQ_HEARTBEAT_TTL", (
        "The heartbeat TTL that each PING announces: the silence after which the peer may end the connection. At "
        "most 6553.5, in steps of 0.1. None: no TTL, so the peer uses its own limits."))
    tcp_accept_filter: tuple[str, ...] = _option((), checks.networks, "ZMQ_TCP_ACCEPT_FILTER", (
        "The networks, such as '10.0.0.0/8', from which tcp connections are accepted. Connections from other "
        "networks are closed at once. Empty: all networks."), converter=checks.as_tuple)
    ipc_filter_pid: tuple[int, ...] = _option((), checks.numbers, "ZMQ_IPC_FILTER_PID", (
        "The ids of the processes from which ipc connections are accepted, in addition to ipc_filter_uid and "
        "ipc_filter_gid. All three empty: all processes."), converter=checks.as_tuple)
    ipc_filter_uid: tuple[int, ...] = _option((), checks.numbers, "ZMQ_IPC_FILTER_UID", (
        "The ids of the users whose processes may connect over ipc, in addition to ipc_filter_pid and "
        "ipc_filter_gid."), converter=checks.as_tuple)
    ipc_filter_gid: tuple[int, ...] = _option((), checks.numbers, "ZMQ_IPC_FILTER_GID", (
        "The ids of the groups whose processes may connect over ipc, in addition to ipc_filter_pid and "
        "ipc_filter_uid. The supplementary groups of a process count."),
        converter=checks.as_tuple)
    use_fd: int | None = _option(None, checks.count_or_none(0), "ZMQ_USE_FD", (
        "A descriptor that already listens, such as one from systemd. The first bind() to a tcp or ipc endpoint "
        "uses its address and its backlog, and closes the descriptor when the listener ends. None: bind() creates "
        "an OS socket."))
    socks_proxy: str | None = _option(None, checks.proxy, "ZMQ_SOCKS_PROXY", (
        "A SOCKS 5 proxy through which tcp connects, as 'host:port' or '[ipv6]:port'. With 'source:port;host:port', "
        "the connection to the proxy comes from the source address. The proxy looks up host names. None: no proxy."))
    socks_username: str | None = _option(None, checks.short_text_or_none, "ZMQ_SOCKS_USERNAME", (
        "The user name for the proxy. None: the proxy must not require one."))
    socks_password: str | None = _option(None, checks.password, "ZMQ_SOCKS_PASSWORD", (
        "The password for socks_username. It travels to the proxy as plain text."), secret=True)
    read_size: int = _option(256 * 1024, checks.count(1), "ZMQ_IN_BATCH_SIZE", (
        "The maximum number of bytes that one read asks from the kernel. The body of a large frame is read into its "
        "own buffer, without this limit. A smaller value lets other connections be read sooner."))
    write_batch: int = _option(1024, checks.count(1), "ZMQ_OUT_BATCH_SIZE", (
        "The maximum number of waiting messages that are written together."))

    def gives_up_after(self, end: str) -> bool:
        """Return whether the socket gives up an endpoint after this kind of ``end``."""
        return self.reconnect_interval is None or end in self.reconnect_stop


class OptionArguments(TypedDict, total=False):
    """The fields of `Options` as keyword arguments, for editors and type checkers."""

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


_TIMEOUTS = {"timeout", "send_timeout", "receive_timeout", "sndtimeo", "rcvtimeo", "req_timeout"}
_SECURITY = ("curve", "plain", "gssapi", "zap")


def advice_on(name: str, own: list[str]) -> str:
    """Return what to write instead of the unknown option ``name``; ``own`` are the options of the socket type."""
    small = name.lower().removeprefix("zmq_")
    if small in _TIMEOUTS:
        return "write 'with trio.fail_after(seconds):' around the call"
    if small in {"subscribe", "topic", "topics"}:
        return "call subscribe(topic) on the socket"
    if small in {"connect", "bind", "endpoint", "endpoints", "address", "url", "dial", "listen"}:
        return "call bind(endpoint) or connect(endpoint) in the block that opens the socket"
    if small == "options":
        return f"pass each option as a keyword argument, such as {own[0]}"
    if small == "hwm":
        return "use send_hwm and receive_hwm"
    if small == "identity":
        return "the option is called routing_id"
    if small.startswith(_SECURITY):
        return "mq supports only the mechanism NULL so far, which has no encryption"
    for each in fields(Options):
        if each.name in own and each.metadata["libzmq"] == f"ZMQ_{small.upper()}":
            return f"the option is called {each.name}"
    close = get_close_matches(small, own, n=3)
    return f"did you mean {' or '.join(close)}?" if close else f"the options are {', '.join(own)}"


def from_arguments(socket: str, socket_type: str, arguments: OptionArguments) -> Options:
    """Return the `Options` of a new socket.

    Raises TypeError for an option that is unknown, or that ``socket_type`` does not have, with advice.
    """
    known = {each.name: each.metadata["types"] for each in fields(Options)}
    own = [name for name, types in known.items() if not types or socket_type in types]
    for name in arguments:
        if name not in known:
            raise TypeError(f"{socket}() has no option {name!r}: {advice_on(name, own)}")
    options = Options(**arguments)
    for name in arguments:
        if name not in own:
            raise TypeError(f"{socket}() has no option {name!r}: it is for {', '.join(sorted(known[name]))}")
    return options
