"""Which bytes carry a message? A pickled header, then the payload: pickle protocol 5 and its buffers.

Nothing here is fit for strangers: the carrier only ever reads from inproc and from the tree's own 0700
directory.
"""

import pickle
from typing import Any

from actors.values import messages
from actors.values.messages import Message

KINDS: tuple[type[Any], ...] = (
    messages.Call, messages.Cast, messages.Reply, messages.Raised, messages.Item, messages.End, messages.Room,
    messages.Credit, messages.Cancel, messages.Watch, messages.Up, messages.Down, messages.Find, messages.Left,
    messages.Announce, messages.Init, messages.Serving, messages.Stop, messages.Exit,
)  # fmt: skip
NUMBERS = {kind: number for number, kind in enumerate(KINDS)}
FIELDS = {kind: tuple(one.name for one in kind.__attrs_attrs__) for kind in KINDS}


def encode(message: Message, payload: list[bytes] | tuple[bytes, ...] = ()) -> list[bytes]:
    """Frames of one message; `payload` comes from pack."""
    kind = type(message)
    values = [getattr(message, name) for name in FIELDS[kind]]
    return [pickle.dumps((NUMBERS[kind], *values), protocol=5), *payload]


def decode(frames: list[bytes]) -> tuple[Message, list[bytes]]:
    """The message and its payload, still packed: whoever it is for unpacks it, and answers if that fails."""
    number, *values = pickle.loads(frames[0])
    return KINDS[number](*values), frames[1:]


def pack(value: object) -> list[bytes]:
    """Pickle a value; large buffers (arrays, PickleBuffer) become frames of their own."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    # A frame is bytes: inproc hands it over as it is, and the sender may go on writing to its buffer.
    return [body, *(bytes(buffer.raw()) for buffer in buffers)]


def unpack(payload: list[bytes]) -> Any:
    return pickle.loads(payload[0], buffers=payload[1:])
