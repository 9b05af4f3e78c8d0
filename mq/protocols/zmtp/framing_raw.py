"""What is sent on a connection without ZMTP? Plain bytes, for STREAM sockets."""

from __future__ import annotations

from collections.abc import Sequence

from ...message import Message
from .connection import Peer


class RawConnection:
    """A `Connection` without greeting, handshake, frames and commands: the bytes of each read are one message."""

    knows_heartbeats = False
    undecided = False
    pings = pongs = 0
    half_open = True
    end_patience = 1.0  # a peer without ZMTP may stay open after our half-close
    space: memoryview | None = None
    unfinished = ""

    def __init__(self) -> None:
        self.peer = Peer("", b"", (0, 0), "NULL", {})
        self.encoded_size = len
        self.time_to_live = 0.0
        self.output: list[bytes] = []

    def take_output(self) -> bytes:
        return b""

    def decode(self, data: bytes) -> list[Message]:
        return [data] if data else []

    def encode(self, batch: Sequence[Message]) -> list[bytes]:
        return [piece for piece in batch if piece]  # type: ignore[misc]

    def filled(self, count: int) -> list[Message]:
        raise AssertionError("there is no space to fill")

    def ping(self, time_to_live: float = 0.0) -> None:
        raise AssertionError("there are no heartbeats")

    def accept(self) -> None:
        """Do nothing: there is no READY."""

    def share(self) -> bool:
        return False
