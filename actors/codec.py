"""Which bytes carry a message? A pickled header, then the payload: pickle protocol 5 and its buffers.

Nothing here is fit for strangers: the carrier only ever reads from inproc and from the tree's own 0700
directory.
"""

import copyreg
import io
import pickle
import sys
import threading
from collections import ChainMap
from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Any, NoReturn
from weakref import WeakValueDictionary

import trio

from actors.values import messages
from actors.values.messages import Message

KINDS: tuple[type[Any], ...] = (
    messages.Call, messages.Cast, messages.Reply, messages.Raised, messages.Item, messages.End, messages.Room,
    messages.Credit, messages.Cancel, messages.Watch, messages.Up, messages.Down, messages.Find, messages.Left,
    messages.Announce, messages.Init, messages.Serving, messages.Stop, messages.Log, messages.Exit,
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
    """Pickle a value; large buffers (arrays, PickleBuffer) become frames of their own.

    Raises TypeError for what belongs to one Trio run or one thread, and what pickle raises.
    """
    buffers: list[pickle.PickleBuffer] = []
    file = io.BytesIO()
    _Pickler(file, 5, buffer_callback=buffers.append).dump(value)
    # A frame is bytes: inproc hands it over as it is, and the sender may go on writing to its buffer.
    return [file.getvalue(), *(bytes(buffer.raw()) for buffer in buffers)]


def pack_arguments(
    receiver: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], names: Sequence[str] = ()
) -> list[bytes]:
    """Pickle the arguments of a message or a constructor. Raises TypeError, which names the one that cannot travel.

    `names`: those of the positional parameters, where they are known.
    """
    try:
        return pack((args, kwargs))
    except Exception as error:
        called = [names[n] if n < len(names) else str(n + 1) for n in range(len(args))]
        for name, value in (*zip(called, args, strict=True), *kwargs.items()):
            if not _travels(value):
                raise TypeError(f"argument {name} of {receiver} cannot travel to an actor: {error}") from error
        raise


def _travels(value: object) -> bool:
    try:
        pack(value)
    except Exception:
        return False
    return True


CURES: dict[type[Any], str] = {
    **dict.fromkeys(
        (trio.MemorySendChannel, trio.MemoryReceiveChannel),
        "a memory channel belongs to its Trio run; use a message or a stream of an actor instead",
    ),
    **dict.fromkeys(
        (trio.Event, trio.Lock, trio.StrictFIFOLock, trio.Condition, trio.Semaphore, trio.CapacityLimiter),
        "it belongs to its Trio run; keep it in one actor, and let others call that actor",
    ),
    **dict.fromkeys(
        (trio.CancelScope, trio.Nursery, trio.lowlevel.Task, trio.lowlevel.TrioToken),
        "it belongs to its Trio run; start and cancel tasks inside the actor",
    ),
    **dict.fromkeys(
        (trio.SocketStream, trio.SocketListener, trio.SSLStream, trio.Process, trio.StapledStream,
         trio.socket.SocketType),
        "it belongs to its Trio run; open it inside the actor",
    ),
    **dict.fromkeys(
        (type(threading.Lock()), type(threading.RLock()), threading.Event, threading.Condition,
         threading.Semaphore, threading.BoundedSemaphore, threading.Barrier, threading.Thread),
        "it belongs to its process; keep it in one actor, and let others call that actor",
    ),
}  # fmt: skip
"""What cannot travel, though pickle would copy some of it without a word; and what to do instead."""


def _refuse(value: object) -> NoReturn:
    raise TypeError(f"{type(value).__name__} cannot travel: {CURES[type(value)]}")


class _Pickler(pickle.Pickler):
    dispatch_table: Any = ChainMap(dict.fromkeys(CURES, _refuse), copyreg.dispatch_table)  # noqa: RUF012


class _LocalPickler(_Pickler):
    """For a place in this process: what cannot be imported, such as a class within a function, is handed over."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, type | FunctionType) and not importable(value):
            _here[id(value)] = value
            return _found_here, (id(value),)
        return NotImplemented


_here: WeakValueDictionary[int, Any] = WeakValueDictionary()


def _found_here(number: int) -> Any:
    return _here[number]


def importable(value: type | FunctionType) -> bool:
    """Whether a class or function is found where it says that it is defined."""
    found: Any = sys.modules.get(value.__module__)
    for name in value.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is value


def pack_here(value: object) -> list[bytes]:
    """The same as pack, for an actor in this process: classes and functions need not be importable.

    The caller has to keep them until the payload is unpacked.
    """
    file = io.BytesIO()
    _LocalPickler(file, 5).dump(value)
    return [file.getvalue()]


def unpack(payload: list[bytes]) -> Any:
    """Load a value. Its buffers are its own: an array can be written to where the one that was sent could."""
    return pickle.loads(payload[0], buffers=[bytearray(frame) for frame in payload[1:]])
