"""Which paths can be bound? Vacant ones, and those of a socket whose process has ended. A live process keeps its path.

A connection attempt tells whether a process listens at a path. A lock for the path makes one step of the attempt, the
removal of a dead file, bind() and listen(). The lock is a file beside the path. Only its user can open the file, it
exists while the lock is held, and no process waits for the lock.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator

from ..endpoint import IPC_PATH_LIMIT

_TRIES, _PAUSE = 10, 0.001
"""The number of attempts to get a lock that another process holds, and the seconds between two attempts."""


def bind(sock: socket.socket, path: str) -> Callable[[], None]:
    """Have ``sock`` listen at ``path``. Return a function that removes its file; call it while ``sock`` is open.

    Raises OSError. Either its text describes the file at ``path``, or it is the system's own text.
    """
    path = _followed(path)
    _is_dead(path)  # before the lock is made, because this raises for paths that cannot be bound
    with _locked(path):
        if _is_dead(path):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        sock.bind(path)
        sock.listen(1)  # a socket that is bound and does not listen yet looks dead
        status = os.lstat(path)
    absolute = os.path.abspath(path)  # the working directory may be another one later
    return lambda: _remove_own(absolute, (status.st_dev, status.st_ino))


def why_not_reached(path: str) -> str:
    """Return the reason why ``path`` cannot be connected to, if something other than a socket is there, or ""."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return f"there is a link to {os.path.realpath(path)!r}, which does not exist" if os.path.islink(path) else ""
    except OSError:
        return ""
    return "" if stat.S_ISSOCK(mode) else f"{_kind(mode)} is there, not a socket"


def _followed(path: str) -> str:
    """Return ``path``, or the path that it is a symbolic link to. A link is never removed."""
    if not os.path.islink(path):
        return path
    target = os.path.realpath(path)
    if not os.path.exists(target):
        raise OSError(
            errno.EEXIST, f"there is a link to {target!r}, which does not exist; bind that path, or remove the link"
        )
    if len(os.fsencode(target)) > IPC_PATH_LIMIT:
        raise OSError(errno.ENAMETOOLONG, f"there is a link to {target!r}, which is too long for a Unix socket")
    return target


def _is_dead(path: str) -> bool:
    """Return True if ``path`` is a socket on which no process listens, False if the path is vacant.

    Raises OSError in all other cases.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, f"{_kind(mode)} is there, which is not a socket; {_instead(mode)}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except FileNotFoundError:
            return False
        except PermissionError as error:
            raise OSError(
                error.errno, "a socket is there that this user may not write to; bind another path, or remove it"
            ) from None
        except OSError as error:
            # Alive with a full backlog, or a socket for datagrams.
            if error.errno not in (errno.EAGAIN, errno.EPROTOTYPE):
                raise
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    directory, name = os.path.split(path)
    lock = os.path.join(directory, f".{name}.lock")
    handle = _lock(lock)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(lock)  # before the release: a process that gets the lock then sees that the file is gone
        os.close(handle)


def _lock(lock: str) -> int:
    """Return a descriptor of the file ``lock`` that holds its lock. Raises OSError if another process keeps it."""
    for number in range(_TRIES):
        if number:
            time.sleep(_PAUSE)
        handle = _open(lock)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), os.lstat(lock)):
                return handle
        except (BlockingIOError, FileNotFoundError):
            pass
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
    raise OSError(
        errno.EADDRINUSE, f"another process has locked {lock!r} to bind that path; try again, or end that process"
    )


def _open(lock: str) -> int:
    try:
        return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        if os.path.lexists(lock):
            raise OSError(
                error.errno, f"the lock file {lock!r} cannot be opened ({error.strerror}): remove it"
            ) from None
        raise


def _remove_own(path: str, identity: tuple[int, int]) -> None:
    with contextlib.suppress(OSError):
        status = os.lstat(path)
        if (status.st_dev, status.st_ino) == identity:
            os.unlink(path)


def _kind(mode: int) -> str:
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return "a device"
    if stat.S_ISDIR(mode):
        return "a directory"
    return "a named pipe" if stat.S_ISFIFO(mode) else "a file"


def _instead(mode: int) -> str:
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return "bind another path"
    return "bind a path in it" if stat.S_ISDIR(mode) else "bind another path, or remove it"
