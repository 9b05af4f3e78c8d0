"""How does a child process make sure that it never outlives its supervisor?

Twice over. A thread waits for the end of a pipe that only the supervisor holds open and then leaves at once,
whatever the actor is computing. And the kernel kills the child with the fork server, which ends when its
supervisor does: that reaches a child that never lets go of the interpreter.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing import forkserver

import trio

from actors.life.child import be_child

PR_SET_PDEATHSIG = 1
ORPHANED = 70
TOLD = 71  # left in good order, and has told the reason itself


def main(where: str) -> None:
    """The main function of a child process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor stops us
    _die_with_fork_server()
    _die_with_supervisor()
    trio.run(be_child, where)
    sys.exit(TOLD)


def _die_with_fork_server() -> None:
    # Safe here as the signal follows the forking thread, and the server has but one.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # The server lives as long as anybody holds this pipe: leave that to the supervisor alone.
    alive = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_alive_fd", None)
    if alive is not None:
        forkserver._forkserver._forkserver_alive_fd = None  # type: ignore[attr-defined]
        os.close(alive)


def _die_with_supervisor() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    lifeline = parent.sentinel
    threading.Thread(target=_wait_and_leave, args=(lifeline,), name="lifeline", daemon=True).start()


def _wait_and_leave(lifeline: int) -> None:
    while os.read(lifeline, 4096):
        pass
    os._exit(ORPHANED)
