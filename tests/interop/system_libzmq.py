"""How does a test use the libzmq of the operating system? Through ctypes, with the names of pyzmq that it needs."""

from __future__ import annotations

import ctypes
import ctypes.util
from typing import Any

import zmq


class _Message(ctypes.Structure):
    _fields_ = (("_", ctypes.c_uint64 * 8),)


def load() -> ctypes.CDLL | None:
    """Return the library, or None where it is not installed (Debian: libzmq5)."""
    name = ctypes.util.find_library("zmq")
    if name is None:
        return None
    library = ctypes.CDLL(name, use_errno=True)
    for function in ("zmq_ctx_new", "zmq_socket", "zmq_msg_data"):
        getattr(library, function).restype = ctypes.c_void_p
    library.zmq_msg_size.restype = ctypes.c_size_t
    library.zmq_strerror.restype = ctypes.c_char_p
    return library


class Library:
    """Stands where the module ``zmq`` stands for pyzmq's libzmq."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    @property
    def version(self) -> tuple[int, int, int]:
        parts = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        self._library.zmq_version(*map(ctypes.byref, parts))
        major, minor, patch = (part.value for part in parts)
        return major, minor, patch

    def Context(self) -> _Context:
        return _Context(self._library)


class _Context:
    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._context = ctypes.c_void_p(library.zmq_ctx_new())

    def socket(self, kind: int) -> _Socket:
        return _Socket(self._library, ctypes.c_void_p(self._library.zmq_socket(self._context, kind)))

    def term(self) -> None:
        self._library.zmq_ctx_term(self._context)


class _Socket:
    def __init__(self, library: ctypes.CDLL, socket: ctypes.c_void_p) -> None:
        self._library = library
        self._socket = socket

    def _call(self, function: str, *arguments: Any) -> int:
        result: int = getattr(self._library, function)(*arguments)
        if result < 0:
            error = ctypes.get_errno()
            raise OSError(error, f"{function}: {self._library.zmq_strerror(error).decode()}")
        return result

    def bind(self, endpoint: str) -> None:
        self._call("zmq_bind", self._socket, endpoint.encode())

    def connect(self, endpoint: str) -> None:
        self._call("zmq_connect", self._socket, endpoint.encode())

    def setsockopt(self, option: int, value: int | bytes) -> None:
        data = value if isinstance(value, bytes) else ctypes.c_int(value)
        size = len(data) if isinstance(data, bytes) else ctypes.sizeof(data)
        self._call("zmq_setsockopt", self._socket, option, data if isinstance(data, bytes) else ctypes.byref(data),
                   ctypes.c_size_t(size))  # fmt: skip

    def get(self, option: int) -> Any:
        if option == zmq.LAST_ENDPOINT:
            text = ctypes.create_string_buffer(256)
            self._call("zmq_getsockopt", self._socket, option, text, ctypes.byref(ctypes.c_size_t(len(text))))
            return text.value
        number = ctypes.c_int()
        size = ctypes.c_size_t(ctypes.sizeof(number))
        self._call("zmq_getsockopt", self._socket, option, ctypes.byref(number), ctypes.byref(size))
        return number.value

    def send_multipart(self, frames: list[bytes]) -> None:
        for left, frame in zip(range(len(frames) - 1, -1, -1), frames, strict=True):
            flags = zmq.SNDMORE if left else 0
            self._call("zmq_send", self._socket, frame, ctypes.c_size_t(len(frame)), int(flags))

    def recv_multipart(self) -> list[bytes]:
        frames = []
        message = _Message()
        more = True
        while more:
            self._call("zmq_msg_init", ctypes.byref(message))
            self._call("zmq_msg_recv", ctypes.byref(message), self._socket, 0)
            size = self._library.zmq_msg_size(ctypes.byref(message))
            frames.append(ctypes.string_at(self._library.zmq_msg_data(ctypes.byref(message)), size))
            more = bool(self._library.zmq_msg_more(ctypes.byref(message)))
            self._call("zmq_msg_close", ctypes.byref(message))
        return frames

    def close(self) -> None:
        self._call("zmq_close", self._socket)
