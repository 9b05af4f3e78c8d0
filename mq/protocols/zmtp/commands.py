"""What does a command look like? ``size-of-name name data`` in a command frame; the data of READY are properties."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import ProtocolError
from ...message import shortened

COMMAND, LONG, MORE = 0x04, 0x02, 0x01


def encode_command(name: bytes, data: bytes = b"") -> bytes:
    """Return the frame of a command."""
    body = bytes([len(name)]) + name + data
    if len(body) < 256:
        return bytes([COMMAND, len(body)]) + body
    return bytes([COMMAND | LONG]) + len(body).to_bytes(8, "big") + body


def split_command(body: bytes) -> tuple[bytes, bytes]:
    """Return the name and the data in the ``body`` of a command frame."""
    if not body or len(body) < 1 + body[0] or not body[0]:
        raise ProtocolError(f"malformed command: {shortened(body)} has no complete name")
    end = 1 + body[0]
    return body[1:end], body[end:]


def encode_properties(properties: Mapping[bytes, bytes]) -> bytes:
    """Return ``size-of-name name size-of-value value`` for each property."""
    return b"".join(
        bytes([len(name)]) + name + len(value).to_bytes(4, "big") + value for name, value in properties.items()
    )


def decode_properties(data: bytes) -> dict[bytes, bytes]:
    """Return the properties in the ``data`` of a READY. Names keep their case, because libzmq compares them exactly."""
    properties = {}
    at = 0
    while at < len(data):
        name_end = at + 1 + data[at]
        value_at = name_end + 4
        value_end = value_at + int.from_bytes(data[name_end:value_at], "big")
        if value_end > len(data) or value_at > len(data):
            raise ProtocolError(f"malformed property at byte {at} of {len(data)}: it ends after its command")
        properties[data[at + 1 : name_end]] = data[value_at:value_end]
        at = value_end
    return properties


def decode_error(data: bytes) -> str:
    """Return the reason in the ``data`` of an ERROR command as text."""
    reason = data[1 : 1 + data[0]] if data else b""
    return reason.decode("ascii", "backslashreplace")
