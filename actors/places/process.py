"""A place in a process of its own, forked from a warm server. Being cancelled is being killed: SIGKILL."""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import multiprocessing.process
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import forkserver, resource_tracker
from typing import TYPE_CHECKING, Any

import trio

from actors.directories import open_directory
from actors.life import logs
from actors.places import guard
from actors.values.reasons import Exited, Reason, Signal

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, ForkServerProcess

ACROSS_PROCESSES = True
KILL_WAIT = 5.0  # a process in uninterruptible sleep cannot be killed, only left behind

log = logging.getLogger("actors")
_lock = threading.Lock()
_context: ForkServerContext | None = None
_directory: str | None = None  # for the fork server's socket


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


@contextmanager
def _own_config() -> Iterator[None]:
    """Start a process as we need it, with what multiprocessing reads from its configuration.

    A daemonic child of multiprocessing may have children here, as ours never outlive it. And the fork server's
    socket goes to a directory of ours, whose path is short enough.
    """
    global _directory
    config: dict[str, Any] = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    before: dict[str, Any] = {name: config.pop(name) for name in ("daemon", "tempdir") if name in config}
    if _directory is None:
        stack = ExitStack()
        _directory = stack.enter_context(open_directory())
        atexit.register(stack.close)
    config["tempdir"] = _directory
    try:
        yield
    finally:
        del config["tempdir"]
        config.update(before)


def _start(where: str, name: str) -> ForkServerProcess:
    context = _warm()
    with _lock, _signals_blocked(), _own_config():
        process = context.Process(target=guard.main, args=(where, os.getpid(), logs.levels()), name=name)
        process.start()
    # Not multiprocessing's to wait for at the interpreter's exit: it ends with us.
    multiprocessing.process._children.discard(process)  # type: ignore[attr-defined]
    return process


def _forget_fork_server() -> None:
    """A forked copy of this process has no fork server of its own yet, and must not keep ours alive."""
    global _context, _directory, _lock
    _context, _directory, _lock = None, None, threading.Lock()
    server: Any = forkserver._forkserver
    if server._forkserver_alive_fd is not None:
        with suppress(OSError):
            os.close(server._forkserver_alive_fd)
    server._forkserver_address = server._forkserver_alive_fd = server._forkserver_pid = None


os.register_at_fork(after_in_child=_forget_fork_server)


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
