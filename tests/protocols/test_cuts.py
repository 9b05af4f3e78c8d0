"""Do the same bytes give the same messages, no matter how the network splits them?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mq.protocols.zmtp import Connection

from .recorded import LIBZMQ, TO_OLD_PEERS, Said
from .wire import (
    SIGNATURE,
    byte_by_byte,
    command,
    cut,
    cuts,
    frame,
    frame_1_0,
    greeting,
    hear,
    multipart,
    multipart_1_0,
    opening,
    opening_1_0,
    opening_2_0,
    ready,
    steady,
)

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
    "a 2.0 peer": ("PULL", opening_2_0("PUSH", b"me") + frame(b"same") * 70 + multipart(b"a", b"", b"b" * 300)),
    "a 2.0 subscriber": ("XPUB", opening_2_0("SUB") + frame(b"\x01topic") + frame(b"\x00topic")),
    "a 2.0 peer with a long identity": ("ROUTER", opening_2_0("DEALER", b"i" * 255) + frame(b"a")),
    "a 2.0 identity in the long form": ("ROUTER", SIGNATURE + b"\1\5\2" + (2).to_bytes(8, "big") + b"me" + frame(b"a")),
    "a 2.0 peer that says commands": ("PULL", opening_2_0("PUSH") + frame(b"a") + PING + frame(b"b")),
    "a 2.0 peer of another type": ("PULL", opening_2_0("PUB") + frame(b"a")),
    "a 2.0 peer of no type": ("PULL", SIGNATURE + b"\x01\x4d\0\0"),
    "a 2.0 identity that is too long": ("PULL", opening_2_0("PUSH", b"i" * 256) + frame(b"a")),
    "a 2.0 identity of two frames": ("PULL", SIGNATURE + b"\x01\x08\x01\x02me" + frame(b"a")),
    "a greeting of 3.x from a 2.0 peer": ("PULL", greeting(major=1)),
    "a 1.0 peer": ("PULL", frame_1_0(b"") + frame_1_0(b"same") * 70 + multipart_1_0(b"a", b"", b"b" * 300) * 2),
    "a 1.0 peer with large frames": (
        "PULL",
        frame_1_0(b"me") + frame_1_0(b"l" * 270_000) + multipart_1_0(b"a", b"b" * 263_000),
    ),
    "a 1.0 peer with a short identity": ("ROUTER", frame_1_0(b"i" * 253) + frame_1_0(b"a")),
    "a 1.0 peer with a long identity": ("ROUTER", frame_1_0(b"i" * 254) + frame_1_0(b"a")),
    "a 1.0 peer with the longest identity": ("ROUTER", frame_1_0(b"i" * 255) + frame_1_0(b"a")),
    "a 1.0 peer whose identity is too long": ("ROUTER", frame_1_0(b"i" * 256) + frame_1_0(b"a")),
    "a 1.0 subscriber": ("XPUB", frame_1_0(b"") + frame_1_0(b"\x01topic")),
    "a 1.0 subscriber and a fault": ("PUB", frame_1_0(b"") + frame_1_0(b"a") + b"\0"),
    "a 1.0 peer for a DISH": ("DISH", frame_1_0(b"") + frame_1_0(b"a")),
    "1.0 sizes around the long form": (
        "PULL",
        frame_1_0(b"") + b"".join(frame_1_0(b"s" * size) for size in range(250, 260)),
    ),
    "a 1.0 frame of no size": ("PULL", frame_1_0(b"") + frame_1_0(b"a") + b"\0" + frame_1_0(b"b")),
    "a long 1.0 frame of no size": ("PULL", frame_1_0(b"") + frame_1_0(b"a") + b"\xff" + bytes(9) + frame_1_0(b"b")),
    "1.0 flags that do not exist": ("PULL", frame_1_0(b"") + frame_1_0(b"a") + frame_1_0(b"b", 2)),
    "1.0 flags that an identity does not have": ("PULL", frame_1_0(b"", 1) + frame_1_0(b"a")),
    "a 1.0 peer with a version": ("ROUTER", opening_1_0("DEALER", b"me") + multipart_1_0(b"", b"question")),
    "a 1.0 subscriber with a version": ("XPUB", opening_1_0("XSUB") + frame_1_0(b"\x01topic")),
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
    assert said == recording.data[: len(said)]
    assert recording.data[len(said) :] == b"\x04\t\x04PONGctx9"


@pytest.mark.parametrize("recording", TO_OLD_PEERS.values(), ids=TO_OLD_PEERS.keys())
def test_what_is_said_to_old_peers_is_what_libzmq_says(recording: Said) -> None:
    connection = Connection(recording.socket_type, identity=recording.identity)
    said = hear(connection, byte_by_byte(recording.heard)).answers
    assert connection.peer is not None
    assert said + b"".join(connection.encode(recording.sent)) == recording.said
    assert sum(map(connection.encoded_size, recording.sent)) == len(recording.said) - len(said)
