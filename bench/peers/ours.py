"""How fast is `mq`?"""

import threading
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from time import perf_counter, process_time
from typing import Any, TypeAlias

import trio

import mq
from bench.peer import Fellow
from bench.peers.loops import SYNC, Receive, drain, drain_many, feed, reflect, run_ahead, volley
from bench.task import Result, Task, allow_many_descriptors, expect, resident

Role: TypeAlias = Callable[[Task, Fellow], Awaitable[Result]]


def play(role: str, task: Task, fellow: Fellow) -> Result:
    return trio.run(ROLES[role], task, fellow)


async def hear(fellow: Fellow) -> str:
    return await trio.to_thread.run_sync(fellow.hear)


async def pull(task: Task, fellow: Fellow) -> Result:
    async with mq.Pull() as socket:
        fellow.say(socket.bind(task.endpoint))
        result = await drain(socket.receive, task, lambda: fellow.say("go"))
        fellow.say("done")
    return result


async def push(task: Task, fellow: Fellow) -> None:
    async with mq.Push() as socket:
        socket.connect(await hear(fellow))
        await feed(socket.send, task, lambda: hear(fellow))
        await hear(fellow)


async def pull_many(task: Task, fellow: Fellow) -> Result:
    async with mq.Pull() as socket:
        fellow.say(socket.bind(task.endpoint))
        result = await drain_many(socket.batches(), task, lambda: fellow.say("go"))
        fellow.say("done")
    return result


async def push_many(task: Task, fellow: Fellow) -> None:
    async with mq.Push() as socket:
        socket.connect(await hear(fellow))
        await socket.send_many([task.body] * task.warm_up)
        await hear(fellow)
        await socket.send_many([*[task.body] * (task.count - 1), task.last])
        await hear(fellow)


def reflector(kind: Callable[[], Any]) -> Role:
    """Return the role of a socket of this ``kind`` that sends each received message back."""

    async def role(task: Task, fellow: Fellow) -> Result:
        async with kind() as socket:
            fellow.say(socket.bind(task.endpoint))
            result = await reflect(socket.send, socket.receive, task)
            await hear(fellow)
        return result

    return role


def asker(kind: Callable[[], Any], game: Callable[..., Awaitable[Result]] = volley) -> Role:
    """Return the role of a socket of this ``kind`` that sends messages and times the echoes."""

    async def role(task: Task, fellow: Fellow) -> Result:
        async with kind() as socket:
            socket.connect(await hear(fellow))
            result = await game(socket.send, socket.receive, task)
            fellow.say("done")
        return result

    return role


async def one_loop(task: Task, fellow: Fellow) -> Result:
    go = trio.Event()
    async with mq.Pull() as outlet, mq.Push() as inlet, trio.open_nursery() as nursery:
        inlet.connect(outlet.bind(task.endpoint))
        nursery.start_soon(feed, inlet.send, task, go.wait)
        return await drain(outlet.receive, task, go.set)


async def two_threads(task: Task, fellow: Fellow) -> Result:
    go = threading.Event()

    async def sender() -> None:
        async with mq.Push() as socket:
            socket.connect(task.endpoint)
            await feed(socket.send, task, lambda: trio.to_thread.run_sync(go.wait))

    async with mq.Pull() as socket:
        socket.bind(task.endpoint)
        thread = threading.Thread(target=trio.run, args=[sender])
        thread.start()
        result = await drain(socket.receive, task, go.set)
        await trio.to_thread.run_sync(thread.join)
    return result


async def hoard(task: Task, fellow: Fellow) -> Result:
    async with mq.Push(send_hwm=2 * task.count) as socket, mq.Pull() as reader:
        socket.connect(task.endpoint)
        for message in task.distinct(0, task.warm_up):
            await socket.send(message)
        before = resident()
        for message in task.distinct(task.warm_up, task.count):
            await socket.send(message)
        growth = resident() - before
        reader.bind(task.endpoint)
        for wanted in task.distinct(0, task.warm_up + task.count):
            expect(await reader.receive(), wanted)
    return {"growth": growth}


async def router(task: Task, fellow: Fellow) -> None:
    async with mq.Router() as socket, trio.open_nursery() as nursery:
        fellow.say(socket.bind(task.endpoint))
        nursery.start_soon(bounce, socket)
        await hear(fellow)
        nursery.cancel_scope.cancel()


async def bounce(socket: mq.Router) -> None:
    while True:
        await socket.send_multipart(await socket.receive_multipart())


async def pub(task: Task, fellow: Fellow) -> None:
    async with mq.Pub(send_hwm=0) as socket:
        fellow.say(socket.bind(task.endpoint))
        await socket.wait_subscribed(SYNC, task.fans)
        await socket.send(SYNC)
        for message in task.published(task.warm_up):
            await socket.send(message)
        await hear(fellow)
        for message in task.published(task.count):
            await socket.send(message)
        await hear(fellow)


async def subs(task: Task, fellow: Fellow) -> Result:
    endpoint = await hear(fellow)
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(mq.Sub(receive_hwm=0)) for _ in range(task.fans)]
        for socket in sockets:
            socket.connect(endpoint)
            for number in range(task.topics):
                socket.subscribe(task.topic(number))
            socket.subscribe(SYNC)
        receives = [socket.receive for socket in sockets]
        for receive in receives:
            expect(await receive(), SYNC)
            for _ in range(task.warm_up):
                await receive()
        last = list(task.published(task.count))[-1]

        async def drain_all(receive: Receive) -> None:
            for _ in range(task.count - 2):
                await receive()
            expect(await receive(), last)

        fellow.say("go")
        for receive in receives:
            expect(await receive(), next(task.published(task.count)))
        started = perf_counter()
        async with trio.open_nursery() as nursery:
            for receive in receives:
                nursery.start_soon(drain_all, receive)
        seconds = perf_counter() - started
        fellow.say("done")
    return {"rate": (task.count - 1) * task.fans / seconds}


async def router_of_many(task: Task, fellow: Fellow) -> Result:
    allow_many_descriptors()
    async with mq.Router() as socket, trio.open_nursery() as nursery:
        fellow.say(socket.bind(task.endpoint))
        await socket.wait_connected(task.fans)
        nursery.start_soon(bounce, socket)
        fellow.say("go")
        await hear(fellow)
        started = process_time()
        fellow.say("go")
        await hear(fellow)
        cost = (process_time() - started) / task.count
        nursery.cancel_scope.cancel()
    return {"cost": cost}


async def dealers(task: Task, fellow: Fellow) -> None:
    allow_many_descriptors()
    endpoint, body = await hear(fellow), task.body
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(mq.Dealer()) for _ in range(task.fans)]
        for socket in sockets:
            socket.connect(endpoint)

        async def exchange(bursts: int) -> None:
            for _ in range(bursts):
                for socket in sockets:
                    for _ in range(task.window):
                        await socket.send(body)
                for socket in sockets:
                    for _ in range(task.window):
                        expect(await socket.receive(), body)

        await hear(fellow)
        await exchange(1)
        fellow.say("warm")
        await hear(fellow)
        await exchange(task.count // (task.fans * task.window))
        fellow.say("done")


ROLES: dict[str, Role] = {
    "echo": reflector(mq.Pair),
    "ping": asker(mq.Pair),
    "rep": reflector(mq.Rep),
    "req": asker(mq.Req),
    "dealer": asker(mq.Dealer),
    "dealer_ahead": asker(mq.Dealer, run_ahead),
    **{
        role.__name__: role
        for role in (
            pull, push, pull_many, push_many, one_loop, two_threads, hoard, router, pub, subs, router_of_many, dealers
        )
    },
}
