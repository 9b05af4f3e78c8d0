"""How does a tree run as a program? With signals that stop it in good order, and an exit code."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import AsyncIterator

import trio

from actors.scopes import open_nursery
from actors.supervision.root import open_root
from actors.values.spec import Spec, Supervisor

log = logging.getLogger("actors")

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ONE_WISH = 0.5  # seconds; timeout(1) and whatever runs programs for others send twice what is meant once


def run(tree: Spec) -> None:
    """Run a tree until it ends or SIGINT, SIGTERM or SIGHUP comes; then stop it in reverse order and return.

    It ends by itself when all its children are down for good. A second signal, half a second later or more,
    leaves at once, with the exit code shells give to that signal. Raises RestartsExhausted or StartFailed when
    the tree fails.
    """
    spec = tree if isinstance(tree, Supervisor) else Supervisor(tree)
    trio.run(_run, spec)


async def _run(spec: Supervisor) -> None:
    async with open_nursery() as nursery:
        with trio.open_signal_receiver(*_heard()) as signals, trio.CancelScope() as stop:
            nursery.start_soon(_obey, signals, stop)
            async with open_root(spec) as root:
                await root.wait_idle()
        nursery.cancel_scope.cancel()


def _heard() -> list[signal.Signals]:
    """Those that were not ignored from the start: nohup(1) wants the program to outlive its terminal."""
    return [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]


async def _obey(signals: AsyncIterator[int], stop: trio.CancelScope) -> None:
    first = await anext(signals)
    log.info("%s: stopping", signal.Signals(first).name)
    stop.cancel()
    asked = trio.current_time()
    async for again in signals:
        if trio.current_time() - asked > ONE_WISH:
            # The children see the end of their lifelines and leave.
            os._exit(128 + again)
