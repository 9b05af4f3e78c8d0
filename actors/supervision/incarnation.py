"""How does a supervisor see one life of a child? It starts it, hears of it, stops it, knows its end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal

import trio

from actors import carrier, scopes
from actors.carrier import Control
from actors.life import logs
from actors.life.actor import Life
from actors.life.child import live
from actors.nodes.node import Node
from actors.places import process, thread
from actors.values.failure import Failure
from actors.values.messages import Address, Context, Exit, Init, Log, Message, Serving, Stop
from actors.values.reasons import Crashed, Killed, Lost, Reason, StartTimeout
from actors.values.uids import uid_below

log = logging.getLogger("actors")
LAST_WORDS = 2.0  # seconds; a child that left in good order has said why, and its message is already on its way
PLACES = {"thread": thread, "process": process}  # those with a run of their own


class Incarnation:
    """One life of one child."""

    def __init__(self, place: str, context: Context, payload: list[bytes], node: Node) -> None:
        self.context = context
        self.reason: Reason | None = None
        self.phase: Literal["starting", "serving", "ended"] = "starting"
        self.stopping = False
        self.ended = trio.Event()
        self._place = place
        self._payload = payload
        self._node = node
        self._scope = trio.CancelScope()
        self._start_timeout = 0.0
        self._ask_stop: Callable[[], None] | None = None
        self._told: Reason | None = None
        self._told_all = trio.Event()

    @property
    def generation(self) -> int:
        return self.context.generation

    async def run(self, serving: Callable[[Incarnation, Address], None], start_timeout: float) -> None:
        """Live it from start to end; `serving` is called once its mailbox is open."""
        self._serving = serving
        self._start_timeout = start_timeout
        self._scope.deadline = min(self._scope.deadline, trio.current_time() + start_timeout)
        ending: Reason | None = None
        try:
            if self._place == "task":
                with self._scope:
                    ending = await self._run_here()
            else:
                ending = await self._run_elsewhere()
        except Exception as error:  # it could not even be started, or the place itself broke
            ending = Crashed(Failure.of(error))
        finally:  # Ctrl-C goes on upwards, to a supervisor that will wait for our end
            if self._scope.cancelled_caught:
                ending = ending or self._why_killed()
            self.reason = ending or self._told or Lost("it left without a word")
            self.phase = "ended"
            self.ended.set()

    def _why_killed(self) -> Reason:
        return StartTimeout(self._start_timeout) if self.phase == "starting" and not self.stopping else Killed()

    async def _run_here(self) -> Reason:
        life = Life(self.context, self._node)
        self._ask_stop = life.obey
        if self.stopping:
            life.obey()
        return await live(self._payload, life, self._hear)

    async def _run_elsewhere(self) -> Reason | None:
        me, place = self.context, PLACES[self._place]
        address = f"{me.directory}/{uid_below(me.uid, f'{me.generation} control')}"
        ending: Reason | None = None
        stop = trio.Event()
        self._ask_stop = stop.set
        if self.stopping:
            stop.set()
        async with (
            carrier.bind_control(address, place.ACROSS_PROCESSES) as (control, where),
            scopes.open_nursery() as nursery,
        ):
            nursery.start_soon(self._listen, control)
            nursery.start_soon(self._speak, control, stop)
            with self._scope:
                ending = await place.run(where, me.name)
                with trio.move_on_after(LAST_WORDS if ending is None else 0):
                    await self._told_all.wait()
            nursery.cancel_scope.cancel()
        return ending

    async def _speak(self, control: Control, stop: trio.Event) -> None:
        await control.send(Init(self.context), self._payload)
        await stop.wait()
        await control.send(Stop())

    async def _listen(self, control: Control) -> None:
        while True:
            message, _ = await control.receive()
            self._hear(message)

    def _hear(self, message: Message) -> None:
        if isinstance(message, Serving):
            self.phase = "serving"
            if not self._scope.cancel_called:
                self._scope.deadline = float("inf")
            self._serving(self, message.node)
        elif isinstance(message, Exit):
            self._told = message.reason
            self._told_all.set()
        elif isinstance(message, Log):
            logs.replay(message, self.context.name)

    def kill(self) -> None:
        """SIGKILL for a process, cancellation for a task or thread."""
        self._scope.cancel()

    async def stop(self, shutdown: float) -> None:
        """Ask it to stop, kill it after `shutdown` seconds, wait for its end."""
        self.stopping = True
        if shutdown > 0:
            if self._ask_stop is not None:
                self._ask_stop()
            with trio.move_on_after(shutdown):
                await self.ended.wait()
        if not self.ended.is_set():
            if shutdown > 0 and self.phase == "serving":
                log.warning("%s did not stop within %g s and is killed", self.context.name, shutdown)
            self.kill()
            await self.ended.wait()
