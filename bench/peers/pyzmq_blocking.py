"""How does pyzmq play, with plain blocking calls?"""

import threading
from collections.abc import Callable
from time import perf_counter, perf_counter_ns

import zmq

from bench.peer import Fellow
from bench.task import Result, Task, WrongMessage, expect, percentiles, resident

Context = zmq.Context[zmq.Socket[bytes]]
Socket = zmq.Socket[bytes]


def play(role: str, task: Task, fellow: Fellow) -> Result:
    with zmq.Context() as context:
        return ROLES[role](task, fellow, context)


def feed(socket: Socket, task: Task, wait: Callable[[], object]) -> None:
    """Send the warm-up; when told to, the measured messages."""
    send, body = socket.send, task.body
    for _ in range(task.warm_up):
        send(body)
    wait()
    for _ in range(task.count - 1):
        send(body)
    send(task.last)


def drain(socket: Socket, task: Task, go: Callable[[], object]) -> dict[str, float]:
    """Take the warm-up out, let the sender go, and time what follows from the first message to the last."""
    receive, size = socket.recv, task.size
    for _ in range(task.warm_up):
        receive()
    go()
    first = receive()
    started = perf_counter()
    for _ in range(task.count - 2):
        if len(receive()) != size:
            raise WrongMessage
    last = receive()
    seconds = perf_counter() - started
    expect(first, task.body)
    expect(last, task.last)
    return task.rate(seconds)


def bind(socket: Socket, endpoint: str) -> str:
    socket.bind(endpoint)
    return socket.getsockopt_string(zmq.LAST_ENDPOINT)


def pull(task: Task, fellow: Fellow, context: Context) -> Result:
    with context.socket(zmq.PULL) as socket:
        fellow.say(bind(socket, task.endpoint))
        result = drain(socket, task, lambda: fellow.say("go"))
        fellow.say("done")
    return result


def push(task: Task, fellow: Fellow, context: Context) -> None:
    with context.socket(zmq.PUSH) as socket:
        socket.connect(fellow.hear())
        feed(socket, task, fellow.hear)
        fellow.hear()


def echo(task: Task, fellow: Fellow, context: Context) -> None:
    with context.socket(zmq.PAIR) as socket:
        fellow.say(bind(socket, task.endpoint))
        send, receive = socket.send, socket.recv
        for _ in range(task.warm_up + task.count):
            send(receive())
        fellow.hear()


def ping(task: Task, fellow: Fellow, context: Context) -> Result:
    with context.socket(zmq.PAIR) as socket:
        socket.connect(fellow.hear())
        send, receive, body, laps = socket.send, socket.recv, task.body, []
        for _ in range(task.warm_up + task.count):
            started = perf_counter_ns()
            send(body)
            reply = receive()
            laps.append(perf_counter_ns() - started)
            expect(reply, body)
        fellow.say("done")
    return percentiles(laps[task.warm_up :])


def two_threads(task: Task, fellow: Fellow, context: Context) -> Result:
    go = threading.Event()

    def sender() -> None:
        with context.socket(zmq.PUSH) as socket:
            socket.connect(task.endpoint)
            feed(socket, task, go.wait)

    with context.socket(zmq.PULL) as socket:
        socket.bind(task.endpoint)
        thread = threading.Thread(target=sender)
        thread.start()
        result = drain(socket, task, go.set)
        thread.join()
    return result


def hoard(task: Task, fellow: Fellow, context: Context) -> Result:
    with context.socket(zmq.PUSH) as socket, context.socket(zmq.PULL) as reader:
        socket.setsockopt(zmq.SNDHWM, 2 * task.count)
        socket.connect(task.endpoint)
        for message in task.distinct(0, task.warm_up):
            socket.send(message)
        before = resident()
        for message in task.distinct(task.warm_up, task.count):
            socket.send(message)
        growth = resident() - before
        reader.bind(task.endpoint)
        for wanted in task.distinct(0, task.warm_up + task.count):
            expect(reader.recv(), wanted)
    return {"growth": growth}


ROLES: dict[str, Callable[[Task, Fellow, Context], Result]] = {
    role.__name__: role for role in (pull, push, echo, ping, two_threads, hoard)
}
