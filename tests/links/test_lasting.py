"""Does a socket that lives for long stay as small as it was? Peers come, fail in every way, and go."""

from __future__ import annotations

import mq

from ..conftest import next_event
from ..protocols.wire import frame
from .raw import raw_peer


def break_off(number: int) -> bytes:
    """Return the last bytes of a peer; each contains a number that the peer chooses."""
    error = b"\x05ERROR\x08%08d" % number
    return (
        frame(bytes(100 + number))[:-1],
        frame(error, 4),
        b"\x06" + (2_000_000 + number).to_bytes(8, "big"),  # a command that is too long
        bytes([0x40 + number % 64, 1]),  # flags that do not exist
    )[number % 4]


async def test_what_peers_say_last_makes_no_reasons_in_dropped(wire_endpoint: str, deadline: None) -> None:
    async with mq.Dealer(linger=0, send_buffer=4096) as dealer, dealer.monitor() as events:
        address = dealer.bind(wire_endpoint)
        told = set()
        for number in range(24):
            async with raw_peer(address) as raw:
                await raw.shake_hands(b"DEALER")
                await dealer.wait_connected()
                for _ in range(4):
                    dealer.send_nowait(bytes(4_000_000))  # the peer does not read them
                await raw.say(break_off(number))
                await raw.stream.aclose()
            told.add((await next_event(events, mq.Dropped)).reason)
        assert list(dealer.statistics().dropped) == ["the connection ended"]
        assert dealer.statistics().dropped["the connection ended"] >= 24
        assert len(told) > 12
