"""Do the same bytes mean the same, however the network cuts them?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mq.protocols.zmtp import Connection

from .recorded import LIBZMQ
from .wire import byte_by_byte, command, cut, cuts, frame, greeting, hear, multipart, opening, ready, steady

PUSHED = opening(b"PUSH")
PING = command(b"PING", b"\x00\x64context")

STREAMS: dict[str, tuple[str, bytes]] = {
    "an opening": ("PULL", PUSHED),
    "small messages": ("PULL", PUSHED + b"".join(frame(b"%d" % number) for number in range(50))),
    "a run of equal sizes": ("PULL", PUSHED + b"".join(frame(b"%04d" % number) for number in range(200))),
    "a run of long frames": ("PULL", PUSHED + b"".join(frame(b"%0300d" % number) for number in range(70))),
    "a run with a command inside": ("PULL", PUSHED + frame(b"abcd") * 70 + PING + frame(b"efgh") * 70),
    "a run with a multipart message inside": ("PULL", PUSHED + frame(b"ab") * 70 + multipart(b"c", b"d") * 40),
    "a run of empty frames": ("PULL", PUSHED + frame(b"") * 100),
    "multipart messages": ("PULL", PUSHED + multipart(b"a", b"", b"b" * 300, b"c") * 5 + multipart(b"", b"")),
    "commands between frames": ("PULL", PUSHED + frame(b"a", 1) + PING + frame(b"b", 1) + PING + frame(b"c")),
    "unknown commands": ("PULL", PUSHED + command(b"DANCE", b"tango") + frame(b"a") + command(b"X" * 255) * 2),
    "a dealer": ("ROUTER", greeting() + ready(Socket_Type=b"DEALER", Identity=b"me") + multipart(b"", b"question")),
    "sizes around the long form": ("PULL", PUSHED + b"".join(frame(b"s" * size) for size in range(250, 260))),
    "a message and then an error": ("PULL", PUSHED + frame(b"a") * 50 + command(b"ERROR", b"\x03400")),
    "a run and then a fault": ("PULL", PUSHED + frame(b"abcd") * 100 + b"\x08\x00" + frame(b"lost")),
    "a fault in the handshake": ("PULL", greeting() + frame(b"early") + PUSHED[64:]),
    "another socket type": ("PULL", opening(b"PUB") + frame(b"a")),
    "another mechanism": ("PULL", greeting(b"PLAIN") + PUSHED[64:]),
    "an old peer": ("PULL", greeting(major=1)),
    "subscriptions": (
        "XPUB",
        opening(b"SUB")
        + b"".join(command(b"SUBSCRIBE", b"topic %d" % number) for number in range(40))
        + command(b"CANCEL", b"topic 3")
        + frame(b"\x01plain"),
    ),
    "subscriptions between frames": (
        "PUB",
        opening(b"XSUB") + frame(b"a", 1) + command(b"SUBSCRIBE") + frame(b"b", 1) + command(b"CANCEL") + frame(b"c"),
    ),
    "long topics": (
        "XPUB",
        opening(b"SUB") + b"".join(command(b"SUBSCRIBE", b"t" * size) for size in (245, 246, 255, 256, 300_000)),
    ),
    "members of groups": ("RADIO", opening(b"DISH") + command(b"JOIN", b"a") + command(b"LEAVE", b"a")),
    "groups": ("DISH", opening(b"RADIO") + multipart(b"group", b"body") * 50 + multipart(b"", b"b" * 300_000)),
    "a single frame for a DISH": ("DISH", opening(b"RADIO") + multipart(b"a", b"b") + frame(b"c") + frame(b"d")),
    "three frames for a DISH": ("DISH", opening(b"RADIO") + multipart(b"a", b"b") + multipart(b"c", b"d", b"e")),
    "a run of single frames for a DISH": ("DISH", opening(b"RADIO") + multipart(b"a", b"b") + frame(b"cd") * 70),
    "a large frame for a DISH": ("DISH", opening(b"RADIO") + multipart(b"a", b"b") + frame(b"c" * 300_000)),
    "no peer at all": ("PULL", b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n"),
} | {name: (recording.ours, recording.data) for name, recording in LIBZMQ.items()}


@pytest.mark.parametrize(("ours", "data"), STREAMS.values(), ids=STREAMS.keys())
def test_a_stream_means_the_same_whole_and_byte_by_byte(ours: str, data: bytes) -> None:
    assert hear(Connection(ours), byte_by_byte(data)) == hear(Connection(ours), [data])


@steady
@given(stream=st.sampled_from(sorted(STREAMS)), places=cuts)
def test_a_stream_means_the_same_in_any_cut(stream: str, places: list[int]) -> None:
    ours, data = STREAMS[stream]
    assert hear(Connection(ours), cut(data, places)) == hear(Connection(ours), [data])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 9, 64, 4096])
def test_a_limit_is_met_at_the_same_byte_in_any_cut(size: int) -> None:
    data = PUSHED + frame(b"abcd") * 100 + multipart(b"abc", b"de") + frame(b"abcdef") + frame(b"never")
    whole = hear(Connection("PULL", max_message_size=5), [data])
    assert whole.refused
    assert whole.messages == [b"abcd"] * 100 + [[b"abc", b"de"]]
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert hear(Connection("PULL", max_message_size=5), pieces) == whole


@pytest.mark.parametrize("recording", LIBZMQ.values(), ids=LIBZMQ.keys())
def test_what_libzmq_said_is_understood(recording: object) -> None:
    heard = hear(Connection(recording.ours), [recording.data])  # type: ignore[attr-defined]
    assert not heard.refused
    assert heard.peer is not None
    assert heard.peer.socket_type == recording.peer_type  # type: ignore[attr-defined]
    assert heard.peer.properties == recording.properties  # type: ignore[attr-defined]
    assert heard.messages == recording.messages  # type: ignore[attr-defined]
    opened = hear(Connection(recording.ours), [greeting()]).answers  # type: ignore[attr-defined]
    assert heard.answers == opened + recording.answers  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["a PUSH", "a DEALER with the identity me"])
def test_what_is_said_to_libzmq_is_what_libzmq_says(name: str) -> None:
    recording = LIBZMQ[name]
    connection = Connection(recording.peer_type, identity=recording.properties.get(b"Identity", b""))
    said = hear(connection, [opening(recording.ours.encode())]).answers
    said += b"".join(connection.encode(recording.messages))
    assert said[10:] == recording.data[10 : len(said)]  # libzmq's padding counts its identity
    assert recording.data[len(said) :] == b"\x04\t\x04PONGctx9"
