"""How fast is pyzmq with plain blocking calls?"""

import threading
from collections.abc import Callable
from time import perf_counter, perf_counter_ns, process_time

import zmq

from bench.peer import Fellow
from bench.peers.loops import SYNC
from bench.task import Result, Task, WrongMessage, allow_many_descriptors, expect, percentiles, resident

Context = zmq.Context[zmq.Socket[bytes]]
Socket = zmq.Socket[bytes]


def play(role: str, task: Task, fellow: Fellow) -> Result:
    with zmq.Context() as context:
        return ROLES[role](task, fellow, context)


def feed(socket: Socket, task: Task, wait: Callable[[], object]) -> None:
    """Send the warm-up messages, call ``wait()``, and send the measured messages."""
    send, body = socket.send, task.body
    for _ in range(task.warm_up):
        send(body)
    wait()
    for _ in range(task.count - 1):
        send(body)
    send(task.last)


def drain(socket: Socket, task: Task, go: Callable[[], object]) -> dict[str, float]:
    """Receive the warm-up messages, call ``go()``, and time the measured messages from the first to the last."""
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


def reflector(kind: int) -> Callable[[Task, Fellow, Context], Result]:
    """Return the role of a socket of this ``kind`` that sends each received message back."""

    def role(task: Task, fellow: Fellow, context: Context) -> Result:
        with context.socket(kind) as socket:
            fellow.say(bind(socket, task.endpoint))
            send, receive = socket.send, socket.recv
            for _ in range(task.warm_up):
                send(receive())
            started = process_time()
            for _ in range(task.count):
                send(receive())
            cpu = (process_time() - started) / task.count
            fellow.hear()
        return {"cpu": cpu}

    return role


def ping(task: Task, fellow: Fellow, context: Context) -> Result:
    return volley(zmq.PAIR, task, fellow, context)


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


def volley(kind: int, task: Task, fellow: Fellow, context: Context) -> Result:
    with context.socket(kind) as socket:
        socket.connect(fellow.hear())
        send, receive, body, laps = socket.send, socket.recv, task.body, []
        for _ in range(task.warm_up):
            send(body)
            receive()
        busy = process_time()
        for _ in range(task.count):
            started = perf_counter_ns()
            send(body)
            reply = receive()
            laps.append(perf_counter_ns() - started)
            expect(reply, body)
        busy = process_time() - busy
        fellow.say("done")
    return {**percentiles(laps), "cpu": busy / task.count}


def req(task: Task, fellow: Fellow, context: Context) -> Result:
    return volley(zmq.REQ, task, fellow, context)


def dealer(task: Task, fellow: Fellow, context: Context) -> Result:
    return volley(zmq.DEALER, task, fellow, context)


def router(task: Task, fellow: Fellow, context: Context) -> None:
    with context.socket(zmq.ROUTER) as socket:
        fellow.say(bind(socket, task.endpoint))
        bounce(socket, fellow)


def bounce(socket: Socket, fellow: Fellow) -> None:
    """Send each received message back until the fellow says something; look for that after 50 ms without a message."""
    socket.setsockopt(zmq.RCVTIMEO, 50)
    send, receive = socket.send_multipart, socket.recv_multipart
    while not fellow.has_spoken():
        try:
            while True:
                send(receive())
        except zmq.Again:
            pass


def dealer_ahead(task: Task, fellow: Fellow, context: Context) -> Result:
    with context.socket(zmq.DEALER) as socket:
        socket.connect(fellow.hear())
        send, receive, body = socket.send, socket.recv, task.body
        for _ in range(task.window):
            send(body)
        for _ in range(task.warm_up):
            receive()
            send(body)
        started = perf_counter()
        for _ in range(task.count - 1):
            expect(receive(), body)
            send(body)
        expect(receive(), body)
        seconds = perf_counter() - started
        for _ in range(task.window - 1):
            receive()
        fellow.say("done")
    return task.rate(seconds)


def pub(task: Task, fellow: Fellow, context: Context) -> None:
    with context.socket(zmq.XPUB) as socket:  # like a PUB, and receives the subscriptions
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        fellow.say(bind(socket, task.endpoint))
        left = task.fans
        while left:
            left -= socket.recv() == b"\1" + SYNC
        send = socket.send
        send(SYNC)
        for message in task.published(task.warm_up):
            send(message)
        fellow.hear()
        for message in task.published(task.count):
            send(message)
        fellow.hear()


def subs(task: Task, fellow: Fellow, context: Context) -> Result:
    endpoint = fellow.hear()
    sockets = [context.socket(zmq.SUB) for _ in range(task.fans)]
    for socket in sockets:
        socket.setsockopt(zmq.SNDHWM, 0)  # otherwise libzmq silently drops subscriptions beyond the high-water mark
        socket.setsockopt(zmq.RCVHWM, 0)
        socket.connect(endpoint)
        for number in range(task.topics):
            socket.subscribe(task.topic(number))
        socket.subscribe(SYNC)
    receives = [socket.recv for socket in sockets]
    for receive in receives:
        expect(receive(), SYNC)
        for _ in range(task.warm_up):
            receive()
    fellow.say("go")
    for receive in receives:
        expect(receive(), next(task.published(task.count)))
    started = perf_counter()
    for _ in range(task.count - 2):
        for receive in receives:
            receive()
    for receive in receives:
        last = receive()
    seconds = perf_counter() - started
    expect(last, list(task.published(task.count))[-1])
    fellow.say("done")
    for socket in sockets:
        socket.close(0)
    return {"rate": (task.count - 1) * task.fans / seconds}


def router_of_many(task: Task, fellow: Fellow, context: Context) -> Result:
    allow_many_descriptors()
    with context.socket(zmq.ROUTER) as socket:
        fellow.say(bind(socket, task.endpoint))
        fellow.say("go")
        bounce(socket, fellow)
        fellow.hear()
        started = process_time()
        fellow.say("go")
        bounce(socket, fellow)
        cost = (process_time() - started) / task.count
    return {"cost": cost}


def dealers(task: Task, fellow: Fellow, context: Context) -> None:
    allow_many_descriptors()
    context.set(zmq.MAX_SOCKETS, 2 * task.fans)
    endpoint, body = fellow.hear(), task.body
    sockets = [context.socket(zmq.DEALER) for _ in range(task.fans)]
    for socket in sockets:
        socket.connect(endpoint)

    def exchange(bursts: int) -> None:
        for _ in range(bursts):
            for socket in sockets:
                for _ in range(task.window):
                    socket.send(body)
            for socket in sockets:
                for _ in range(task.window):
                    expect(socket.recv(), body)

    fellow.hear()
    exchange(1)
    fellow.say("warm")
    fellow.hear()
    exchange(task.count // (task.fans * task.window))
    fellow.say("done")
    for socket in sockets:
        socket.close()


ROLES: dict[str, Callable[[Task, Fellow, Context], Result]] = {
    "echo": reflector(zmq.PAIR),
    "rep": reflector(zmq.REP),
    **{
        role.__name__: role
        for role in (
            pull, push, ping, two_threads, hoard, req, router, dealer, dealer_ahead, pub, subs, router_of_many, dealers
        )
    },
}  # fmt: skip
