"""How does a child process make sure that it never outlives its supervisor?

Twice over. A thread waits for the supervisor's end (a pidfd, and a pipe that the supervisor holds open) and then
leaves at once, whatever the actor is computing. And the kernel kills the child with the fork server, which ends when
its supervisor does: that reaches a child that never lets go of the interpreter.
"""

import ctypes
import multiprocessing
import os
import select
import signal
import sys
import threading
from multiprocessing import forkserver

import trio

from actors.life import logs
from actors.life.child import be_child

PR_SET_PDEATHSIG = 1
ORPHANED = 70
TOLD = 71  # left in good order, and has told the reason itself
OF_THE_SUPERVISOR = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(where: str, supervisor: int, levels: dict[str, int]) -> None:
    """The main function of a child process; `supervisor` is the pid of its supervisor's process."""
    for number in OF_THE_SUPERVISOR:
        # To the whole group, by a terminal or systemd: the supervisor says who stops when. A handler, as programs
        # that the actor starts would inherit that a signal is ignored.
        signal.signal(number, _leave_it_to_the_supervisor)
    _die_with_fork_server()
    _die_with_supervisor(supervisor)
    trio.run(be_child, where, logs.forward_all(levels))
    sys.exit(TOLD)


def _leave_it_to_the_supervisor(_number: int, _frame: object) -> None:
    pass


def _die_with_fork_server() -> None:
    # Safe here as the signal follows the forking thread, and the server has but one.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # The server lives as long as anybody holds this pipe: leave that to the supervisor alone.
    alive = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_alive_fd", None)
    if alive is not None:
        forkserver._forkserver._forkserver_alive_fd = None  # type: ignore[attr-defined]
        os.close(alive)


def _die_with_supervisor(supervisor: int) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    watched = [parent.sentinel]
    try:
        watched.append(os.pidfd_open(supervisor))
    except ProcessLookupError:
        os._exit(ORPHANED)
    except (AttributeError, OSError):
        pass  # not on this system: there is the pipe, unless the supervisor forks a helper that holds it open
    threading.Thread(target=_wait_and_leave, args=(watched,), name="lifeline", daemon=True).start()


def _wait_and_leave(watched: list[int]) -> None:
    poll = select.poll()
    for fd in watched:
        poll.register(fd, select.POLLIN)
    poll.poll()
    os._exit(ORPHANED)
