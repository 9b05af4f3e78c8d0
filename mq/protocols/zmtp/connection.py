"""What is said on one connection? Greeting, handshake, then traffic: bytes in, messages and bytes out.

A `Connection` moves through the steps of `_STEPS`, each naming the bytes it waits for. When the handshake
ends, ``decode`` becomes the decoder's own, so that traffic pays nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen

from ...errors import ProtocolError
from ...message import Message
from . import framing_v2, greeting
from .commands import decode_error, encode_command, split_command
from .mechanisms.null import Null
from .peers import SENDS_IDENTITY, check_peer

_CONTEXT_LIMIT = 16  # RFC 37: a ping context is at most 16 octets
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


class Connection:
    """One side of a ZMTP conversation.

    Feed ``decode`` what comes; send what ``take_output`` returns, at once. When ``peer`` is set, the handshake is
    complete: ``encode`` batches of messages, and ``decode`` returns those that came.
    """

    def __init__(
        self, socket_type: str, *, identity: bytes = b"", max_message_size: int | None = None
    ) -> None:
        properties = {b"Socket-Type": socket_type.encode()}
        if socket_type in SENDS_IDENTITY:
            properties[b"Identity"] = identity
        self.peer: Peer | None = None
        self.time_to_live = 0.0
        """Seconds of silence after which the peer, by its last PING, may be taken for dead; 0.0 for none."""
        self.encode = framing_v2.encode
        self.encoded_size = framing_v2.encoded_size
        self.decode: Callable[[bytes], list[Message]] = self._greet
        self._socket_type = socket_type
        self._mechanism = Null(properties)
        self._decoder = framing_v2.Decoder(self._handshake, max_message_size)
        self._output = [greeting.SIGNATURE]
        self._received = b""
        self._step: str | None = "signature"
        self._version = (0, 0)

    def take_output(self) -> bytes:
        """Return the bytes of greeting, handshake and commands that wait to be sent, once."""
        output = b"".join(self._output)
        self._output.clear()
        return output

    @property
    def has_output(self) -> bool:
        """`take_output` would return something."""
        return bool(self._output)

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
        if self._step is not None:
            return f"the greeting had come up to its {self._step}"
        return self._decoder.unfinished or ("" if self.peer else "its READY had not come")

    # -- greeting ------------------------------------------------------------------------------------------

    def _greet(self, data: bytes) -> list[Message]:
        self._received += data
        while self._step is not None:
            size, step = _STEPS[self._step]
            if self._step == "signature" and self._received:
                greeting.check_signature(self._received[:size])
            if len(self._received) < size:
                return []
            chunk, self._received = self._received[:size], self._received[size:]
            self._step = step(self, chunk)
        data, self._received = self._received, b""
        self.decode = self._decoder.decode
        return self.decode(data)

    def _signature(self, _: bytes) -> str:
        self._output.append(greeting.MAJOR)
        return "version"

    def _major(self, data: bytes) -> str:
        greeting.check_major(data[0])
        self._version = (data[0], 0)
        self._output.append(greeting.rest(self._mechanism.name))
        return "mechanism"

    def _rest(self, data: bytes) -> None:
        minor, mechanism = greeting.read_rest(data)
        self._version = (self._version[0], minor)
        if mechanism != self._mechanism.name:
            raise ProtocolError(
                f"mechanism mismatch: {self._mechanism.name.decode()} here, the peer wants "
                f"{mechanism.decode('ascii', 'backslashreplace') or 'none'}"
            )
        self._output.append(self._mechanism.start())

    # -- handshake -----------------------------------------------------------------------------------------

    def _handshake(self, body: bytes) -> None:
        self._output.append(self._mechanism.receive(*split_command(body)))
        if self._mechanism.theirs is not None:
            self._complete(self._mechanism.theirs)

    def _complete(self, properties: Mapping[bytes, bytes]) -> None:
        socket_type = properties.get(b"Socket-Type", b"").decode("ascii", "backslashreplace")
        check_peer(self._socket_type, socket_type)
        self.peer = Peer(
            socket_type,
            properties.get(b"Identity", b""),
            self._version,
            self._mechanism.name.decode(),
            properties,
        )
        self._decoder.commands_only = False
        self._decoder.on_command = self._command

    # -- traffic -------------------------------------------------------------------------------------------

    @property
    def knows_heartbeats(self) -> bool:
        """PING and PONG came with ZMTP 3.1."""
        return self._version >= (3, 1)

    def ping(self, time_to_live: float = 0.0) -> None:
        """Have the next output ask the peer for a sign of life; it may drop us after ``time_to_live`` seconds."""
        tenths = min(int(time_to_live * 10), 0xFFFF)
        self._output.append(encode_command(b"PING", tenths.to_bytes(2, "big")))

    def _command(self, body: bytes) -> None:
        name, data = split_command(body)
        act = _COMMANDS.get(name)
        if act is not None:  # RFC 37: unknown commands are ignored
            act(self, data)

    def _ping(self, data: bytes) -> None:
        if len(data) < 2:
            raise ProtocolError(f"malformed PING: {len(data)} bytes, at least 2 are needed for the time to live")
        self.time_to_live = int.from_bytes(data[:2], "big") / 10
        if len(self._output) < _ANSWER_LIMIT:
            self._output.append(encode_command(b"PONG", data[2 : 2 + _CONTEXT_LIMIT]))

    def _error(self, data: bytes) -> None:
        raise ProtocolError(f"the peer ended the connection: ERROR {decode_error(data)!r}")


_STEPS: dict[str, tuple[int, Callable[[Connection, bytes], str | None]]] = {
    "signature": (greeting.SIGNATURE_SIZE, Connection._signature),
    "version": (greeting.MAJOR_SIZE, Connection._major),
    "mechanism": (greeting.REST_SIZE, Connection._rest),
}
"""What is received, in order: how many bytes, and what they lead to."""

_COMMANDS: dict[bytes, Callable[[Connection, bytes], None]] = {
    b"PING": Connection._ping,
    b"ERROR": Connection._error,
}
"""What a command does once traffic flows."""
