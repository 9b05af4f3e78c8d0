"""Who gets what is sent to a group? RADIO and DISH: joining, leaving, exact names, peers that say something else."""

from __future__ import annotations

import threading

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import mq

from ..conftest import married, next_event, until
from ..links.raw import raw_peer, raw_server
from ..links.test_inproc_threads import together, wait_for
from ..protocols.wire import command, frame, multipart
from .meeting import HUGE, numbered, reserved

BEHIND = "its queue was full when they were sent (send_hwm)"


async def test_a_message_goes_to_exactly_its_group(endpoint: str, deadline: None) -> None:
    async with married(mq.Radio(), mq.Dish(), endpoint) as (radio, dish):
        for group in (b"a", b"", b"end"):
            dish.join(group)
            await radio.wait_joined(group)
        for group in (b"ab", b"a", b"A", b"", b"b", b"end"):
            await radio.send(group, b"for " + group)
        assert [await dish.receive() for _ in range(3)] == [(b"a", b"for a"), (b"", b"for "), (b"end", b"for end")]


@pytest.mark.parametrize("size", [0, 1, 254, 255])
async def test_groups_have_up_to_255_bytes(endpoint: str, size: int, deadline: None) -> None:
    group = b"g" * size
    async with married(mq.Radio(), mq.Dish(), endpoint) as (radio, dish):
        dish.join(group)
        await radio.wait_joined(group)
        await radio.send(group, b"body")
        await radio.send(group, b"")
        assert [await dish.receive() for _ in range(2)] == [(group, b"body"), (group, b"")]


async def test_what_cannot_be_a_group_is_refused(deadline: None) -> None:
    async with mq.Radio() as radio, mq.Dish() as dish:
        for call in (dish.join, dish.leave, radio.wait_joined, lambda group: radio.send_nowait(group, b"")):
            for group in (b"g" * 256, b"g\0"):
                with pytest.raises(ValueError, match=r"at most 255 bytes and contains no NUL"):
                    await waited(call(group))
            with pytest.raises(TypeError, match=r"a group is bytes, got the str 'g': encode it"):
                await waited(call("g"))
            with pytest.raises(TypeError, match=r"a group is bytes, got int 1"):
                await waited(call(1))
        with pytest.raises(TypeError, match=r"a frame is bytes, got a list"):
            await radio.send(b"g", [b"two", b"frames"])  # type: ignore[arg-type]


async def waited(result: object) -> None:
    """Await ``result`` if it is to be."""
    if hasattr(result, "__await__"):
        await result


async def test_joining_twice_and_leaving_what_was_not_joined_are_mistakes(deadline: None) -> None:
    async with mq.Dish() as dish:
        dish.join(b"g")
        with pytest.raises(ValueError, match=r"this Dish has joined the group b'g' already"):
            dish.join(b"g")
        dish.leave(b"g")
        with pytest.raises(ValueError, match=r"this Dish has not joined the group b'g'"):
            dish.leave(b"g")
        dish.join(b"g")
    with pytest.raises(trio.ClosedResourceError):
        dish.join(b"h")
    with pytest.raises(trio.ClosedResourceError):
        dish.leave(b"g")


async def test_leaving_drops_what_had_come(endpoint: str, deadline: None) -> None:
    async with married(mq.Radio(), mq.Dish(), endpoint) as (radio, dish):
        for group in (b"a", b"b"):
            dish.join(group)
            await radio.wait_joined(group)
        for number in numbered(10):
            await radio.send(b"a", number)
            await radio.send(b"b", number)
        await until(lambda: dish.statistics().queued_in >= 15)
        dish.leave(b"a")
        assert [await dish.receive() for _ in range(10)] == [(b"b", number) for number in numbered(10)]
        await until(lambda: b"a" not in radio._groups)
        await radio.send(b"a", b"nobody")
        with pytest.raises(trio.WouldBlock):
            dish.receive_nowait()
        dish.join(b"a")
        await radio.wait_joined(b"a")
        await radio.send(b"a", b"again")
        assert await dish.receive() == (b"a", b"again")


async def test_a_radio_waits_for_members_of_any_group_each_counted_once(endpoint: str, deadline: None) -> None:
    async with mq.Radio() as radio, mq.Dish() as one, mq.Dish() as other:
        address = radio.bind(endpoint)
        for dish in (one, other):
            dish.connect(address)
        one.join(b"a")
        one.join(b"b")
        await radio.wait_joined(b"b")
        with pytest.raises(trio.TooSlowError), trio.fail_after(0):
            await radio.wait_joined(None, 2)
        other.join(b"c")
        await radio.wait_joined(None, 2)


@pytest.mark.parametrize("binder", ["radio", "dish"])
async def test_groups_are_joined_on_every_connection(endpoint: str, binder: str, deadline: None) -> None:
    address = await reserved(endpoint)
    async with mq.Dish(reconnect_interval=0.01) as dish:
        dish.join(b"a")
        dish.join(b"b")
        if binder == "dish":
            dish.bind(address)
        else:
            dish.connect(address)
        for turn in range(3):
            async with mq.Radio() as radio:
                if binder == "dish":
                    radio.connect(address)
                else:
                    radio.bind(address)
                await radio.wait_joined(b"b")
                await radio.send(b"a", b"%d" % turn)
                assert await dish.receive() == (b"a", b"%d" % turn)


async def test_a_member_that_leaves_for_good_is_forgotten(endpoint: str, deadline: None) -> None:
    async with mq.Radio() as radio:
        address = radio.bind(endpoint)
        async with mq.Dish() as dish:
            dish.join(b"a")
            dish.connect(address)
            await radio.wait_joined(b"a")
        await until(lambda: not radio._groups)
        await radio.send(b"a", b"nobody")


async def test_each_member_gets_a_message(endpoint: str, deadline: None) -> None:
    async with mq.Radio() as radio, mq.Dish() as one, mq.Dish() as other:
        address = radio.bind(endpoint)
        for dish in (one, other):
            dish.join(b"g")
            dish.connect(address)
        await radio.wait_joined(b"g", 2)
        radio.send_nowait(b"g", b"body")
        for dish in (one, other):
            async for received in dish:
                assert received == (b"g", b"body")
                break


async def test_waiting_for_members_ends_with_the_socket(deadline: None) -> None:
    async with mq.Radio() as radio, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await radio.wait_joined(b"g")

        await wait_all_tasks_blocked()
        await radio.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await radio.send(b"g", b"")


@pytest.mark.parametrize("nodrop", [False, True])
async def test_a_member_that_is_behind_misses_messages_or_is_waited_for(nodrop: bool, deadline: None) -> None:
    pair = married(mq.Radio(send_hwm=1, xpub_nodrop=nodrop), mq.Dish(receive_hwm=2), "inproc://behind")
    async with pair as (radio, dish), radio.monitor() as events:
        dish.join(b"g")
        await radio.wait_joined(b"g")
        for number in numbered(3):
            await radio.send(b"g", number)
        if nodrop:
            with pytest.raises(trio.WouldBlock):
                radio.send_nowait(b"g", b"no")
            with trio.move_on_after(0.01) as scope:
                await radio.send(b"g", b"no")
            assert scope.cancelled_caught
        else:
            await radio.send(b"g", b"missed")
            assert radio.statistics().dropped == {BEHIND: 1}
        assert [await dish.receive() for _ in range(3)] == [(b"g", number) for number in numbered(3)]
        await radio.send(b"g", b"again")
        assert await dish.receive() == (b"g", b"again")
        if not nodrop:
            assert (await next_event(events, mq.Dropped)).count == 1


# -- what is on the wire -----------------------------------------------------------------------------------


async def test_a_radio_sends_group_and_body_and_takes_join_and_leave(wire_endpoint: str, deadline: None) -> None:
    async with mq.Radio() as radio, raw_peer(radio.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"DISH")
        await raw.say(command(b"JOIN", b"g") + command(b"JOIN", b"h"))
        await radio.wait_joined(b"h")
        await radio.send(b"g", b"body")
        assert await raw.hear_frame() == (1, b"g")
        assert await raw.hear_frame() == (0, b"body")
        await raw.say(command(b"LEAVE", b"g") + command(b"LEAVE", b"never joined"))
        await until(lambda: b"g" not in radio._groups)
        await radio.send(b"g", b"nobody")
        await radio.send(b"h", b"end")
        assert await raw.hear_frame() == (1, b"h")


async def test_a_dish_says_join_and_leave(wire_endpoint: str, deadline: None) -> None:
    async with mq.Dish() as dish, raw_peer(dish.bind(wire_endpoint)) as raw:
        dish.join(b"a")
        await raw.shake_hands(b"RADIO")
        assert await raw.hear_frame() == (4, b"\x04JOINa")
        dish.join(b"")
        assert await raw.hear_frame() == (4, b"\x04JOIN")
        dish.leave(b"a")
        assert await raw.hear_frame() == (4, b"\x05LEAVEa")
        await raw.say(multipart(b"a", b"not wanted") + multipart(b"", b"wanted"))
        assert await dish.receive() == (b"", b"wanted")


@pytest.mark.parametrize("said", [frame(b"g"), multipart(b"g", b"a", b"b")])
async def test_a_radio_that_sends_anything_else_loses_its_connection(
    wire_endpoint: str, said: bytes, deadline: None
) -> None:
    async with mq.Dish() as dish, mq.Radio() as good, dish.monitor() as events:
        dish.join(b"g")
        address = dish.bind(wire_endpoint)
        async with raw_peer(address) as raw:
            await raw.shake_hands(b"RADIO")
            await raw.say(multipart(b"g", b"first") + said)
            assert await dish.receive() == (b"g", b"first")
            assert "expected a group and a body" in (await next_event(events, mq.Disconnected)).reason
            await raw.hear_end()
        good.connect(address)
        await good.wait_joined(b"g")
        await good.send(b"g", b"good")
        assert await dish.receive() == (b"g", b"good")


async def test_a_dish_that_sends_messages_has_them_dropped_and_counted(wire_endpoint: str, deadline: None) -> None:
    async with mq.Radio() as radio, raw_peer(radio.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"DISH")
        await raw.say(frame(b"a") + multipart(b"b", b"c") + command(b"SUBSCRIBE", b"g") + command(b"JOIN", b"g"))
        await radio.wait_joined(b"g")
        assert radio.statistics().dropped == {"RADIO does not receive": 2}
        await radio.send(b"g", b"body")
        assert await raw.hear_frame() == (1, b"g")


async def test_another_type_is_refused(wire_endpoint: str, deadline: None) -> None:
    async with mq.Radio() as radio, radio.monitor() as events, mq.Sub() as sub:
        sub.connect(radio.bind(wire_endpoint))
        assert "SUB" in (await next_event(events, mq.HandshakeFailed)).reason


async def test_a_dish_that_is_behind_holds_up_the_wire(wire_endpoint: str, deadline: None) -> None:
    async def serve(raw: object) -> None:
        await raw.shake_hands(b"RADIO")  # type: ignore[attr-defined]
        await raw.say(multipart(b"g", HUGE[: 1 << 20]) * 3)  # type: ignore[attr-defined]
        await raw.hear_end()  # type: ignore[attr-defined]

    async with raw_server(wire_endpoint, serve) as address, mq.Dish(receive_hwm=1) as dish:
        dish.join(b"g")
        dish.connect(address)
        for _ in range(3):
            assert await dish.receive() == (b"g", HUGE[: 1 << 20])


# -- between threads ---------------------------------------------------------------------------------------


def test_radio_and_dish_in_two_threads() -> None:
    count = 3000
    bound = threading.Event()

    async def send() -> None:
        async with mq.Radio(xpub_nodrop=True, send_hwm=10) as radio:
            radio.bind("inproc://radio-threads")
            bound.set()
            await radio.wait_joined(b"end")
            for number in numbered(count):
                await radio.send(b"g", number)
                await radio.send(b"h", number)
            await radio.send(b"end", b"")

    async def receive() -> None:
        await wait_for(bound)
        async with mq.Dish(receive_hwm=10) as dish:
            dish.connect("inproc://radio-threads")
            dish.join(b"g")
            dish.join(b"end")
            assert [await dish.receive() for _ in range(count)] == [(b"g", number) for number in numbered(count)]
            assert await dish.receive() == (b"end", b"")

    together(send, receive)
