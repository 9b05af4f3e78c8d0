"""How long may something be? The limits that receivers enforce, for senders to check before they send."""

from __future__ import annotations

from .message import shortened

COMMAND = 1024 * 1024
"""Bytes in the body of a command: a receiver ends the connection over a longer one."""

TOPIC = COMMAND - len(b"\x09SUBSCRIBE")
"""Bytes in a topic, which travels in a SUBSCRIBE command."""

METADATA = COMMAND - 1024
"""Bytes that the metadata of the application takes in READY; the rest is for what the socket itself puts there."""

GROUP = 255
"""Bytes in a group (RFC 48)."""

PROPERTY_NAME = 255
"""Bytes in the name of a property in READY (RFC 37)."""

ROUTING_ID = 255
"""Bytes in a routing id (RFC 37)."""


def check_topic(topic: bytes) -> None:
    """Raise ValueError when ``topic`` is too long to be subscribed to at a peer."""
    if len(topic) > TOPIC:
        raise ValueError(
            f"a topic has at most {TOPIC} bytes, got {len(topic)}: the peer would end the connection; subscribe to a "
            "shorter beginning"
        )


def check_group(group: bytes) -> None:
    """Raise ValueError when ``group`` cannot be the name of a group."""
    rule = f"a group has at most {GROUP} bytes and no NUL among them"
    if len(group) > GROUP:
        raise ValueError(f"{rule}, got {len(group)} bytes: use a shorter name, such as a hash")
    if b"\0" in group:
        raise ValueError(f"{rule}, got {shortened(group)}")
