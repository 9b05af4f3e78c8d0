"""How do subscribers and group members send requests? As commands of RFCs 37 and 48; to older peers as messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from ...errors import ProtocolError
from ...message import Cancel, Join, Leave, Message, Subscribe, frames_of, shortened
from . import encoding_v2, framing_v2
from .commands import encode_command

Request: TypeAlias = type[Subscribe] | type[Cancel] | type[Join] | type[Leave]
Wire: TypeAlias = Callable[[Message], bytes]

REQUESTERS = frozenset({"SUB", "XSUB", "DISH"})
"""Types that send requests among their messages."""

_TOPICS: dict[bytes, Request] = {b"SUBSCRIBE": Subscribe, b"CANCEL": Cancel}
_GROUPS: dict[bytes, Request] = {b"JOIN": Join, b"LEAVE": Leave}

ANSWERED: dict[str, Mapping[bytes, Request]] = {"PUB": _TOPICS, "XPUB": _TOPICS, "RADIO": _GROUPS}
"""For each socket type that receives requests: the commands that `Connection.decode` returns among the messages."""

_COMMANDS: dict[type, Wire] = {
    kind: partial(encode_command, name) for name, kind in (_TOPICS | _GROUPS).items()
}


def requesting(wire: Wire, topics_as_messages: bool) -> Wire:
    """Return a ``wire`` that also encodes requests. Peers before ZMTP 3.1 accept topics only as messages."""
    forms = dict(_COMMANDS)
    if topics_as_messages:
        forms[Subscribe] = lambda topic: wire(b"\x01" + topic)  # type: ignore[operator]
        forms[Cancel] = lambda topic: wire(b"\x00" + topic)  # type: ignore[operator]

    def wire_any(message: Message) -> bytes:
        form = forms.get(message.__class__)
        return wire(message) if form is None else form(message)

    return wire_any


def encoder(wire: Wire) -> Callable[[Sequence[Message]], list[bytes]]:
    """Return an ``encode`` that calls ``wire`` for each message and request."""
    return lambda batch: encoding_v2.gather([wire(message) for message in batch])


class GroupDecoder(framing_v2.Decoder):
    """A decoder for DISH: each message is a group and a body (RFC 48)."""

    _takes_any = False

    def _decode(self, data: bytes, messages: list[Message]) -> None:
        try:
            super()._decode(data, messages)
        finally:
            _check_groups(messages)

    def filled(self, count: int) -> list[Message]:
        messages = super().filled(count)
        _check_groups(messages)
        return messages


def _check_groups(messages: list[Message]) -> None:
    for at, message in enumerate(messages):
        if isinstance(message, bytes) or len(message) != 2:
            del messages[at:]
            frames = len(frames_of(message))
            raise ProtocolError(
                f"malformed message for a DISH: expected a group and a body, received {frames} "
                f"frame{'s'[: frames != 1]}: {shortened(message)}"
            )
