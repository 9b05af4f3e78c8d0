"""Why may a message be dropped? This file holds all reasons, which are the keys of ``statistics().dropped``.

A value that a peer can choose (a number, a text, an address) is never part of a reason, because the number of keys
would grow without a bound. The `Dropped` event holds such a value as a detail.
"""

from __future__ import annotations

from typing import NewType

Reason = NewType("Reason", str)
"""Only this file makes reasons, and `docs/sockets.md` lists all of them. tests/layers checks both rules."""

CONNECTION_ENDED = Reason("the connection ended")
ENDPOINT_CLOSED = Reason("its endpoint was closed")
SUBSCRIBER_GONE = Reason("the peer that they were for is gone")
NOT_WANTED_AGAIN = Reason("the peer that they were for came back, and has not asked for them again")
QUEUE_FULL = Reason("its queue was full when they were sent (send_hwm)")
UNACKNOWLEDGED = Reason("unacknowledged")
REPLACED = Reason("replaced by a newer one (conflate)")
UNKNOWN_ADDRESS = Reason("no peer has the routing id that they were addressed to")
REQUESTER_GONE = Reason("replies to a peer that is gone")
UNAWAITED_REPLY = Reason("replies that nobody waits for")
NO_DELIMITER = Reason("requests without an empty frame before their body")
UNRECEIVED = Reason("requests of peers that are gone, which nobody has received")
CAPTURE_FULL = Reason("the proxy's capture could take no more")
PROXY_NOT_TAKEN = Reason("the proxy passed on what cannot be sent, or its addressee was gone")
PROXY_STOPPED = Reason("the proxy ended while a message waited for room")
PROXY_ANSWER = Reason("the proxy's answer found no room")


def does_not_receive(socket_type: str) -> Reason:
    """Return the reason for messages that arrived at a socket that only sends."""
    return Reason(f"{socket_type} does not receive")


def one_frame_only(socket_type: str) -> Reason:
    """Return the reason for messages of several frames that arrived at a socket for single frames."""
    return Reason(f"{socket_type} takes messages of one frame only")
