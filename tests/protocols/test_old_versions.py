"""Do peers of ZMTP 2.0 and 1.0 get what their version allows, and are other protocols recognized?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mq.errors import ProtocolError
from mq.message import Cancel, Message, Subscribe
from mq.protocols.zmtp import Connection, framing_v1
from mq.protocols.zmtp.greeting import Greeting

from .test_handshake import COMPATIBLE, TYPES
from .wire import (
    NUMBERS,
    PARTNERS,
    SIGNATURE,
    byte_by_byte,
    command,
    cut,
    cuts,
    frame,
    frame_1_0,
    greeting,
    hear,
    multipart_1_0,
    opening_1_0,
    opening_2_0,
    steady,
)

OPENINGS = {
    "2.0": (opening_2_0, (2, 0)),
    "1.0 with a version": (opening_1_0, (1, 0)),
    "1.0": (lambda _, identity=b"": frame_1_0(identity), (1, 0)),
}
versions = pytest.mark.parametrize(("opened", "version"), OPENINGS.values(), ids=OPENINGS.keys())


def old(socket_type: str = "PULL", max_message_size: int | None = None) -> Connection:
    """Return a connection with a peer of ZMTP 1.0."""
    connection = Connection(socket_type, max_message_size=max_message_size)
    connection.decode(frame_1_0(b""))
    connection.take_output()
    return connection


# -- the greeting ------------------------------------------------------------------------------------------


@versions
@pytest.mark.parametrize("identity", [b"", b"me", b"\x00\xff", b"i" * 253, b"i" * 254, b"i" * 255])
def test_an_old_peer_is_told_from_others_by_its_greeting(opened: object, version: object, identity: bytes) -> None:
    connection = Connection("ROUTER")
    peer = hear(connection, [opened("DEALER", identity)]).peer  # type: ignore[operator]
    assert peer is not None
    assert peer.version == version
    assert peer.identity == identity
    assert peer.mechanism == "NULL"
    assert peer.properties == {}
    assert not connection.knows_heartbeats
    assert connection.unfinished == ""


def test_a_peer_that_knows_no_versions_tells_no_type() -> None:
    assert hear(Connection("PULL"), [frame_1_0(b"")]).peer.socket_type == ""  # type: ignore[union-attr]


@pytest.mark.parametrize("opened", [opening_2_0, opening_1_0])
def test_a_peer_that_knows_versions_tells_its_type_and_it_is_checked(opened: object) -> None:
    for ours in NUMBERS:
        for theirs in NUMBERS:
            heard = hear(Connection(ours), [opened(theirs)])  # type: ignore[operator]
            if frozenset({ours, theirs}) in COMPATIBLE:
                assert heard.peer is not None
                assert heard.peer.socket_type == theirs
            else:
                assert f"{ours} talks to" in heard.reason
                assert heard.reason.endswith(f"the peer is {theirs}")


def test_an_unknown_number_of_a_type_is_refused() -> None:
    assert hear(Connection("PULL"), [SIGNATURE + b"\x01\x0b"]).reason.endswith("the peer is of unknown type 11")


@versions
@pytest.mark.parametrize("ours", sorted(set(TYPES) - set(NUMBERS)))
def test_types_that_old_versions_do_not_have_refuse_their_peers(ours: str, opened: object, version: object) -> None:
    heard = hear(Connection(ours), [opened("PAIR")])  # type: ignore[operator]
    assert heard.refused
    assert heard.reason == f"the peer speaks ZMTP {version[0]}.0, which has no {ours}: it needs at least 3.0"  # type: ignore[index]


@versions
def test_a_connection_with_a_mechanism_refuses_peers_that_know_none(opened: object, version: tuple[int, int]) -> None:
    said: list[bytes] = []
    with pytest.raises(ProtocolError, match=rf"PLAIN here, .* ZMTP {version[0]}\.0, which has no mechanisms"):
        Greeting(said.append, "PULL", b"me", b"PLAIN").receive(opened("PUSH"))  # type: ignore[operator]
    assert b"me" not in b"".join(said)


@pytest.mark.parametrize("ours", NUMBERS)
def test_each_step_of_2_0_is_answered_at_once(ours: str) -> None:
    connection = Connection(ours, identity=b"me")
    assert connection.take_output() == b"\xff\0\0\0\0\0\0\0\x03\x7f"
    connection.decode(SIGNATURE)
    assert connection.take_output() == b"\x03"
    connection.decode(b"\x01")
    assert connection.take_output() == bytes([NUMBERS[ours]])
    connection.decode(bytes([NUMBERS[PARTNERS[ours]]]))
    assert connection.take_output() == b"\x00\x02me"
    connection.decode(frame(b"you"))
    assert not connection.output
    assert connection.peer is not None


@pytest.mark.parametrize("identity", [b"", b"me", b"i" * 255])
def test_a_1_0_peer_reads_our_first_bytes_as_our_identity(identity: bytes) -> None:
    connection = Connection("PUSH", identity=identity)
    said = hear(connection, [frame_1_0(b"")]).answers
    assert said[0] == 0xFF
    assert int.from_bytes(said[1:9], "big") == len(identity) + 1
    assert said[10:] == identity


def test_a_connection_says_how_far_an_old_greeting_had_come() -> None:
    connection = Connection("ROUTER")
    for data, awaited in [
        (SIGNATURE, "its version"),
        (b"\x01", "its socket type"),
        (b"\x05", "its identity"),
        (b"\x00", "its identity's size"),
        (b"\x02", "its identity's body"),
    ]:
        connection.decode(data)
        assert connection.unfinished.endswith(awaited)
    connection.decode(b"me")
    assert connection.unfinished == ""


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"\x01\x02me", "the flags 01"),
        (b"\x04\x02me", "the flags 04"),
        (b"\x7f" + bytes(8), "the flags 7d"),
        (frame(b"i" * 256), "256 bytes"),
        (b"\x02" + b"\xff" * 8, f"{2**64 - 1} bytes"),
    ],
)
def test_a_malformed_identity_of_2_0_is_refused(said: bytes, reason: str) -> None:
    heard = hear(Connection("ROUTER"), [SIGNATURE + b"\x01\x05" + said])
    assert "malformed identity frame" in heard.reason
    assert reason in heard.reason


# -- what is no ZMTP ---------------------------------------------------------------------------------------

FOREIGN = {
    "an http request": (b"GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1.*looks like HTTP"),
    "an http post": (b"POST /index HTTP/1.1\r\n\r\n", "POST /index.*looks like HTTP"),
    "an http answer": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "400 Bad.*looks like HTTP"),
    "ssh": (b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n", "OpenSSH.*looks like SSH"),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", r"x16.*looks like TLS"),
    "a zero": (b"\0", "a size of 0"),
    "flags of 3.x": (b"\x05\x04\x05READY", "the flags 04"),
    "an identity of two frames": (b"\x01\x01", "the flags 01"),
    "a long identity": (b"\xff" + (257).to_bytes(8, "big") + b"\0", "256 bytes"),
    "a very long identity": (b"\xff" * 9 + b"\0", f"{2**64 - 2} bytes"),
    "a long identity of no size": (b"\xff" + bytes(9), "-1 bytes"),
    "a long identity with flags": (b"\xff" + (3).to_bytes(8, "big") + b"\x7e", "the flags 7e"),
}


@pytest.mark.parametrize(("data", "reason"), FOREIGN.values(), ids=FOREIGN.keys())
@pytest.mark.parametrize("ours", ["PULL", "PUB", "DISH"])
def test_what_is_no_zmtp_is_refused_as_such(ours: str, data: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError, match="not ZMTP: received") as caught:
        Connection(ours).decode(data)
    assert caught.match(reason)
    assert caught.value.completed == []
    assert hear(Connection(ours), byte_by_byte(data)).refused


# -- messages of 1.0 ---------------------------------------------------------------------------------------

EDGES = [0, 1, 2, 252, 253, 254, 255, 256, 32_767, 32_768, 65_536, 262_143, 262_144, 700_000]
messages = st.one_of(
    st.binary(max_size=300),
    st.lists(st.binary(max_size=300), min_size=2, max_size=5),
    st.sampled_from(EDGES).map(lambda size: b"e" * size),
    st.sampled_from(EDGES).map(lambda size: [b"e" * size, b"", b"f" * size]),
)


@steady
@given(batch=st.lists(messages, max_size=8), places=cuts)
def test_every_batch_comes_out_as_it_went_in(batch: list[Message], places: list[int]) -> None:
    push = old("PUSH")
    said = b"".join(push.encode(batch))
    assert said == b"".join(multipart_1_0(*each) if isinstance(each, list) else frame_1_0(each) for each in batch)
    assert len(said) == sum(map(push.encoded_size, batch))
    assert said == b"".join(map(framing_v1.wire, batch))
    assert hear(old(), cut(said, places)).messages == batch


@pytest.mark.parametrize("size", [0, 1, 253])
def test_a_short_message_in_the_long_form_is_understood(size: int) -> None:
    said = b"\xff" + (size + 1).to_bytes(8, "big") + b"\x00" + b"s" * size
    assert old().decode(said) == [b"s" * size]


def test_large_frames_are_handed_over_uncopied_and_small_ones_together() -> None:
    large = bytes(32 * 1024)
    assert any(buffer is large for buffer in old("PUSH").encode([b"small", large]))
    assert len(old("PUSH").encode([b"small"] * 1000)) == 1


@pytest.mark.parametrize("flags", sorted(set(range(256)) - {0, 1}))
def test_reserved_flags_are_refused_by_value(flags: int) -> None:
    with pytest.raises(ProtocolError, match=f"flags byte {flags:02x}") as caught:
        old().decode(frame_1_0(b"a") + frame_1_0(b"b", flags))
    assert caught.value.completed == [b"a"]


@pytest.mark.parametrize("header", [b"\0", b"\xff" + bytes(9)])
def test_a_frame_without_room_for_its_flags_is_refused(header: bytes) -> None:
    with pytest.raises(ProtocolError, match="a size of 0") as caught:
        old().decode(frame_1_0(b"a") + header + b"\0")
    assert caught.value.completed == [b"a"]


@pytest.mark.parametrize("body", [b"", b"x", b"hello"])
def test_a_frame_of_later_versions_is_refused_also_when_it_comes_alone(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="a size of 0"):
        old().decode(bytes([0, len(body)]) + body)


@pytest.mark.parametrize("limit", [0, 1, 253, 254, 70_000])
def test_a_message_of_the_limit_passes_and_one_byte_more_does_not(limit: int) -> None:
    assert old(max_message_size=limit).decode(frame_1_0(b"s" * limit)) == [b"s" * limit]
    with pytest.raises(ProtocolError, match=f"{limit + 1} bytes announced, the limit is {limit}"):
        old(max_message_size=limit).decode(frame_1_0(b"s" * (limit + 1)))


def test_the_limit_holds_for_all_frames_of_a_message_together() -> None:
    with pytest.raises(ProtocolError, match="4 in earlier frames"):
        old(max_message_size=6).decode(multipart_1_0(b"ab", b"cd", b"efg"))


def test_an_announced_size_takes_no_memory() -> None:
    connection = old()
    assert connection.decode(b"\xff" + (2**62).to_bytes(8, "big") + b"\0start") == []
    assert connection.space is not None
    assert len(connection.space) <= 16 * 1024 * 1024
    assert f"5 of the {2**62 - 1} bytes" in connection.unfinished
    assert hear(old(), [b"\xff" * 9 + b"\0"]).refused


def test_a_connection_says_what_is_unfinished() -> None:
    connection = old()
    connection.decode(b"\xff\0\0")
    assert connection.unfinished == "3 bytes of a frame's header had arrived"
    connection.decode(bytes(5) + b"\x06\0hel")
    assert connection.unfinished == "3 of the 5 bytes of a frame had arrived"
    connection.decode(b"lo" + frame_1_0(b"a", 1))
    assert connection.unfinished == "1 frames of a message had arrived, and more were announced"


# -- roles -------------------------------------------------------------------------------------------------


@versions
def test_requests_and_replies_pass(opened: object, version: tuple[int, int]) -> None:
    write = multipart_1_0 if version == (1, 0) else lambda *frames: frame(frames[0], 1) + frame(frames[1])
    router = Connection("ROUTER", identity=b"me")
    heard = hear(router, [opened("DEALER", b"you") + write(b"", b"question")])  # type: ignore[operator]
    assert heard.messages == [[b"", b"question"]]
    assert b"".join(router.encode([[b"", b"answer"]])) == write(b"", b"answer")


@versions
@pytest.mark.parametrize("size", [0, 1, 245, 246, 252, 253, 254, 255, 256])
def test_a_subscriber_says_what_it_wants_in_messages(opened: object, version: tuple[int, int], size: int) -> None:
    write = frame_1_0 if version == (1, 0) else frame
    sub = Connection("SUB")
    hear(sub, [opened("PUB")])  # type: ignore[operator]
    topic = b"t" * size
    batch: list[Message] = [Subscribe(topic), b"m", Cancel(topic)]
    assert b"".join(sub.encode(batch)) == write(b"\x01" + topic) + write(b"m") + write(b"\x00" + topic)
    assert list(map(sub.encoded_size, batch)) == [len(sub.encode([each])[0]) for each in batch]


@pytest.mark.parametrize("ours", ["PUB", "XPUB"])
def test_a_subscriber_that_cannot_subscribe_gets_everything(ours: str) -> None:
    for identity in (b"", b"i" * 255):
        heard = hear(Connection(ours), byte_by_byte(frame_1_0(identity)))
        assert heard.messages == [Subscribe(b"")]
        assert heard.kinds == [Subscribe]
    heard = hear(Connection(ours), [frame_1_0(b"") + frame_1_0(b"early") + b"\0"])
    assert heard.messages == [Subscribe(b""), b"early"]
    assert heard.refused


@pytest.mark.parametrize("opened", [opening_2_0("SUB"), opening_1_0("SUB")])
def test_a_subscriber_that_can_subscribe_gets_nothing_before_it_does(opened: bytes) -> None:
    assert hear(Connection("PUB"), [opened]).messages == []


@pytest.mark.parametrize("name", [b"PING", b"SUBSCRIBE", b"READY"])
def test_a_2_0_peer_has_no_commands(name: bytes) -> None:
    connection = Connection("PUB")
    heard = hear(connection, [opening_2_0("SUB") + frame(b"\x01a") + command(name, b"\0\0")])
    assert heard.messages == [b"\x01a"]
    assert "a command, but ZMTP 2.0 has no commands" in heard.reason


@versions
def test_what_was_encoded_once_is_shared_where_the_framing_is_that_of_3_x(
    opened: object, version: tuple[int, int]
) -> None:
    pub = Connection("PUB")
    hear(pub, [opened("SUB")])  # type: ignore[operator]
    assert pub.share() is (version == (2, 0))
    message = frame(b"m") if version == (2, 0) else b"m"
    assert pub.encode([message]) == [frame(b"m") if version == (2, 0) else frame_1_0(b"m")]


def test_the_first_message_may_come_with_the_greeting_of_an_old_peer() -> None:
    assert hear(Connection("PULL"), [opening_2_0("PUSH") + frame(b"m") * 50]).messages == [b"m"] * 50
    assert hear(Connection("PULL"), [frame_1_0(b"") + frame_1_0(b"m") * 50]).messages == [b"m"] * 50


def test_a_2_0_peer_is_not_taken_for_one_of_3_x() -> None:
    heard = hear(Connection("PULL"), [greeting(major=1)])
    assert heard.refused
    assert "PULL talks to PUSH, the peer is PUB" in heard.reason
