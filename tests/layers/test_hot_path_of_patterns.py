"""How much Python does one message cost in each pattern with replies? Calls, counted over inproc in one thread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import mq

from ..conftest import married
from .test_hot_path import COUNT, MOST, counted

BODY = b"m" * 16

Step = Callable[[Any], Awaitable[object]]


async def send(socket: Any) -> None:
    await socket.send(BODY)


async def send_two(socket: Any) -> None:
    await socket.send_multipart([b"name", BODY])


async def send_to_a_number(socket: Any) -> None:
    await socket.send(BODY, 1)


async def receive(socket: Any) -> None:
    await socket.receive()


async def receive_frames(socket: Any) -> None:
    await socket.receive_multipart()


WAYS = [
    (mq.Dealer, send, mq.Router, receive_frames),
    (mq.Dealer, send_two, mq.Router, receive_frames),
    (mq.Router, send_two, mq.Dealer, receive),
    (mq.Dealer, send, mq.Dealer, receive),
    (mq.Client, send, mq.Server, receive),
    (mq.Server, send_to_a_number, mq.Client, receive),
    (mq.Channel, send, mq.Channel, receive),
    (mq.Scatter, send, mq.Gather, receive),
]


@pytest.mark.parametrize(("sender", "sending", "receiver", "receiving"), WAYS)
async def test_a_message_costs_about_one_call_each_way(
    sender: Any, sending: Step, receiver: Any, receiving: Step, deadline: None
) -> None:
    options: dict[str, Any] = {"routing_id": b"name"} if receiver is mq.Dealer else {}
    one, other = sender(send_hwm=0), receiver(receive_hwm=0, **options)
    if sender is mq.Server:
        one._number = 0  # so that its first peer is number 1
    async with married(one, other, "inproc://price") as (source, sink):
        for step, socket in ((sending, source), (receiving, sink)):
            calls: Counter[str] = Counter()
            with counted(calls):
                for _ in range(COUNT):
                    await step(socket)
            own = calls.total() - COUNT  # the step itself
            assert own <= MOST * COUNT, f"{own / COUNT:.2f} calls a message: {calls.most_common(8)}"
