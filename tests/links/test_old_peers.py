"""Do sockets talk to peers that only know ZMTP 2.0 or 1.0?"""

from __future__ import annotations

import pytest
import trio

import mq

from ..protocols.wire import SIGNATURE, frame, frame_1_0, multipart, multipart_1_0, opening_1_0, opening_2_0
from .raw import Raw, good_company, raw_peer, raw_server

PUSHES = {
    "2.0": (opening_2_0("PUSH", b"me"), frame(b"one") + multipart(b"two", b"three"), "PUSH", (2, 0)),
    "1.0": (frame_1_0(b"me"), frame_1_0(b"one") + multipart_1_0(b"two", b"three"), "", (1, 0)),
    "1.0 with a version": (
        opening_1_0("PUSH"),
        frame_1_0(b"one") + multipart_1_0(b"two", b"three"),
        "PUSH",
        (1, 0),
    ),
}
PULLS = {
    "2.0": (opening_2_0("PULL"), SIGNATURE + b"\x03\x08" + frame(b""), frame(b"one") + multipart(b"two", b"three")),
    "1.0": (frame_1_0(b""), SIGNATURE, frame_1_0(b"one") + multipart_1_0(b"two", b"three")),
}


@pytest.mark.parametrize(("opened", "said", "socket_type", "version"), PUSHES.values(), ids=PUSHES.keys())
async def test_an_old_peer_is_heard(
    wire_endpoint: str, opened: bytes, said: bytes, socket_type: str, version: tuple[int, int], deadline: None
) -> None:
    async with good_company(wire_endpoint) as company, raw_peer(company.endpoint) as raw:
        await raw.say(opened)
        event = await company.event(mq.Handshaken)
        assert (event.socket_type, event.version, event.mechanism) == (socket_type, version, "NULL")
        await raw.say(said)
        assert await company.pull.receive() == b"one"
        assert await company.pull.receive_multipart() == [b"two", b"three"]
        await company.talk()


@pytest.mark.parametrize(("opened", "said", "_", "version"), PUSHES.values(), ids=PUSHES.keys())
async def test_messages_that_come_with_an_old_greeting_count(
    wire_endpoint: str, opened: bytes, said: bytes, _: str, version: tuple[int, int], deadline: None
) -> None:
    async with good_company(wire_endpoint) as company, raw_peer(company.endpoint) as raw:
        await raw.say(opened + said)
        assert await company.pull.receive() == b"one"
        assert await company.pull.receive_multipart() == [b"two", b"three"]


@pytest.mark.parametrize(("opened", "greeted", "said"), PULLS.values(), ids=PULLS.keys())
async def test_an_old_peer_is_sent_what_it_understands(
    wire_endpoint: str, opened: bytes, greeted: bytes, said: bytes, deadline: None
) -> None:
    heard: list[bytes] = []
    ended = trio.Event()

    async def serve(raw: Raw) -> None:
        await raw.say(opened)
        heard.append(await raw.hear(len(greeted)))
        heard.append(await raw.hear(len(said)))
        heard.append(await raw.hear_end())
        ended.set()

    async with raw_server(wire_endpoint, serve) as endpoint:
        async with mq.Push() as push:
            push.connect(endpoint)
            await push.send(b"one")
            await push.send_multipart([b"two", b"three"])
        await ended.wait()
    assert heard == [greeted, said, b""]
