"""What is sent on one connection? A greeting, a handshake, then traffic: bytes in, messages and bytes out.

After each step, a `Connection` replaces its methods by those for the next step and the version of the peer. So traffic
has no cost for the greeting, for the handshake, or for other versions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from attrs import frozen

from ... import limits
from ...errors import ProtocolError
from ...message import Message, Subscribe, shortened
from . import encoding_v2, framing_v1, framing_v2
from .commands import decode_error, encode_command, split_command
from .greeting import Greeting
from .mechanisms.null import Null
from .peers import SENDS_IDENTITY, check_peer
from .requests import ANSWERED, REQUESTERS, GroupDecoder, encoder, requesting

_CONTEXT_LIMIT = 16  # RFC 37: a ping context is at most 16 octets
_UNREADY = "its READY had not arrived (perhaps it expects another socket type, or has a peer with our routing id)"
_MISMATCH = (
    "perhaps a mechanism mismatch: NULL here, and the peer wants CURVE, PLAIN or GSSAPI, which mq does not have yet"
)
"""libzmq reads our mechanism and closes the connection before it sends its own mechanism."""
_FILTER = b"Filter", b"exact"
"""A property that only `mq` has: the publisher sends no message without a matching subscription."""

_END_PATIENCE = 5.0
"""In seconds. Every implementation of ZMTP closes when it has read the end, so an open connection has unread bytes."""

_ANSWER_LIMIT = 256
"""The limit of PONGs that wait to be sent. Otherwise a peer that sends PINGs and never reads fills the memory."""


@frozen
class Peer:
    """The peer, as its greeting and its READY describe it."""

    socket_type: str
    identity: bytes
    version: tuple[int, int]
    mechanism: str
    properties: Mapping[bytes, bytes]

    @property
    def exact(self) -> bool:
        """Whether the peer announced that it sends no message without a matching subscription."""
        name, value = _FILTER
        return self.properties.get(name) == value

    @property
    def metadata(self) -> dict[str, str]:
        """The metadata of the peer's application: the properties whose names begin with ``X-``."""
        return {
            name.decode("ascii", "backslashreplace"): value.decode("utf-8", "backslashreplace")
            for name, value in self.properties.items()
            if name[:2].upper() == b"X-"
        }


class Connection:
    """One side of a ZMTP connection.

    Pass received bytes to ``decode``, and send the result of ``take_output`` at once. When ``peer`` is set, the
    handshake is complete. Then ``encode`` turns batches of messages into bytes, and ``decode`` returns the received
    messages. Commands for topics and groups are in their place among the messages, as `Subscribe`, `Cancel`, `Join`
    and `Leave`.
    """

    half_open = False
    """Whether a peer that has half-closed may still read. Implementations of ZMTP do not: they close."""

    def __init__(
        self,
        socket_type: str,
        *,
        identity: bytes = b"",
        metadata: Mapping[str, str] | None = None,
        max_message_size: int | None = None,
        chooses: bool = False,
        exact: bool = False,
    ) -> None:
        """``metadata`` are properties of the application for the peer; their names start with ``X-``.

        If ``chooses``, the READY is sent only when `accept` is called, so the socket can choose its peers by their
        READY. If ``exact``, the READY announces that the socket sends no message without a matching subscription.
        """
        properties = {b"Socket-Type": socket_type.encode()}
        if exact:
            properties |= [_FILTER]
        if socket_type in SENDS_IDENTITY:
            properties[b"Identity"] = identity
        properties |= {name.encode(): value.encode() for name, value in (metadata or {}).items()}
        self.peer: Peer | None = None
        self.time_to_live = 0.0
        """The heartbeat TTL in the last PING of the peer, in seconds; 0 if it announced none."""
        self.pings = 0
        """The number of PINGs that were sent."""
        self.pongs = 0
        """The number of PONGs that were received. A peer answers each PING with one PONG, in order."""
        self._of_silent_type = False
        self._asked = False
        """The peer has sent a PING, so it may send another PING at any time."""
        self.encode: Callable[[Sequence[Message]], list[bytes]] = encoding_v2.encode
        self.encoded_size: Callable[[Message], int] = encoding_v2.encoded_size
        self.decode: Callable[[bytes], list[Message]] = self._greet
        self._socket_type = socket_type
        self._mechanism = Null(properties)
        self._requests = ANSWERED.get(socket_type, {})
        decoder = GroupDecoder if socket_type == "DISH" else framing_v2.Decoder
        self._decoder: framing_v2.Decoder = decoder(self._handshake, max_message_size)
        self._max_message_size = max_message_size
        self._chooses = chooses
        self._ready = b""
        """Our READY, until it is sent."""
        self.output: list[bytes] = []
        """The greeting, handshake and commands that wait for `take_output`. The list is never replaced."""
        self._greeting = Greeting(self.output.append, socket_type, identity, self._mechanism.name)

    def take_output(self) -> bytes:
        """Return and remove the bytes of greeting, handshake and commands that wait to be sent."""
        output = b"".join(self.output)
        self.output.clear()
        return output

    @property
    def space(self) -> memoryview | None:
        """The buffer for the next bytes while a large frame arrives, or None. Report the bytes to `filled`."""
        return self._decoder.space

    def filled(self, count: int) -> list[Message]:
        """Return messages as ``decode`` does, for ``count`` bytes that were put into `space`."""
        return self._decoder.filled(count)

    @property
    def unfinished(self) -> str:
        """What is incomplete if the connection ends now, for the reason of that end; "" if nothing is."""
        if self._greeting.waits_for is not None:
            guess = f" ({_MISMATCH})" if self._greeting.waits_for == "mechanism" else ""
            return f"the greeting had arrived up to its {self._greeting.waits_for}{guess}"
        return self._decoder.unfinished or ("" if self.peer else _UNREADY)

    @property
    def undecided(self) -> bool:
        """Whether the peer waits for `accept`."""
        return bool(self._ready)

    def accept(self) -> None:
        """Send our READY, if it was not sent yet."""
        if self._ready:
            self.output.append(self._ready)
            self._ready = b""

    # -- greeting ------------------------------------------------------------------------------------------

    def _greet(self, data: bytes) -> list[Message]:
        rest = self._greeting.receive(data)
        if rest is None:
            return []
        if self._greeting.version >= (3, 0):
            self._ready = self._mechanism.start()
            if not self._chooses:
                self.accept()
        else:
            self._meet_old()
        self.decode = self._decoder.decode
        if self._greeting.unversioned and self._socket_type in ("PUB", "XPUB"):
            return self._decode_for_all(rest)
        return self.decode(rest)

    def _meet_old(self) -> None:
        """Begin traffic with a peer of ZMTP 2.0 or 1.0, which has no READY."""
        theirs = self._greeting
        if theirs.version == (1, 0):
            self._decoder = framing_v1.Decoder(_refuse_command, self._max_message_size)
        self._begin(Peer(theirs.socket_type, theirs.identity, theirs.version, self._mechanism.name.decode(), {}))
        self._decoder.on_command = _refuse_command

    def _decode_for_all(self, data: bytes) -> list[Message]:
        """Decode the bytes after the greeting of a ZMTP 1.0 subscriber. It cannot subscribe, and gets all messages."""
        everything: list[Message] = [Subscribe(b"")]
        try:
            return everything + self.decode(data)
        except ProtocolError as error:
            error.completed = everything + error.completed
            raise

    # -- handshake -----------------------------------------------------------------------------------------

    def _handshake(self, body: bytes) -> None:
        self.output.append(self._mechanism.receive(*split_command(body)))
        if self._mechanism.theirs is not None:
            self._complete(self._mechanism.theirs)

    def _complete(self, properties: Mapping[bytes, bytes]) -> None:
        socket_type = properties.get(b"Socket-Type", b"").decode("ascii", "backslashreplace")
        check_peer(self._socket_type, socket_type)
        identity = properties.get(b"Identity", b"")
        if len(identity) > limits.ROUTING_ID:
            raise ProtocolError(
                f"oversize identity: {len(identity)} bytes in READY, at most {limits.ROUTING_ID} are allowed"
            )
        self._begin(Peer(socket_type, identity, self._greeting.version, self._mechanism.name.decode(), properties))
        self._decoder.on_command = self._command

    def _begin(self, peer: Peer) -> None:
        """Select the methods for the version of ``peer``, and begin traffic."""
        self.peer = peer
        self._of_silent_type = peer.socket_type in ("PULL", "GATHER", "SUB", "DISH")
        wire = encoding_v2.wire
        if peer.version == (1, 0):
            wire = framing_v1.wire
            self.encode = framing_v1.encode
            self.encoded_size = framing_v1.encoded_size
        if self._socket_type in REQUESTERS:
            wire_any = requesting(wire, topics_as_messages=peer.version < (3, 1))
            self.encode = encoder(wire_any)
            self.encoded_size = lambda message: len(wire_any(message))
        self._decoder.commands_only = False

    # -- traffic -------------------------------------------------------------------------------------------

    @property
    def knows_heartbeats(self) -> bool:
        """Whether the peer answers PING, which is new in ZMTP 3.1."""
        return self._greeting.version >= (3, 1)

    @property
    def end_patience(self) -> float:
        """The seconds to wait for the peer to close after our half-close, once its kernel has acknowledged all bytes.

        If the peer sends bytes after we have closed, its kernel may discard the messages that it has not read. A peer
        sends nothing if its type sends no messages, it owes no PONG, and it sends no PINGs.
        """
        sends = not self._of_silent_type or self.pings != self.pongs or self._asked
        return _END_PATIENCE if sends else 0.0

    def share(self) -> bool:
        """Make `encode` accept messages that `encoding_v2.wire` has encoded once for many peers.

        Call it after the handshake. Returns whether the peer's version allows that. If not, nothing changes.
        """
        if self.encode is encoding_v2.encode:
            self.encode = encoding_v2.gather  # type: ignore[assignment]
            self.encoded_size = len
        return self.encode is encoding_v2.gather

    def ping(self, time_to_live: float = 0.0) -> None:
        """Add a PING to the output. It announces the heartbeat TTL ``time_to_live`` in seconds, or none if 0.

        On the wire, the TTL has steps of 0.1 seconds, and is at most 6553.5 seconds.
        """
        self.pings += 1
        tenths = int(min(time_to_live * 10 + 1e-9, 0xFFFF)) or int(time_to_live > 0)
        self.output.append(encode_command(b"PING", tenths.to_bytes(2, "big")))

    def _command(self, body: bytes) -> Message | None:
        name, data = split_command(body)
        request = self._requests.get(name)
        if request is not None:
            return request(data)
        act = _COMMANDS.get(name)
        if act is not None:  # RFC 37: unknown commands are ignored
            act(self, data)
        return None

    def _ping(self, data: bytes) -> None:
        if len(data) < 2:
            raise ProtocolError(f"malformed PING: {len(data)} bytes, but the TTL alone has 2")
        self.time_to_live = int.from_bytes(data[:2], "big") / 10
        self._asked = True
        if len(self.output) < _ANSWER_LIMIT:
            self.output.append(encode_command(b"PONG", data[2 : 2 + _CONTEXT_LIMIT]))

    def _pong(self, data: bytes) -> None:
        self.pongs += 1

    def _error(self, data: bytes) -> None:
        raise ProtocolError(f"the peer ended the connection: ERROR {decode_error(data)!r}")


def _refuse_command(body: bytes) -> None:
    raise ProtocolError(f"malformed frame: a command, but ZMTP 2.0 has no commands: {shortened(body)}")


_COMMANDS: dict[bytes, Callable[[Connection, bytes], None]] = {
    b"PING": Connection._ping,
    b"PONG": Connection._pong,
    b"ERROR": Connection._error,
}
"""The effect of each command after the handshake."""
