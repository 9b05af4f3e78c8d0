"""What does Jupyter send over its sockets? Messages of four signed JSON parts; a connection file names the endpoints.

Used by jupyter_client.py and jupyter_kernel.py. https://jupyter-client.readthedocs.io/en/stable/messaging.html
"""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import field, frozen

_DELIMITER = b"<IDS|MSG>"


@frozen
class Message:
    """A header, the header of the request that the message answers, and the content."""

    header: dict[str, Any]
    content: dict[str, Any]
    parent: dict[str, Any] = field(factory=dict)
    way: list[bytes] = field(factory=list)
    """The frames before the message: routing ids of the way back, or the topic."""

    @property
    def kind(self) -> str:
        return str(self.header["msg_type"])

    @property
    def id(self) -> str:
        return str(self.header["msg_id"])

    def answers(self, request: Message) -> bool:
        return self.parent.get("msg_id") == request.id


class Session:
    """One side of a conversation: makes headers, signs messages, and checks signatures."""

    def __init__(self, key: str, user: str) -> None:
        self._key = key.encode()
        self._user = user
        self._id = uuid.uuid4().hex

    def message(
        self, kind: str, content: dict[str, Any], parent: Message | None = None, way: list[bytes] | None = None
    ) -> Message:
        """Make a message. With ``parent``, the message answers ``parent`` and uses its way back."""
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": kind,
            "session": self._id,
            "username": self._user,
            "date": datetime.now(UTC).isoformat(),
            "version": "5.4",
        }
        if parent is None:
            return Message(header, content, way=way or [])
        return Message(header, content, parent.header, parent.way if way is None else way)

    def pack(self, message: Message) -> list[bytes]:
        parts = [json.dumps(part).encode() for part in (message.header, message.parent, {}, message.content)]
        return [*message.way, _DELIMITER, self._sign(parts), *parts]

    def unpack(self, frames: list[bytes]) -> Message:
        """Return the message in ``frames``. Raises ValueError if there is none, or the signature is wrong."""
        if _DELIMITER not in frames:
            raise ValueError(f"this is no message of Jupyter's: it has no frame {_DELIMITER!r}")
        start = frames.index(_DELIMITER)
        signature, *parts = frames[start + 1 : start + 6]
        if not hmac.compare_digest(signature, self._sign(parts)):
            raise ValueError("a message came whose signature is not that of our key")
        # Some programs write null for a dictionary that is empty, such as the parent header of a request.
        header, parent, metadata, content = (json.loads(part) or {} for part in parts)
        if not all(isinstance(part, dict) for part in (header, parent, metadata, content)) or not header:
            raise ValueError("a message came whose header, parent header, metadata or content is no dictionary")
        return Message(header, content, parent, frames[:start])

    def _sign(self, parts: list[bytes]) -> bytes:
        if not self._key:
            return b""
        return hmac.new(self._key, b"".join(parts), hashlib.sha256).hexdigest().encode()


@frozen
class ConnectionFile:
    """The file that the starter of a kernel writes for the kernel and its clients."""

    fields: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> ConnectionFile:
        return cls(json.loads(path.read_text()))

    @property
    def key(self) -> str:
        return str(self.fields["key"])

    def endpoint(self, channel: str) -> str:
        """Return the endpoint of ``channel``: shell, control, iopub, stdin or hb."""
        transport, ip, port = self.fields["transport"], self.fields["ip"], self.fields[f"{channel}_port"]
        return f"{transport}://{ip}{':' if transport == 'tcp' else '-'}{port}"
