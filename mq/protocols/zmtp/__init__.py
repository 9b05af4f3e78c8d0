"""The ZeroMQ Message Transport Protocol, RFC 37 (ZMTP 3.1) and 23 (3.0)."""

from .connection import Connection, Peer

__all__ = ["Connection", "Peer"]
