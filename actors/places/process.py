"""A place in a process of its own, forked from a warm server. Being cancelled is being killed: SIGKILL."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING

import trio

from actors.places import guard
from actors.values.reasons import Exited, Reason, Signal

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, ForkServerProcess

ACROSS_PROCESSES = True
KILL_WAIT = 5.0  # a process in uninterruptible sleep cannot be killed, only left behind

log = logging.getLogger("actors")
_lock = threading.Lock()
_context: ForkServerContext | None = None


def _warm() -> ForkServerContext:
    """The fork server's context; the server imports what every child needs, once."""
    global _context
    with _lock:
        if _context is None:
            _context = multiprocessing.get_context("forkserver")
            _context.set_forkserver_preload(["__main__", "actors.places.warm"])
        return _context


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Start the server in this block, so that no signal to the group ends its imports; `warm` then unblocks them."""
    resource_tracker.ensure_running()  # else the first start would start it, and that unblocks
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(where: str, name: str) -> ForkServerProcess:
    process = _warm().Process(target=guard.main, args=(where,), name=name)
    with _lock, _signals_blocked():
        process.start()
    return process


async def run(where: str, name: str) -> Reason | None:
    """Run one incarnation to its end. None: it left in good order and has told the reason itself."""
    with trio.CancelScope(shield=True):
        process = await trio.to_thread.run_sync(_start, where, name)
    try:
        await trio.lowlevel.wait_readable(process.sentinel)
    except trio.Cancelled:
        process.kill()
        with trio.move_on_after(KILL_WAIT, shield=True):
            await trio.lowlevel.wait_readable(process.sentinel)
            process.join()
            process.close()
            raise
        log.error("%s (process %s) does not die of SIGKILL; it is left behind", name, process.pid)
        raise
    process.join()
    code = process.exitcode or 0
    process.close()
    if code < 0:
        return Signal(-code)
    return None if code == guard.TOLD else Exited(code)
