"""What is ZMTP? The ZeroMQ Message Transport Protocol: RFCs 37 (ZMTP 3.1), 23 (3.0), 15 (2.0) and 13 (1.0)."""

from typing import TypeAlias

from .connection import Connection, Peer
from .encoding_v2 import header_of, more_header_of, wire, wires
from .framing_raw import RawConnection
from .framing_v2 import messages_of

__all__ = [
    "Connection",
    "Conversation",
    "Peer",
    "RawConnection",
    "header_of",
    "messages_of",
    "more_header_of",
    "wire",
    "wires",
]

Conversation: TypeAlias = Connection | RawConnection
