"""Is an error a shortage, and which limit can the user raise? Shortages of descriptors, memory and threads.

A shortage passes. So background work reports the shortage, and tries again later.
"""

from __future__ import annotations

import errno
import os

PASSING = (OSError, MemoryError)
"""The exceptions after which background work continues. Any other exception is a bug of `mq`, and is raised."""

_MEMORY = "give it more memory (ulimit -v, memory.max of its control group)"
ADVICE = {
    errno.EMFILE: "raise the limit of open files of this process (ulimit -n)",
    errno.ENFILE: "raise the limit of open files of this machine (sysctl fs.file-max)",
    errno.ENOMEM: _MEMORY,
    errno.ENOBUFS: _MEMORY,
    errno.ENOSPC: "raise the limit of what epoll watches (sysctl fs.epoll.max_user_watches)",
}
"""The advice for each error number that means a shortage."""


class NoThread(OSError):
    """The system cannot start a thread. The text states the purpose of the thread, and the limit to raise."""

    def __init__(self, text: str) -> None:
        super().__init__(errno.EAGAIN, text)


def is_shortage(error: BaseException) -> bool:
    """Return whether ``error`` means a shortage, and not a fault."""
    return isinstance(error, (MemoryError, NoThread)) or (isinstance(error, OSError) and error.errno in ADVICE)


def reason_of(error: BaseException) -> str:
    """Return why background work failed: the text of the system, and the limit to raise."""
    if isinstance(error, MemoryError):
        return f"{os.strerror(errno.ENOMEM)}: {_MEMORY}"
    if not isinstance(error, OSError):
        return str(error)
    reason, advice = error.strerror or str(error), ADVICE.get(error.errno or 0)
    return f"{reason}: {advice}" if advice else reason


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first exception in ``group`` that is not a group itself."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first
