"""When does a receiver look for what comes, rather than sleep?"""

from __future__ import annotations

import socket
from itertools import pairwise

from mq.links.looking import Looker
from mq.transports.sockets import SocketStream


class Watched(SocketStream):
    """A stream that counts how often it is looked at."""

    looks = 0

    def look(self, seconds: float) -> bool:
        self.looks += 1
        return super().look(seconds)


def looker() -> tuple[Looker, socket.socket, socket.socket]:
    """Return one that looks at a stream, the stream's socket, and the other end."""
    ours, theirs = socket.socketpair()
    return Looker(SocketStream(ours, "peer")), ours, theirs


def take(ours: socket.socket) -> None:
    ours.recv(100)


def test_what_is_there_is_always_seen_in_a_stream_of_messages() -> None:
    look, ours, theirs = looker()
    with ours, theirs:
        for _ in range(1000):
            assert not look.look(in_dialogue=False)
            theirs.send(b"m")
            assert look.look(in_dialogue=False)
            take(ours)


def test_in_a_dialogue_it_looks_eight_times_in_a_row_and_then_lets_others_run() -> None:
    look, ours, theirs = looker()
    with ours, theirs:
        seen = []
        for _ in range(20):
            theirs.send(b"m")
            seen.append(look.look(in_dialogue=True))
            take(ours)
        assert seen == [*[True] * 8, False, *[True] * 8, False, True, True]


def test_in_vain_it_looks_less_and_less_often() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stream = Watched(ours, "peer")
        look = Looker(stream)
        looked = []
        for number in range(1000):
            before = stream.looks
            assert not look.look(in_dialogue=True)
            if stream.looks != before:
                looked.append(number)
        pauses = [later - earlier for earlier, later in pairwise(looked)]
        assert pauses[:6] == [3, 5, 9, 17, 33, 65]
        assert max(pauses) <= 257
        theirs.send(b"m")
        assert any(look.look(in_dialogue=True) for _ in range(300))
