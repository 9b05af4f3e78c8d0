"""How long may a command or a name be? Receivers enforce these limits, so senders check them before sending."""

from __future__ import annotations

from .message import shortened

COMMAND = 1024 * 1024
"""Bytes in the body of a command. A receiver ends the connection if a command is longer."""

TOPIC = COMMAND - len(b"\x09SUBSCRIBE")
"""Bytes in a topic. A topic travels in a SUBSCRIBE command."""

METADATA = COMMAND - 1024
"""Bytes for the metadata of the application in READY. The rest is for the properties that the socket adds."""

GROUP = 255
"""Bytes in a group (RFC 48)."""

PROPERTY_NAME = 255
"""Bytes in the name of a property in READY (RFC 37)."""

ROUTING_ID = 255
"""Bytes in a routing id (RFC 37)."""


def check_topic(topic: bytes) -> None:
    """Raise ValueError if ``topic`` is longer than peers accept."""
    if len(topic) > TOPIC:
        raise ValueError(
            f"a topic has at most {TOPIC} bytes, got {len(topic)}: the peer would end the connection; subscribe to a "
            "shorter prefix"
        )


def check_group(group: bytes) -> None:
    """Raise ValueError if ``group`` is not a valid group."""
    rule = f"a group has at most {GROUP} bytes and contains no NUL"
    if len(group) > GROUP:
        raise ValueError(f"{rule}, got {len(group)} bytes: use a shorter name, such as a hash")
    if b"\0" in group:
        raise ValueError(f"{rule}, got {shortened(group)}")
