"""A place in a thread of this process, with a Trio run of its own. Being cancelled is being killed."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress

import outcome
import trio

from actors.life.child import be_child
from actors.values.reasons import Reason

ACROSS_PROCESSES = False
KILL_WAIT = 0.5  # seconds; a thread that computes cannot be killed, only left behind

log = logging.getLogger("actors")


class _Thread:
    """One thread and its run."""

    def __init__(self, where: str, name: str) -> None:
        self._where = where
        self._home = trio.lowlevel.current_trio_token()
        self._scope = trio.CancelScope()
        self._token: trio.lowlevel.TrioToken | None = None
        self._killed = False
        self.ended = trio.Event()
        self.result: outcome.Outcome[None] | None = None
        self.thread = threading.Thread(target=self._main, name=name, daemon=True)

    def _main(self) -> None:
        self.result = outcome.capture(trio.run, self._run)
        with suppress(trio.RunFinishedError):  # left behind, and the run that started it is over
            self._home.run_sync_soon(self.ended.set)

    async def _run(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        with self._scope:
            if self._killed:
                return
            await be_child(self._where)

    def kill(self) -> None:
        self._killed = True
        if self._token is not None:
            cancel: Callable[[], None] = self._scope.cancel
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(cancel)


async def run(where: str, name: str) -> Reason | None:
    """Run one incarnation to its end; it has told the reason itself."""
    thread = _Thread(where, name)
    thread.thread.start()
    try:
        await thread.ended.wait()
    except trio.Cancelled:
        thread.kill()
        with trio.move_on_after(KILL_WAIT, shield=True):
            await thread.ended.wait()
        if not thread.ended.is_set():
            log.error("%s computes on in its thread and cannot be killed; it is left behind", name)
        raise
    assert thread.result is not None
    thread.result.unwrap()
    return None
