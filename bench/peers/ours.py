"""How does `mq` play?"""

import threading
from collections.abc import Awaitable, Callable

import trio

import mq
from bench.peer import Fellow
from bench.peers.loops import drain, feed, reflect, volley
from bench.task import Result, Task, expect, resident


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


async def echo(task: Task, fellow: Fellow) -> None:
    async with mq.Pair() as socket:
        fellow.say(socket.bind(task.endpoint))
        await reflect(socket.send, socket.receive, task)
        await hear(fellow)


async def ping(task: Task, fellow: Fellow) -> Result:
    async with mq.Pair() as socket:
        socket.connect(await hear(fellow))
        result = await volley(socket.send, socket.receive, task)
        fellow.say("done")
    return result


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


ROLES: dict[str, Callable[[Task, Fellow], Awaitable[Result]]] = {
    role.__name__: role for role in (pull, push, echo, ping, one_loop, two_threads, hoard)
}
