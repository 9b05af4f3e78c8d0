"""What does an incarnation do, wherever it runs? Init, start, serve, stop, exit."""

from __future__ import annotations

from collections.abc import Callable

import trio

from actors import carrier, scopes
from actors.carrier import Control
from actors.life.actor import Actor, Life, born
from actors.life.handling import Mailbox
from actors.life.logs import Forward
from actors.nodes.node import open_node
from actors.values.failure import Failure
from actors.values.messages import Exit, Init, Message, Serving, Stop
from actors.values.reasons import Crashed, Reason, Shutdown


async def be_child(where: str, forward: Forward | None = None) -> None:
    """Be one incarnation in a run of its own, from Init to Exit; `where` is the control PAIR."""
    async with carrier.connect_control(where) as control:
        if forward is not None:
            forward.connect(control.post)
        init, payload = await control.receive()
        assert isinstance(init, Init)
        # The node ends first: what the actor answered is on its way before its death is told.
        async with open_node(init.context.directory, init.context.home) as own, scopes.open_nursery() as nursery:
            life = Life(init.context, own)
            nursery.start_soon(_obey, control, life)
            reason = await live(payload, life, control.post)
            nursery.cancel_scope.cancel()
        control.post(Exit(reason))


async def _obey(control: Control, life: Life) -> None:
    while True:
        message, _ = await control.receive()
        if isinstance(message, Stop):
            life.obey()


async def live(payload: list[bytes], life: Life, say: Callable[[Message], None]) -> Reason:
    """Run the actor to its end; what it raises becomes the reason, but for KeyboardInterrupt.

    `say` is given Serving once messages may come. `life.obey()` asks it to stop.
    """
    actor: Actor | None = None
    try:
        async with scopes.open_nursery() as life.nursery:
            actor = await _start(payload, life)
            if actor is not None:
                if not life.stopped or life.ending is not None:  # one that ends itself was ready
                    await _serve(actor, life, say)
                ending, actor = actor, None
                await ending.stopping()
            life.nursery.cancel_scope.cancel()
        return life.ending or Shutdown()
    except (trio.Cancelled, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit, say: the actor's end, and nobody else's
        if actor is not None:
            await _stop_crashed(actor, error)
        return Crashed(Failure.of(error))


async def _stop_crashed(actor: Actor, error: BaseException) -> None:
    try:
        await actor.stopping()
    except (trio.Cancelled, KeyboardInterrupt):
        raise
    except BaseException as second:
        error.add_note(f"Its stopping() then raised {type(second).__name__}: {second}")


async def _start(payload: list[bytes], life: Life) -> Actor | None:
    """Construct it and wait until it is ready; None if it was stopped before."""
    with trio.CancelScope() as starting, life.when_stopped(starting.cancel):
        cls, args, kwargs = life.node.unpack(payload)
        actor = born(cls, args, kwargs, life)
        await actor.started()
        return actor
    return None


async def _serve(actor: Actor, life: Life, say: Callable[[Message], None]) -> None:
    me, node = life.context, life.node
    async with scopes.open_nursery() as handlers:
        mailbox = Mailbox(actor, node, me.name, me.uid, me.generation, me.capacity, handlers)
        node.mailboxes[me.uid] = mailbox
        try:
            with life.when_stopped(mailbox.close):
                say(Serving(node.address))
                await mailbox.serve()
        finally:
            mailbox.close()
            del node.mailboxes[me.uid]
        handlers.cancel_scope.cancel()
