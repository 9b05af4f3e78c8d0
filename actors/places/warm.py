"""What does the fork server import, so that no child has to? Imported there, and only there."""

import ctypes  # noqa: F401
import os
import signal

import actors.places.guard  # noqa: F401

LOOK = 0.5  # seconds; how often it looks whether its supervisor is still there

# A signal to the whole group, from a terminal, timeout(1) or systemd, is the supervisor's: it says who stops when.
os.setpgid(0, 0)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    # Ignoring also discards what came meanwhile.
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})

_supervisor = os.getppid()


def _look(_number: int, _frame: object) -> None:
    # Others that the supervisor forked may hold open the pipe whose end would tell.
    if os.getppid() != _supervisor:
        os._exit(0)


def _as_usual() -> None:
    # Others use this server too: a Pool ends its workers by SIGTERM.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)


os.register_at_fork(after_in_child=_as_usual)
signal.signal(signal.SIGALRM, _look)
signal.setitimer(signal.ITIMER_REAL, LOOK, LOOK)
