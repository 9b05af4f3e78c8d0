"""The ZeroMQ Message Transport Protocol, RFCs 37 (ZMTP 3.1), 23 (3.0), 15 (2.0) and 13 (1.0)."""

from .connection import Connection, Peer
from .framing_v2 import READ_SIZE, header_of, wire

__all__ = ["READ_SIZE", "Connection", "Peer", "header_of", "wire"]
