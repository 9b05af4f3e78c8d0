"""Which requests do subscribers and group members send, and how are they decoded?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mq.errors import ProtocolError
from mq.message import Cancel, Join, Leave, Message, Subscribe
from mq.protocols.zmtp import Connection, encoding_v2

from .wire import command, converse, cut, cuts, frame, hear, listening, multipart, opening, steady

COMMANDS = {Subscribe: b"SUBSCRIBE", Cancel: b"CANCEL", Join: b"JOIN", Leave: b"LEAVE"}
BOUNDARY = [0, 1, 244, 245, 246, 247, 248, 254, 255, 256, 257, 70_000]
"""Sizes of topics. With 245 bytes, the command has 255 bytes; with 254 bytes, the message has 255 bytes."""


def kinds(message: Message) -> tuple[type, Message]:
    """Return a value that distinguishes a request from a message, which are equal if their bytes are equal."""
    return message.__class__, message


def by_hand(message: Message, minor: int) -> bytes:
    """Return the bytes that a subscriber sends by RFC 37, or by RFC 23 if ``minor`` is 0."""
    if isinstance(message, list):
        return multipart(*message)
    if minor == 0 and isinstance(message, (Subscribe, Cancel)):
        return frame((b"\x01" if isinstance(message, Subscribe) else b"\x00") + message)
    name = COMMANDS.get(message.__class__)
    return command(name, message) if name else frame(message)


# -- what is said ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ours", ["SUB", "XSUB"])
@pytest.mark.parametrize("size", BOUNDARY)
def test_a_3_1_peer_is_sent_commands(ours: str, size: int) -> None:
    topic = b"t" * size
    connection = listening(ours)
    said = b"".join(connection.encode([Subscribe(topic), Cancel(topic)]))
    assert said == command(b"SUBSCRIBE", topic) + command(b"CANCEL", topic)


@pytest.mark.parametrize("ours", ["SUB", "XSUB"])
@pytest.mark.parametrize("size", BOUNDARY)
def test_a_3_0_peer_is_sent_messages_with_a_header_that_fits(ours: str, size: int) -> None:
    topic = b"t" * size
    connection = listening(ours, minor=0)
    said = b"".join(connection.encode([Subscribe(topic), Cancel(topic)]))
    assert said == frame(b"\x01" + topic) + frame(b"\x00" + topic)


def test_a_topic_of_255_bytes_has_a_long_header_at_a_3_0_peer() -> None:
    [said] = listening("SUB", minor=0).encode([Subscribe(b"t" * 255)])
    assert said == b"\x02\0\0\0\0\0\0\x01\x00\x01" + b"t" * 255


@pytest.mark.parametrize("minor", [0, 1])
def test_members_of_groups_send_commands_to_any_peer(minor: int) -> None:
    said = b"".join(listening("DISH", minor=minor).encode([Join(b"group"), Leave(b"group")]))
    assert said == b"\x04\x0a\x04JOINgroup\x04\x0b\x05LEAVEgroup"


topics = st.one_of(st.binary(max_size=20), st.sampled_from(BOUNDARY).map(lambda size: b"t" * size))
plain = st.one_of(topics, st.lists(topics, min_size=2, max_size=3))
batches = st.lists(st.one_of(plain, *(topics.map(kind) for kind in COMMANDS)), max_size=12)


@pytest.mark.parametrize("minor", [0, 1])
@steady
@given(batch=batches)
def test_requests_and_messages_keep_their_order(minor: int, batch: list[Message]) -> None:
    connection = listening("XSUB", minor=minor)
    assert b"".join(connection.encode(batch)) == b"".join(by_hand(each, minor) for each in batch)
    assert [connection.encoded_size(each) for each in batch] == [len(by_hand(each, minor)) for each in batch]


def test_many_subscriptions_are_handed_over_together() -> None:
    assert len(listening("SUB").encode([Subscribe(b"%d" % number) for number in range(1000)])) == 1


# -- what is heard -----------------------------------------------------------------------------------------


@steady
@given(batch=batches, places=cuts)
def test_requests_come_out_in_their_place_among_the_messages(batch: list[Message], places: list[int]) -> None:
    said = b"".join(by_hand(each, 1) for each in batch)
    heard = hear(listening("XPUB"), cut(said, places))
    assert not heard.refused
    expected = [each for each in batch if not isinstance(each, (Join, Leave))]
    assert list(map(kinds, heard.messages)) == list(map(kinds, expected))


@pytest.mark.parametrize("ours", ["PUB", "XPUB"])
def test_a_publisher_hears_subscriptions_but_not_groups(ours: str) -> None:
    said = command(b"JOIN", b"g") + command(b"SUBSCRIBE", b"a") + command(b"LEAVE", b"g") + command(b"CANCEL", b"a")
    assert list(map(kinds, listening(ours).decode(said))) == [(Subscribe, b"a"), (Cancel, b"a")]


def test_a_radio_hears_groups_but_not_subscriptions() -> None:
    said = command(b"JOIN", b"g") + command(b"SUBSCRIBE", b"a") + command(b"LEAVE", b"g") + command(b"CANCEL", b"a")
    assert list(map(kinds, listening("RADIO").decode(said))) == [(Join, b"g"), (Leave, b"g")]


@pytest.mark.parametrize("ours", ["PULL", "PAIR", "SUB", "XSUB", "ROUTER", "REQ"])
@pytest.mark.parametrize("name", COMMANDS.values())
def test_other_types_ignore_requests(ours: str, name: bytes) -> None:
    connection = listening(ours)
    assert connection.decode(command(name, b"topic") + frame(b"m")) == [b"m"]
    assert not connection.output


@pytest.mark.parametrize("ours", ["PUB", "XPUB"])
@pytest.mark.parametrize("minor", [0, 1])
def test_subscriptions_as_messages_stay_messages(ours: str, minor: int) -> None:
    said = frame(b"\x01topic") + frame(b"\x00topic")
    heard = listening(ours, minor=minor).decode(said)
    assert list(map(kinds, heard)) == [(bytes, b"\x01topic"), (bytes, b"\x00topic")]


def test_a_3_0_peer_may_send_commands() -> None:
    assert list(map(kinds, listening("PUB", minor=0).decode(command(b"SUBSCRIBE", b"a")))) == [(Subscribe, b"a")]


def test_a_request_between_the_frames_of_a_message_comes_out_before_it() -> None:
    connection = listening("XPUB")
    said = frame(b"a", 1) + command(b"SUBSCRIBE", b"x") + frame(b"b", 1) + command(b"CANCEL", b"y") + frame(b"c")
    assert connection.decode(said) == [Subscribe(b"x"), Cancel(b"y"), [b"a", b"b", b"c"]]


def test_what_comes_with_the_end_of_the_handshake_is_heard() -> None:
    heard = hear(Connection("PUB"), [opening(b"SUB") + command(b"SUBSCRIBE", b"a")])
    assert list(map(kinds, heard.messages)) == [(Subscribe, b"a")]


def test_a_topic_too_large_for_one_read_is_heard() -> None:
    topic = b"t" * 600_000
    heard = hear(listening("PUB"), cut(command(b"SUBSCRIBE", topic), [100_000, 400_000]))
    assert list(map(kinds, heard.messages)) == [(Subscribe, topic)]


def test_what_a_subscriber_says_a_publisher_hears() -> None:
    sub, pub = Connection("SUB"), Connection("PUB")
    converse(sub, pub)
    asked: list[Message] = [Subscribe(b"a"), Subscribe(b"b" * 300), Cancel(b"a")]
    assert list(map(kinds, pub.decode(b"".join(sub.encode(asked))))) == list(map(kinds, asked))


# -- groups ------------------------------------------------------------------------------------------------


def test_a_dish_hears_groups_and_bodies() -> None:
    said = multipart(b"group", b"body") + command(b"PING", b"\0\0") + multipart(b"", b"") + multipart(b"g", b"b" * 300)
    assert listening("DISH").decode(said) == [[b"group", b"body"], [b"", b""], [b"g", b"b" * 300]]


@pytest.mark.parametrize(
    ("wrong", "count"),
    [
        (frame(b"alone"), "1 frame:"),
        (frame(b"alone") * 100, "1 frame:"),
        (frame(b"a" * 300), "1 frame:"),
        (frame(b"a" * 500_000), "1 frame:"),
        (multipart(b"a", b"b", b"c"), "3 frames:"),
    ],
)
def test_a_dish_refuses_messages_that_are_no_group_and_body(wrong: bytes, count: str) -> None:
    right = multipart(b"group", b"body")
    heard = hear(listening("DISH"), [right * 3 + wrong[:10], wrong[10:] + right])
    assert heard.refused
    assert count in heard.reason
    assert heard.messages == [[b"group", b"body"]] * 3


def test_the_first_of_two_faults_for_a_dish_is_the_one_that_counts() -> None:
    with pytest.raises(ProtocolError, match="a group and a body") as caught:
        listening("DISH").decode(multipart(b"a", b"b") + frame(b"alone") + b"\xf8\x00")
    assert caught.value.completed == [[b"a", b"b"]]
    with pytest.raises(ProtocolError, match="flags byte f8") as caught:
        listening("DISH").decode(multipart(b"a", b"b") + b"\xf8\x00" + frame(b"alone"))
    assert caught.value.completed == [[b"a", b"b"]]


# -- fan-out -----------------------------------------------------------------------------------------------


@steady
@given(batch=st.lists(st.one_of(plain, st.sampled_from([32_767, 32_768, 70_000]).map(bytes)), max_size=40))
def test_messages_encoded_once_are_what_each_peer_would_have_been_sent(batch: list[Message]) -> None:
    connection = listening("PUB")
    alone = b"".join(b"".join(connection.encode([each])) for each in batch)
    assert connection.share()
    wires = [encoding_v2.wire(each) for each in batch]
    assert b"".join(connection.encode(wires)) == alone
    assert list(map(connection.encoded_size, wires)) == list(map(len, wires))


def test_small_messages_encoded_once_are_joined_and_large_ones_go_uncopied() -> None:
    small, other, large = encoding_v2.wire(b"small"), encoding_v2.wire([b"a", b"b"]), encoding_v2.wire(bytes(32 * 1024))
    assert encoding_v2.gather([]) == []
    assert encoding_v2.gather([small] * 1000) == [small * 1000]
    assert encoding_v2.gather([small, other] * 500) == [(small + other) * 500]
    assert encoding_v2.gather([small, large, large, small]) == [small, large, large, small]
    assert encoding_v2.gather([small, large])[1] is large
    assert encoding_v2.gather([large])[0] is large
    middling = [encoding_v2.wire(bytes(size)) for size in range(1000, 1200)]
    for wires in (middling, [middling[0]] * 200):
        buffers = encoding_v2.gather(wires)
        assert b"".join(buffers) == b"".join(wires)
        assert all(32 * 1024 < len(buffer) < 128 * 1024 for buffer in buffers[:-1])


@pytest.mark.parametrize("ours", ["PUB", "XPUB", "RADIO", "PUSH"])
@pytest.mark.parametrize("minor", [0, 1])
def test_peers_of_version_3_share_what_was_encoded_once(ours: str, minor: int) -> None:
    connection = listening(ours, minor=minor)
    assert connection.share()
    assert connection.share()
    assert connection.encode([encoding_v2.wire(b"m")]) == [frame(b"m")]


def test_a_connection_that_translates_requests_does_not_share() -> None:
    connection = listening("XSUB")
    assert not connection.share()
    assert connection.encode([Subscribe(b"a")]) == [command(b"SUBSCRIBE", b"a")]
