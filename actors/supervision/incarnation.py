"""How does a supervisor see one life of a child? It starts it, hears of it, stops it, knows its end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any, Literal

import trio

from actors import carrier, scopes
from actors.carrier import Control
from actors.nodes.node import Node
from actors.places import process, task, thread
from actors.values.failure import Failure
from actors.values.messages import Address, Context, Exit, Init, Ready, Serve, Serving, Stop
from actors.values.reasons import Crashed, Killed, Lost, Reason, StartTimeout

log = logging.getLogger("actors")
LAST_WORDS = 2.0  # a child that left in good order has said why; its message is already on its way
PLACES: dict[str, Any] = {"task": task, "thread": thread, "process": process}
Run = Callable[[str, str, Node], Coroutine[Any, Any, Reason | None]]


class Incarnation:
    """One life of one child."""

    def __init__(self, place: str, context: Context, payload: list[bytes], node: Node) -> None:
        self.context = context
        self.reason: Reason | None = None
        self.phase: Literal["starting", "serving", "ended"] = "starting"
        self.stopping = False
        self.settled = trio.Event()  # serving or ended
        self.ended = trio.Event()
        self._place = PLACES[place]
        self._payload = payload
        self._node = node
        self._scope = trio.CancelScope()
        self._stop_asked = trio.Event()
        self._told: Reason | None = None
        self._told_all = trio.Event()

    @property
    def generation(self) -> int:
        return self.context.generation

    async def run(self, serving: Callable[[Incarnation, Address], None], start_timeout: float) -> None:
        """Live it from start to end; `serving` is called once its mailbox is bound."""
        me = self.context
        address = f"{me.directory}/{me.uid}c{me.generation % 1_000_000:x}"
        ending: Reason | None = None
        try:
            async with (
                carrier.bind_control(address, self._place.ACROSS_PROCESSES) as (control, where),
                scopes.open_nursery() as nursery,
            ):
                nursery.start_soon(self._listen, control, serving)
                nursery.start_soon(self._speak, control)
                nursery.start_soon(self._limit_start, start_timeout)
                with self._scope:
                    ending = await self._place.run(where, me.name, self._node)
                    with trio.move_on_after(LAST_WORDS if ending is None else 0):
                        await self._told_all.wait()
                nursery.cancel_scope.cancel()
        except Exception as error:  # it could not even be started, or the place itself broke
            ending = Crashed(Failure.of(error))
        finally:  # Ctrl-C goes on upwards, to a supervisor that will wait for our end
            if self._scope.cancelled_caught:
                ending = ending or self.reason or Killed()
            self.reason = ending or self._told or Lost("it left without a word")
            self.phase = "ended"
            self.settled.set()
            self.ended.set()

    async def _speak(self, control: Control) -> None:
        await control.send(Init(self.context), self._payload)
        await self._stop_asked.wait()
        await control.send(Stop())

    async def _listen(self, control: Control, serving: Callable[[Incarnation, Address], None]) -> None:
        while True:
            message, _ = await control.receive()
            if isinstance(message, Ready):
                control.post(Serve())
            elif isinstance(message, Serving):
                self.phase = "serving"
                serving(self, message.node)
                self.settled.set()
            elif isinstance(message, Exit):
                self._told = message.reason
                self._told_all.set()

    async def _limit_start(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self.settled.wait()
        if not self.settled.is_set():
            self.reason = StartTimeout(seconds)
            self.kill()

    def kill(self) -> None:
        """SIGKILL for a process, cancellation for a task or thread."""
        self._scope.cancel()

    async def stop(self, shutdown: float) -> None:
        """Ask it to stop, kill it after `shutdown` seconds, wait for its end."""
        self.stopping = True
        if shutdown > 0:
            self._stop_asked.set()
            with trio.move_on_after(shutdown):
                await self.ended.wait()
        if not self.ended.is_set():
            if shutdown > 0:
                log.warning("%s did not stop within %g s and is killed", self.context.name, shutdown)
            self.kill()
            await self.ended.wait()
