"""How fast is pyzmq on asyncio?"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import zmq
import zmq.asyncio

from bench.peer import Fellow
from bench.peers.loops import reflect, volley
from bench.task import Result, Task


def play(role: str, task: Task, fellow: Fellow) -> Result:
    return asyncio.run(ROLES[role](task, fellow))


async def echo(task: Task, fellow: Fellow) -> Result:
    with zmq.asyncio.Context() as context, context.socket(zmq.PAIR) as socket:
        socket.bind(task.endpoint)
        fellow.say(socket.getsockopt_string(zmq.LAST_ENDPOINT))
        result = await reflect(socket.send, socket.recv, task)
        await asyncio.to_thread(fellow.hear)
    return result


async def ping(task: Task, fellow: Fellow) -> Result:
    with zmq.asyncio.Context() as context, context.socket(zmq.PAIR) as socket:
        socket.connect(await asyncio.to_thread(fellow.hear))
        result = await volley(socket.send, socket.recv, task)
        fellow.say("done")
    return result


ROLES: dict[str, Callable[[Task, Fellow], Coroutine[Any, Any, Result]]] = {"echo": echo, "ping": ping}
