"""Where are the sockets? In directories that only this user may enter, swept when they are left behind."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "actors-"
LOCK = "lock"
LONGEST = 70  # bytes; a socket's path may have 107, of which the names below need the rest


def _base() -> Path:
    """The directory for temporary files, or another one if its path is too long for sockets."""
    for base in (tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR", ""), "/tmp", "/var/tmp"):
        if base and len(os.fsencode(base)) <= LONGEST and os.access(base, os.W_OK | os.X_OK):
            return Path(base)
    return Path(tempfile.gettempdir())


@contextmanager
def open_directory() -> Iterator[str]:
    """A new directory; those of trees that were killed are removed."""
    base, owner = _base(), os.getpid()
    _sweep(base)
    path = tempfile.mkdtemp(prefix=PREFIX, dir=base)
    lock = os.open(f"{path}/{LOCK}.new", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        # Locked before it has its name: nobody finds it unlocked while this tree lives.
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.rename(f"{path}/{LOCK}.new", f"{path}/{LOCK}")
        yield path
    finally:
        if os.getpid() == owner:  # a forked copy of this process has a copy of this block
            shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _sweep(base: Path) -> None:
    """Remove the directories whose lock nobody holds: the kernel lets go of it when a process ends, however."""
    for path in base.glob(f"{PREFIX}*"):
        with suppress(OSError):
            lock = os.open(path / LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(lock).st_uid == os.getuid():
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)
