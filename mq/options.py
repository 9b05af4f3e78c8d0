"""What can be set on a socket? Each option with its libzmq name, its unit and its default."""

from __future__ import annotations

from collections.abc import Mapping, Set
from difflib import get_close_matches
from typing import Any, TypedDict

from attrs import field, fields, frozen

from . import checks, limits

RECONNECT_ENDS = frozenset({"refused", "handshake", "disconnect"})
"""How an attempt to connect, or a connection, may end in a way that is known for good."""


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

    linger: float = _option(5.0, checks.seconds, "ZMQ_LINGER", (
        "How long leaving the block waits for a peer that takes nothing, before it drops what is unsent; every "
        "message taken starts the time anew. 0 drops at once, math.inf waits for ever."))
    send_hwm: int = _option(1000, checks.count(0), "ZMQ_SNDHWM", (
        "Messages that may wait for one peer before sending to it blocks. 0: no limit."))
    receive_hwm: int = _option(1000, checks.count(0), "ZMQ_RCVHWM", (
        "Messages received from one peer that may wait here before its connection is no longer read. 0: no limit. "
        "While the thread is busy, about a thousand are enough for that."))
    immediate: bool = _option(False, checks.flag, "ZMQ_IMMEDIATE", (
        "Never queue for an endpoint that is not connected: send waits for a connected peer instead."))
    max_message_size: int | None = _option(None, checks.count_or_none(0), "ZMQ_MAXMSGSIZE", (
        "Bytes in one received message, all frames together; a peer that sends more loses its connection. "
        "None: no limit."))
    metadata: Mapping[str, str] = _option({}, checks.metadata, "ZMQ_METADATA", (
        "Properties that the peer is told in the handshake; their names begin with X-. At most 1023 KiB in all."),
        converter=checks.as_dict)
    conflate: bool = _option(False, checks.flag, "ZMQ_CONFLATE", (
        "Keep only the newest message of each queue: a message that still waits is replaced by the next."),
        types="PUSH PULL PUB SUB DEALER")
    routing_id: bytes = _option(b"", checks.some_bytes(0, limits.ROUTING_ID), "ZMQ_ROUTING_ID", (
        "What a ROUTER at the other end knows this socket by, also after a reconnection; at most 255 bytes. Empty: it "
        "chooses."), types="REQ REP DEALER ROUTER")
    probe_router: bool = _option(False, checks.flag, "ZMQ_PROBE_ROUTER", (
        "Send an empty message on every new connection, so that a ROUTER there knows this peer before it speaks."),
        types="REQ DEALER ROUTER")
    router_mandatory: bool = _option(False, checks.flag, "ZMQ_ROUTER_MANDATORY", (
        "Raise `Unroutable` for a message to a peer that is not there, and wait while its queue is full, instead of "
        "dropping and counting it."), types="ROUTER")
    router_handover: bool = _option(False, checks.flag, "ZMQ_ROUTER_HANDOVER", (
        "A new peer with the routing id of one that is there takes its place, instead of being turned away."),
        types="ROUTER")
    router_notify: Set[str] = _option(frozenset(), checks.names("connect", "disconnect"), "ZMQ_ROUTER_NOTIFY", (
        "Receive [routing id, b\"\"] when a peer has come ('connect'), has gone ('disconnect'), or both."),
        types="ROUTER", converter=checks.as_frozenset)
    req_correlate: bool = _option(False, checks.flag, "ZMQ_REQ_CORRELATE", (
        "Put a number before each request that is sent with send(), and take only the reply that repeats it. "
        "request() always does."), types="REQ")
    req_relaxed: bool = _option(False, checks.flag, "ZMQ_REQ_RELAXED", (
        "Allow the next send() before the reply has come; that reply is dropped when it comes with req_correlate."),
        types="REQ")
    stream_notify: bool = _option(True, checks.flag, "ZMQ_STREAM_NOTIFY", (
        "Receive an empty message when a connection has come and when it has gone."), types="STREAM")
    xpub_verbose: bool = _option(False, checks.flag, "ZMQ_XPUB_VERBOSE", (
        "Receive every subscription, not only the first to each topic."), types="XPUB")
    xpub_verboser: bool = _option(False, checks.flag, "ZMQ_XPUB_VERBOSER", (
        "Receive every subscription and every cancellation, not only the first and the last of each topic."),
        types="XPUB")
    xpub_manual: bool = _option(False, checks.flag, "ZMQ_XPUB_MANUAL", (
        "Subscriptions take no effect by themselves: receive one, and call subscribe() or unsubscribe() for its peer."),
        types="XPUB")
    xpub_manual_last_value: bool = _option(False, checks.flag, "ZMQ_XPUB_MANUAL_LAST_VALUE", (
        "As xpub_manual, and the first message sent after subscribe() goes to that peer alone."), types="XPUB")
    xpub_nodrop: bool = _option(False, checks.flag, "ZMQ_XPUB_NODROP", (
        "Wait while the queue of any peer that a message is for is full, instead of dropping it for that peer."),
        types="PUB XPUB RADIO")
    xpub_welcome_message: bytes | None = _option(None, checks.bytes_or_none, "ZMQ_XPUB_WELCOME_MSG", (
        "Sent to each new peer before anything else; a SUB must have subscribed to it."), types="PUB XPUB")
    last_values: int = _option(0, checks.count(0), "none", (
        "Topics whose last message is kept and sent to whoever subscribes to them later. A topic is the first frame of "
        "a message of several. 0: none."), types="PUB XPUB")
    invert_matching: bool = _option(False, checks.flag, "ZMQ_INVERT_MATCHING", (
        "Deliver what does not match the subscriptions. To be set on both sides."), types="PUB XPUB SUB")
    only_first_subscribe: bool = _option(False, checks.flag, "ZMQ_ONLY_FIRST_SUBSCRIBE", (
        "Take only the first frame of a message for a subscription or cancellation, not each of them."),
        types="PUB XPUB XSUB")
    xsub_verbose_unsubscribe: bool = _option(False, checks.flag, "ZMQ_XSUB_VERBOSE_UNSUBSCRIBE", (
        "Pass on every cancellation, also of a topic that is not, or still, subscribed to."), types="XSUB")
    hello_message: bytes | None = _option(None, checks.bytes_or_none, "ZMQ_HELLO_MSG", (
        "Sent first on every new connection, also after a reconnection."), types="ROUTER DEALER CLIENT SERVER PEER")
    disconnect_message: bytes | None = _option(None, checks.bytes_or_none, "ZMQ_DISCONNECT_MSG", (
        "Received, as from the peer, when one that had connected to this socket is gone."), types="ROUTER SERVER PEER")
    hiccup_message: bytes | None = _option(None, checks.bytes_or_none, "ZMQ_HICCUP_MSG", (
        "Received, as from the peer, when one that this socket had connected to is gone."), types="DEALER CLIENT PEER")
    reconnect_interval: float | None = _option(0.1, checks.seconds_or_none, "ZMQ_RECONNECT_IVL", (
        "Pause before the first attempt to connect again; doubled at each further one. None: never reconnect."))
    reconnect_interval_max: float = _option(5.0, checks.seconds, "ZMQ_RECONNECT_IVL_MAX", (
        "Longest pause between attempts to connect."))
    connect_timeout: float = _option(30.0, checks.seconds, "ZMQ_CONNECT_TIMEOUT", (
        "How long one attempt to connect may take. math.inf: as long as the system tries."))
    handshake_timeout: float = _option(30.0, checks.seconds, "ZMQ_HANDSHAKE_IVL", (
        "How long a new connection may take to complete the ZMTP handshake. math.inf: for ever."))
    heartbeat_interval: float | None = _option(10.0, checks.seconds_or_none, "ZMQ_HEARTBEAT_IVL", (
        "Silence after which a ZMTP 3.1 peer is sent a PING. None: no heartbeats."))
    heartbeat_timeout: float | None = _option(None, checks.seconds_or_none, "ZMQ_HEARTBEAT_TIMEOUT", (
        "Silence after a PING that ends the connection. None: as long as heartbeat_interval."))
    backlog: int = _option(1024, checks.count(1), "ZMQ_BACKLOG", (
        "Connections that may wait to be accepted; passed to listen()."))

    # -- connections and the operating system --------------------------------------------------------------

    send_buffer: int | None = _option(None, checks.count_or_none(0), "ZMQ_SNDBUF", (
        "Bytes that the kernel may hold for one peer to take. None: as the system chooses; on ipc 2 MiB, or as much as "
        "net.core.wmem_max allows."))
    receive_buffer: int | None = _option(None, checks.count_or_none(0), "ZMQ_RCVBUF", (
        "Bytes from one peer that the kernel may hold for us to read. None: as the system chooses."))
    tcp_keepalive: bool | None = _option(None, checks.flag_or_none, "ZMQ_TCP_KEEPALIVE", (
        "Whether the kernel probes silent tcp connections. None: as the system chooses."))
    tcp_keepalive_count: int | None = _option(None, checks.count_or_none(1), "ZMQ_TCP_KEEPALIVE_CNT", (
        "Probes without an answer that end a connection. With tcp_keepalive on; None: as the system chooses."))
    tcp_keepalive_idle: float | None = _option(None, checks.finite_seconds_or_none, "ZMQ_TCP_KEEPALIVE_IDLE", (
        "Silence before the first probe, in whole seconds. With tcp_keepalive on; None: as the system chooses."))
    tcp_keepalive_interval: float | None = _option(None, checks.finite_seconds_or_none, "ZMQ_TCP_KEEPALIVE_INTVL", (
        "Pause between probes, in whole seconds. With tcp_keepalive on; None: as the system chooses."))
    tcp_max_retransmit_time: float | None = _option(None, checks.finite_seconds_or_none, "ZMQ_TCP_MAXRT", (
        "How long what was written to a tcp connection may go unacknowledged before the kernel ends it. None: as the "
        "system chooses, which is minutes."))
    type_of_service: int | None = _option(None, checks.count_or_none(0, 255), "ZMQ_TOS", (
        "The byte in the IP header of tcp that routers sort by: DSCP in its upper six bits. None: as the system "
        "chooses."))
    priority: int | None = _option(None, checks.count_or_none(0), "ZMQ_PRIORITY", (
        "The queue of the network device that tcp's packets go to, 0 to 6 without a privilege. None: as the system "
        "chooses."))
    bind_to_device: str | None = _option(None, checks.short_text_or_none, "ZMQ_BINDTODEVICE", (
        "The one network device, as 'eth0', that tcp may use. None: as routes say."))
    busy_poll: int | None = _option(None, checks.count_or_none(0), "ZMQ_BUSY_POLL", (
        "Microseconds for which reading tcp polls the network device before it sleeps. None: as the system chooses."))
    ipv6: bool = _option(False, checks.flag, "ZMQ_IPV6", (
        "Whether 'tcp://*:port' listens on all addresses of both families, or of IPv4 only. Addresses and names are "
        "taken as they are."))
    reconnect_jitter: float = _option(0.5, checks.share, "none", (
        "The share by which each pause between attempts to connect may be cut at random, so that many clients do not "
        "come back in step. 0: pauses are exactly reconnect_interval, doubled each time."))
    reconnect_stop: Set[str] = _option(frozenset(), checks.names(*sorted(RECONNECT_ENDS)), "ZMQ_RECONNECT_STOP", (
        "The kinds of end after which an endpoint is given up: 'refused' (nobody listens there), 'handshake' (it "
        "failed), 'disconnect' (the peer was there and is gone)."), converter=checks.as_frozenset)
    heartbeat_ttl: float | None = _option(None, checks.time_to_live, "ZMQ_HEARTBEAT_TTL", (
        "Silence after a PING of ours for which the peer may take us for dead: it is told so in each PING. At most "
        "6553.5, in steps of 0.1. None: as the peer likes."))
    tcp_accept_filter: tuple[str, ...] = _option((), checks.networks, "ZMQ_TCP_ACCEPT_FILTER", (
        "The networks, as '10.0.0.0/8', from which tcp connections are accepted; others are closed at once. Empty: "
        "from everywhere."), converter=checks.as_tuple)
    ipc_filter_pid: tuple[int, ...] = _option((), checks.numbers, "ZMQ_IPC_FILTER_PID", (
        "The processes from which ipc connections are accepted, together with those of the users and groups below. "
        "All three empty: from everybody."), converter=checks.as_tuple)
    ipc_filter_uid: tuple[int, ...] = _option((), checks.numbers, "ZMQ_IPC_FILTER_UID", (
        "The users from whose processes ipc connections are accepted, as above."), converter=checks.as_tuple)
    ipc_filter_gid: tuple[int, ...] = _option((), checks.numbers, "ZMQ_IPC_FILTER_GID", (
        "The groups from whose processes ipc connections are accepted, as above; supplementary groups count."),
        converter=checks.as_tuple)
    use_fd: int | None = _option(None, checks.count_or_none(0), "ZMQ_USE_FD", (
        "A descriptor that listens already, as systemd hands one over: the first bind() to a tcp or ipc endpoint takes "
        "it, its address and its backlog, and closes it when it is done. None: bind() makes its own."))
    socks_proxy: str | None = _option(None, checks.proxy, "ZMQ_SOCKS_PROXY", (
        "A SOCKS 5 proxy, as 'host:port' or '[ipv6]:port', through which tcp connects; 'source:port;host:port' "
        "connects to it from that address. Names of hosts are its to look up. None: directly."))
    socks_username: str | None = _option(None, checks.short_text_or_none, "ZMQ_SOCKS_USERNAME", (
        "The name to give to a proxy that asks for one. None: it must not ask."))
    socks_password: str | None = _option(None, checks.password, "ZMQ_SOCKS_PASSWORD", (
        "The password that belongs to socks_username. It goes to the proxy as plain text."), secret=True)
    read_size: int = _option(256 * 1024, checks.count(1), "ZMQ_IN_BATCH_SIZE", (
        "Bytes asked from the kernel at most in one read, other than the body of a large frame, which is read into its "
        "place. Less lets other connections have their turn sooner."))
    write_batch: int = _option(1024, checks.count(1), "ZMQ_OUT_BATCH_SIZE", (
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


_TIMEOUTS = {"timeout", "send_timeout", "receive_timeout", "sndtimeo", "rcvtimeo", "req_timeout"}
_SECURITY = ("curve", "plain", "gssapi", "zap")


def advice_on(name: str, own: list[str]) -> str:
    """Say what to write instead of the option ``name``, which there is not; ``own`` are those that there are."""
    small = name.lower().removeprefix("zmq_")
    if small in _TIMEOUTS:
        return "write 'with trio.fail_after(seconds):' around the call"
    if small in {"subscribe", "topic", "topics"}:
        return "call subscribe(topic) on the socket"
    if small in {"connect", "bind", "endpoint", "endpoints", "address", "url", "dial", "listen"}:
        return "call bind(endpoint) or connect(endpoint) in the block that opens the socket"
    if small == "options":
        return f"options are keyword arguments of their own, such as {own[0]}"
    if small == "hwm":
        return "it has send_hwm, receive_hwm"
    if small == "identity":
        return "it is called routing_id"
    if small.startswith(_SECURITY):
        return "mq has no security mechanism but NULL yet"
    for each in fields(Options):
        if each.name in own and each.metadata["libzmq"] == f"ZMQ_{small.upper()}":
            return f"it is called {each.name}"
    close = get_close_matches(small, own, n=3)
    return f"did you mean {' or '.join(close)}?" if close else f"it has {', '.join(own)}"


def from_arguments(socket: str, socket_type: str, arguments: OptionArguments) -> Options:
    """Build `Options`, naming the socket and the options that it has when one is unknown or not for its type."""
    known = {each.name: each.metadata["types"] for each in fields(Options)}
    own = [name for name, types in known.items() if not types or socket_type in types]
    for name in arguments:
        if name not in known:
            raise TypeError(f"{socket}() has no option {name!r}: {advice_on(name, own)}")
    options = Options(**arguments)
    for name in arguments:
        if name not in own:
            raise TypeError(f"{socket}() has no option {name!r}, which is for {', '.join(sorted(known[name]))}")
    return options
