"""Which socket types may be connected? RFCs 28 to 31, 41, 48, 49, 51 and 52 as one table."""

from __future__ import annotations

from ...errors import ProtocolError

VALID_PEERS: dict[str, frozenset[str]] = {
    "PAIR": frozenset({"PAIR"}),
    "PUB": frozenset({"SUB", "XSUB"}),
    "SUB": frozenset({"PUB", "XPUB"}),
    "XPUB": frozenset({"SUB", "XSUB"}),
    "XSUB": frozenset({"PUB", "XPUB"}),
    "REQ": frozenset({"REP", "ROUTER"}),
    "REP": frozenset({"REQ", "DEALER"}),
    "DEALER": frozenset({"REP", "DEALER", "ROUTER"}),
    "ROUTER": frozenset({"REQ", "DEALER", "ROUTER"}),
    "PUSH": frozenset({"PULL"}),
    "PULL": frozenset({"PUSH"}),
    "SERVER": frozenset({"CLIENT"}),
    "CLIENT": frozenset({"SERVER"}),
    "RADIO": frozenset({"DISH"}),
    "DISH": frozenset({"RADIO"}),
    "GATHER": frozenset({"SCATTER"}),
    "SCATTER": frozenset({"GATHER"}),
    "PEER": frozenset({"PEER"}),
    "CHANNEL": frozenset({"CHANNEL"}),
}

NUMBERED = ("PAIR", "PUB", "SUB", "REQ", "REP", "DEALER", "ROUTER", "PULL", "PUSH", "XPUB", "XSUB")
"""The types of ZMTP 2.0 and 1.0. The index of a type is its number on the wire (RFC 15)."""

SENDS_IDENTITY = frozenset({"REQ", "DEALER", "ROUTER"})
"""The types that put their identity into READY, even if it is empty."""


def check_peer(ours: str, theirs: str) -> None:
    """Raise `ProtocolError` unless a socket of type ``ours`` may be connected to a socket of type ``theirs``."""
    if theirs not in VALID_PEERS[ours]:
        wanted = " or ".join(sorted(VALID_PEERS[ours]))
        raise ProtocolError(f"incompatible socket types: {ours} talks to {wanted}, the peer is {theirs or 'unnamed'}")
