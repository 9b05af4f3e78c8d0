"""How fast is Trio alone? A stream without a protocol, and a memory channel."""

from collections.abc import Awaitable, Callable

import trio

from bench.peer import Fellow
from bench.peers.loops import drain, feed, reflect, volley
from bench.task import Result, Task, WrongMessage

ROOM = 2000  # the sum of the default high-water marks of a PUSH and a PULL


def play(role: str, task: Task, fellow: Fellow) -> Result:
    return trio.run(ROLES[role], task, fellow)


async def accept(endpoint: str, fellow: Fellow) -> trio.SocketStream:
    """Listen at the endpoint, send the resolved endpoint to the fellow, and wait for its connection."""
    scheme, _, address = endpoint.partition("://")
    if scheme == "ipc":
        listening = trio.socket.socket(trio.socket.AF_UNIX)
        await listening.bind(address)
        resolved = endpoint
    else:
        host, _, _ = address.rpartition(":")
        listening = trio.socket.socket()
        await listening.bind((host, 0))
        resolved = f"tcp://{host}:{listening.getsockname()[1]}"
    with listening:
        listening.listen()
        fellow.say(resolved)
        connection, _ = await listening.accept()
    return trio.SocketStream(connection)


async def connect(endpoint: str) -> trio.SocketStream:
    scheme, _, address = endpoint.partition("://")
    if scheme == "ipc":
        stream = await trio.open_unix_socket(address)
    else:
        host, _, port = address.rpartition(":")
        stream = await trio.open_tcp_stream(host, int(port))
    return stream


def taker(stream: trio.SocketStream, size: int) -> Callable[[], Awaitable[bytes]]:
    async def take() -> bytes:
        data: bytes = await stream.receive_some(size)
        while len(data) < size:
            chunk = await stream.receive_some(size - len(data))
            if not chunk:
                raise WrongMessage("the stream ended")
            data += chunk
        return data

    return take


async def echo(task: Task, fellow: Fellow) -> Result:
    async with await accept(task.endpoint, fellow) as stream:
        result = await reflect(stream.send_all, taker(stream, task.size), task)
        await trio.to_thread.run_sync(fellow.hear)
    return result


async def ping(task: Task, fellow: Fellow) -> Result:
    async with await connect(await trio.to_thread.run_sync(fellow.hear)) as stream:
        result = await volley(stream.send_all, taker(stream, task.size), task)
        fellow.say("done")
    return result


async def one_loop(task: Task, fellow: Fellow) -> Result:
    inlet, outlet = trio.open_memory_channel[bytes](ROOM)
    go = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed, inlet.send, task, go.wait)
        return await drain(outlet.receive, task, go.set)


ROLES: dict[str, Callable[[Task, Fellow], Awaitable[Result]]] = {role.__name__: role for role in (echo, ping, one_loop)}
