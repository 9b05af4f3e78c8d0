"""What has the machine too little of? Descriptors, memory, threads; and which limit the user can raise.

A shortage passes. So background work reports it, and tries again later.
"""

from __future__ import annotations

import errno
import os

PASSING = (OSError, MemoryError)
"""What background work outlives. Any other exception is a fault of this library, and leaves the socket's block."""

_MEMORY = "give it more memory (ulimit -v, memory.max of its control group)"
ADVICE = {
    errno.EMFILE: "raise the limit of open files of this process (ulimit -n)",
    errno.ENFILE: "raise the limit of open files of this machine (sysctl fs.file-max)",
    errno.ENOMEM: _MEMORY,
    errno.ENOBUFS: _MEMORY,
    errno.ENOSPC: "raise the limit of what epoll watches (sysctl fs.epoll.max_user_watches)",
}
"""What to do about the errors that are shortages."""


class NoThread(OSError):
    """The system has no thread for this process. The text says for what, and what to raise."""

    def __init__(self, text: str) -> None:
        super().__init__(errno.EAGAIN, text)


def is_shortage(error: BaseException) -> bool:
    """Return whether ``error`` says that the machine has too little of something, rather than what is wrong."""
    return isinstance(error, (MemoryError, NoThread)) or (isinstance(error, OSError) and error.errno in ADVICE)


def reason_of(error: BaseException) -> str:
    """Return why background work failed: what the system says, and what to raise."""
    if isinstance(error, MemoryError):
        return f"{os.strerror(errno.ENOMEM)}: {_MEMORY}"
    if not isinstance(error, OSError):
        return str(error)
    reason, advice = error.strerror or str(error), ADVICE.get(error.errno or 0)
    return f"{reason}: {advice}" if advice else reason


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first exception in ``group`` that is no group itself."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first
