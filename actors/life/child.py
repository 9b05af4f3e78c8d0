"""What does an incarnation do, wherever it runs? Init, ready, serve, stop, exit."""

from __future__ import annotations

from typing import Any

import trio

from actors import carrier, scopes
from actors.carrier import Control
from actors.life.actor import Actor, Life, born
from actors.life.handling import Mailbox
from actors.nodes.node import Node, open_node
from actors.values.failure import Failure
from actors.values.messages import Context, Exit, Init, Ready, Serve, Serving, Stop
from actors.values.reasons import Crashed, Reason, Shutdown


async def be_child(where: str, node: Node | None) -> None:
    """Be one incarnation, from Init to Exit; `where` is the control PAIR. Tasks share the supervisor's node."""
    async with carrier.connect_control(where) as control:
        init, payload = await control.receive()
        assert isinstance(init, Init)
        if node is not None:
            reason = await _live(init.context, payload, control, node)
        else:
            # The node ends first: what the actor answered is on its way before its death is told.
            async with open_node(init.context.directory, f"{init.context.uid}n") as own:
                reason = await _live(init.context, payload, control, own)
        control.post(Exit(reason))


async def _live(context: Context, payload: list[bytes], control: Control, node: Node) -> Reason:
    """Run the actor; its exceptions become the reason, everything graver goes on upwards."""
    actor: Actor | None = None
    async with scopes.open_nursery() as watching:
        life = Life(context, node)
        watching.start_soon(_obey, control, life)
        try:
            async with scopes.open_nursery() as life.nursery:
                actor = await _start(payload, life)
                if actor is not None:
                    control.post(Ready())
                    await _serve(actor, life, control)
                    ending, actor = actor, None
                    await ending.stopping()
                life.nursery.cancel_scope.cancel()
            reason = life.ending or Shutdown()
        except Exception as error:
            if actor is not None:
                await _stop_crashed(actor, error)
            reason = Crashed(Failure.of(error))
        watching.cancel_scope.cancel()
    return reason


async def _stop_crashed(actor: Actor, error: Exception) -> None:
    try:
        await actor.stopping()
    except Exception as second:
        error.add_note(f"Its stopping() then raised {type(second).__name__}: {second}")


async def _start(payload: list[bytes], life: Life) -> Actor | None:
    """Construct it and wait until it is ready; None if it was stopped before."""
    with trio.CancelScope() as starting:
        life.nursery.start_soon(_cancel_when_stopped, life, starting)
        cls, args, kwargs = life.node.unpack(payload)
        actor = born(cls, args, kwargs, life)
        await actor.started()
        return actor
    return None


async def _obey(control: Control, life: Life) -> None:
    while True:
        message, _ = await control.receive()
        if isinstance(message, Serve):
            life.serve.set()
        elif isinstance(message, Stop):
            life.stopped.set()
            life.serve.set()


async def _cancel_when_stopped(life: Life, starting: trio.CancelScope) -> None:
    await life.stopped.wait()
    starting.cancel()


async def _serve(actor: Actor, life: Life, control: Control) -> None:
    await life.serve.wait()
    if life.stopped.is_set() and life.ending is None:
        return
    async with (
        carrier.open_inbox(life.context.mailbox, life.context.capacity) as inbox,
        scopes.open_nursery() as handlers,
    ):
        control.post(Serving(life.node.address))
        handlers.start_soon(_close_when_stopped, inbox, life)
        await Mailbox(actor, life.node, life.context.generation, handlers).serve(inbox, life.context.capacity)
        handlers.cancel_scope.cancel()


async def _close_when_stopped(inbox: Any, life: Life) -> None:
    await life.stopped.wait()
    await inbox.aclose()
