"""What is said on one connection? Greeting, handshake, then traffic: bytes in, messages and bytes out.

A `Connection` greets, shakes hands and talks. With each step its methods become those that fit the peer's version,
so that traffic pays nothing for what was before, nor for what other peers need.
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
_UNREADY = "its READY had not come (perhaps it wants another type of socket, or has a peer with our routing id)"
_MISMATCH = (
    "perhaps a mechanism mismatch: NULL here, and the peer wants CURVE, PLAIN or GSSAPI, which mq does not have yet"
)
"""libzmq closes the connection when it has read our mechanism, before it has sent its own."""
_FILTER = b"Filter", b"exact"
"""A property of our own, by which a publisher tells that it sends what was asked for and nothing else."""

_END_PATIENCE = 5.0
"""Seconds. An implementation of ZMTP closes as soon as it has read the end, so one that does not has yet to read."""

_ANSWER_LIMIT = 256
"""Answers that may wait to be sent: a peer that asks on and takes none would fill our memory."""


@frozen
class Peer:
    """Who the other side said it is."""

    socket_type: str
    identity: bytes
    version: tuple[int, int]
    mechanism: str
    properties: Mapping[bytes, bytes]

    @property
    def exact(self) -> bool:
        """It sends what was asked for and nothing else, as it says."""
        name, value = _FILTER
        return self.properties.get(name) == value

    @property
    def metadata(self) -> dict[str, str]:
        """What its application tells of itself: the properties whose names begin with ``X-``."""
        return {
            name.decode("ascii", "backslashreplace"): value.decode("utf-8", "backslashreplace")
            for name, value in self.properties.items()
            if name[:2].upper() == b"X-"
        }


class Connection:
    """One side of a ZMTP conversation.

    Feed ``decode`` what comes; send what ``take_output`` returns, at once. When ``peer`` is set, the handshake is
    complete: ``encode`` batches of messages, and ``decode`` returns those that came. What a subscriber or a member of
    a group asks for is in its place among them, as `Subscribe`, `Cancel`, `Join` and `Leave`.
    """

    half_open = False
    """A peer that has ended its own side may still read. Implementations of ZMTP do not: they close."""

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
        """``metadata`` are properties of the application, whose names start with ``X-``, for the peer to read.

        One that ``chooses`` its peers says that it is ready when told to, by `accept`: the peer has said who it is. One
        that is ``exact`` sends what was asked for and nothing else, and tells the peer.
        """
        properties = {b"Socket-Type": socket_type.encode()}
        if exact:
            properties |= [_FILTER]
        if socket_type in SENDS_IDENTITY:
            properties[b"Identity"] = identity
        properties |= {name.encode(): value.encode() for name, value in (metadata or {}).items()}
        self.peer: Peer | None = None
        self.time_to_live = 0.0
        """Seconds of silence after which the peer wants to be dropped, from its last PING; 0 when it did not say."""
        self.pings = 0
        """PINGs that we have sent."""
        self.pongs = 0
        """PONGs that have come. A peer answers each PING with one, in order."""
        self._of_silent_type = False
        self._asked = False
        """The peer has sent a PING, so it may send another at any time."""
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
        """Our READY, as long as it was not said."""
        self.output: list[bytes] = []
        """Greeting, handshake and commands that wait to be sent, for `take_output`. The list is never replaced."""
        self._greeting = Greeting(self.output.append, socket_type, identity, self._mechanism.name)

    def take_output(self) -> bytes:
        """Return the bytes of greeting, handshake and commands that wait to be sent, once."""
        output = b"".join(self.output)
        self.output.clear()
        return output

    @property
    def space(self) -> memoryview | None:
        """Where the next bytes are to be put, when a large frame is on its way; report them to `filled`."""
        return self._decoder.space

    def filled(self, count: int) -> list[Message]:
        """As ``decode``, for ``count`` bytes put into `space`."""
        return self._decoder.filled(count)

    @property
    def unfinished(self) -> str:
        """What is half-way through, for the report of a connection that ends here; "" if nothing."""
        if self._greeting.waits_for is not None:
            guess = f" ({_MISMATCH})" if self._greeting.waits_for == "mechanism" else ""
            return f"the greeting had come up to its {self._greeting.waits_for}{guess}"
        return self._decoder.unfinished or ("" if self.peer else _UNREADY)

    @property
    def undecided(self) -> bool:
        """The peer waits for `accept`."""
        return bool(self._ready)

    def accept(self) -> None:
        """Say that we are ready, if that was not said."""
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
        """Begin to talk to a peer of ZMTP 2.0 or 1.0: its greeting told all there is to know."""
        theirs = self._greeting
        if theirs.version == (1, 0):
            self._decoder = framing_v1.Decoder(_refuse_command, self._max_message_size)
        self._begin(Peer(theirs.socket_type, theirs.identity, theirs.version, self._mechanism.name.decode(), {}))
        self._decoder.on_command = _refuse_command

    def _decode_for_all(self, data: bytes) -> list[Message]:
        """Decode what came with the greeting of a subscriber that cannot say what it wants: it gets all there is."""
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
        """Bind what fits ``peer``."""
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
        """PING and PONG came with ZMTP 3.1."""
        return self._greeting.version >= (3, 1)

    @property
    def end_patience(self) -> float:
        """For how many seconds the peer may take no notice of the end of our side, once its kernel has all bytes.

        If it sends anything after we have closed, its kernel may discard what it has not read. It sends nothing if its
        type sends no messages, and it neither owes a PONG nor sends PINGs.
        """
        sends = not self._of_silent_type or self.pings != self.pongs or self._asked
        return _END_PATIENCE if sends else 0.0

    def share(self) -> bool:
        """Once the handshake is complete: have batches taken as `encoding_v2.wire` encoded them, once for many peers.

        Returns whether this peer can; for one that cannot, nothing changes.
        """
        if self.encode is encoding_v2.encode:
            self.encode = encoding_v2.gather  # type: ignore[assignment]
            self.encoded_size = len
        return self.encode is encoding_v2.gather

    def ping(self, time_to_live: float = 0.0) -> None:
        """Have the next output ask the peer for a sign of life; it may drop us after ``time_to_live`` seconds.

        On the wire they are tenths, at most 6553.5 seconds; 0 says nothing.
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
            raise ProtocolError(f"malformed PING: {len(data)} bytes, at least 2 are needed for the time to live")
        self.time_to_live = int.from_bytes(data[:2], "big") / 10
        self._asked = True
        if len(self.output) < _ANSWER_LIMIT:
            self.output.append(encode_command(b"PONG", data[2 : 2 + _CONTEXT_LIMIT]))

    def _pong(self, data: bytes) -> None:
        self.pongs += 1

    def _error(self, data: bytes) -> None:
        raise ProtocolError(f"the peer ended the connection: ERROR {decode_error(data)!r}")


def _refuse_command(body: bytes) -> None:
    raise ProtocolError(f"malformed frame: a command, of which ZMTP 2.0 knows none: {shortened(body)}")


_COMMANDS: dict[bytes, Callable[[Connection, bytes], None]] = {
    b"PING": Connection._ping,
    b"PONG": Connection._pong,
    b"ERROR": Connection._error,
}
"""What a command does once traffic flows."""
