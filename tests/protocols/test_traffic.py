"""What is decoded after the handshake: messages of every size, commands, and faults?"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mq.errors import ProtocolError
from mq.protocols.zmtp import Connection

from .wire import byte_by_byte, command, cut, cuts, frame, hear, listening, multipart, opening, steady

EDGES = [0, 1, 2, 254, 255, 256, 257, 32767, 32768, 65534, 65535, 65536, 262_144, 700_000]


@pytest.mark.parametrize("size", EDGES)
def test_a_message_of_any_size_is_written_as_rfc_37_says_and_read_back(size: int) -> None:
    body = b"s" * size
    said = b"".join(listening("PUSH").encode([body]))
    assert said == frame(body)
    assert listening().decode(said) == [body]
    assert listening("PUSH").encoded_size(body) == len(said)


@pytest.mark.parametrize("size", [0, 1, 255])
def test_a_short_message_in_the_long_form_is_understood(size: int) -> None:
    assert listening().decode(b"\x02" + size.to_bytes(8, "big") + b"s" * size) == [b"s" * size]
    long_more = b"\x03" + size.to_bytes(8, "big") + b"s" * size
    assert listening().decode(long_more + b"\x00\x01e") == [[b"s" * size, b"e"]]


messages = st.one_of(
    st.binary(max_size=300),
    st.lists(st.binary(max_size=300), min_size=2, max_size=5),
    st.sampled_from(EDGES).map(lambda size: b"e" * size),
    st.sampled_from(EDGES).map(lambda size: [b"e" * size, b"", b"f" * size]),
)
batches = st.one_of(
    st.lists(messages, max_size=8),
    st.builds(lambda size, count: [b"%0*d" % (size, n) for n in range(count)], st.sampled_from([1, 4, 300]),
              st.integers(1, 150)),
    st.builds(lambda batch, message, at: [*batch[:at], message, *batch[at:]],
              st.just([b"same"] * 100), messages, st.integers(0, 100)),
)


@steady
@given(batch=batches, places=cuts)
def test_every_batch_comes_out_as_it_went_in(batch: list[bytes | list[bytes]], places: list[int]) -> None:
    push = listening("PUSH")
    said = b"".join(push.encode(batch)) if batch else b""
    expected = b"".join(multipart(*each) if isinstance(each, list) else frame(each) for each in batch)
    assert said == expected
    assert len(said) == sum(map(push.encoded_size, batch))
    assert hear(listening(), cut(said, places)).messages == batch


def test_large_frames_are_handed_over_uncopied() -> None:
    large = bytes(32 * 1024)
    for batch in ([large], [b"small", large, b"small"], [large, large], [[b"small", large]]):
        assert any(buffer is large for buffer in listening("PUSH").encode(batch))


def test_small_frames_are_handed_over_together() -> None:
    assert len(listening("PUSH").encode([b"small"] * 1000)) == 1
    assert len(listening("PUSH").encode([b"small", [b"a", b"b"]] * 100)) == 1


@pytest.mark.parametrize("size", [262_143, 262_144, 300_000, 4 * 2**20, 9 * 2**20 + 1])
@pytest.mark.parametrize("piece", [1000, 65_536, 262_144, 5 * 2**20])
def test_large_frames_come_whole_in_pieces_of_any_size(size: int, piece: int) -> None:
    said = frame(b"a") + frame(b"s" * size, 1) + frame(b"t" * size) + frame(b"b") + frame(b"u" * size) + frame(b"c")
    connection = listening()
    heard = hear(connection, [said[at : at + piece] for at in range(0, len(said), piece)])
    assert heard.messages == [b"a", [b"s" * size, b"t" * size], b"b", b"u" * size, b"c"]
    assert connection.unfinished == ""
    assert connection.space is None


# -- runs of frames of one size ----------------------------------------------------------------------------

INTRUDERS = {
    "another size": (frame(b"other"), [b"other"]),
    "an empty frame": (frame(b""), [b""]),
    "a long frame": (frame(b"s" * 300), [b"s" * 300]),
    "the same size in the long form": (b"\x02\0\0\0\0\0\0\0\x04abcd", [b"abcd"]),
    "two frames of one message": (multipart(b"abcd", b"efgh"), [[b"abcd", b"efgh"]]),
    "many frames of one message": (multipart(*[b"abcd"] * 40), [[b"abcd"] * 40]),
    "a command": (command(b"PING", b"\0\0"), []),
    "a command as long as its neighbours": (b"\x04\x04\x03XYZ", []),
    "a body that looks like headers": (frame(b"\0\x04\0\x04"), [b"\0\x04\0\x04"]),
}


@pytest.mark.parametrize(("data", "meant"), INTRUDERS.values(), ids=INTRUDERS.keys())
@pytest.mark.parametrize("before", [0, 1, 31, 32, 33, 63, 64, 65, 200])
@pytest.mark.parametrize("after", [0, 31, 32, 100])
def test_a_run_of_equal_frames_ends_where_something_else_comes(
    data: bytes, meant: list[bytes], before: int, after: int
) -> None:
    stream = frame(b"same") * before + data + frame(b"same") * after
    assert listening().decode(stream) == [b"same"] * before + meant + [b"same"] * after


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 257, 1000])
@pytest.mark.parametrize("count", [1, 31, 32, 33, 64, 100])
def test_a_run_may_have_any_size_and_length(size: int, count: int) -> None:
    sent = [bytes([number % 7]) * size for number in range(count)]
    assert listening().decode(b"".join(map(frame, sent))) == sent


@pytest.mark.parametrize("body", [b"\0\x04", b"\x04\x04", b"\0\0\0\0\x04\0", b"\x02\x02"])
def test_bodies_that_look_like_headers_stay_bodies(body: bytes) -> None:
    assert listening().decode(frame(body) * 100) == [body] * 100
    assert listening().decode(frame(b"") * 33 + frame(body) * 100) == [b""] * 33 + [body] * 100


def test_a_run_goes_on_after_a_message_that_was_cut() -> None:
    connection = listening()
    stream = frame(b"same") * 100
    assert connection.decode(stream[:5]) == []
    assert connection.decode(stream[5:]) == [b"same"] * 100


def test_frames_that_belong_to_an_open_message_are_no_run() -> None:
    connection = listening()
    assert connection.decode(frame(b"head", 1)) == []
    assert connection.decode(frame(b"same") * 100) == [[b"head", b"same"]] + [b"same"] * 99


def test_a_run_over_the_limit_is_refused_at_its_first_frame() -> None:
    with pytest.raises(ProtocolError, match="oversize") as caught:
        listening(max_message_size=3).decode(frame(b"abc") + frame(b"abcd") * 100)
    assert caught.value.completed == [b"abc"]


# -- commands ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("context", [b"", b"x", b"sixteen bytes ..", b"seventeen bytes ..", b"c" * 240, b"c" * 9000])
def test_a_ping_is_answered_with_its_context_of_at_most_16_bytes(context: bytes) -> None:
    connection = listening()
    assert connection.decode(command(b"PING", b"\x00\x64" + context)) == []
    assert connection.take_output() == command(b"PONG", context[:16])


@pytest.mark.parametrize("data", [b"", b"\x00"])
def test_a_ping_without_a_time_to_live_is_malformed(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="malformed PING"):
        listening().decode(command(b"PING", data))


def test_pings_are_answered_in_order_between_messages() -> None:
    connection = listening()
    stream = b"".join(frame(b"m%d" % n) + command(b"PING", b"\0\0%d" % n) for n in range(5))
    assert connection.decode(stream) == [b"m%d" % n for n in range(5)]
    assert connection.take_output() == b"".join(command(b"PONG", b"%d" % n) for n in range(5))


def test_a_peer_that_asks_on_and_takes_no_answer_fills_no_memory() -> None:
    connection = listening()
    for _ in range(100):
        assert connection.decode(command(b"PING", b"\0\0" + b"c" * 16) * 100 + frame(b"m")) == [b"m"]
    assert 0 < len(connection.take_output()) < 64 * 1024
    connection.decode(command(b"PING", b"\0\0again"))
    assert connection.take_output() == command(b"PONG", b"again")


def test_a_ping_of_ours_is_what_rfc_37_says() -> None:
    connection = listening()
    connection.ping()
    assert connection.take_output() == b"\x04\x07\x04PING\x00\x00"
    connection.ping(time_to_live=2.5)
    assert connection.take_output() == b"\x04\x07\x04PING\x00\x19"


@pytest.mark.parametrize(
    ("seconds", "tenths"),
    [(0.0, 0), (0.001, 1), (0.1, 1), (0.3, 3), (1.0, 10), (8.7, 87), (25.6, 256), (6553.5, 0xFFFF), (1e9, 0xFFFF),
     (math.inf, 0xFFFF)],
)
def test_a_time_to_live_is_said_in_tenths_of_a_second_as_far_as_they_go(seconds: float, tenths: int) -> None:
    connection = listening()
    connection.ping(seconds)
    assert connection.take_output() == b"\x04\x07\x04PING" + tenths.to_bytes(2, "big")


def test_the_time_to_live_of_the_last_ping_is_kept_in_seconds() -> None:
    connection = listening()
    assert connection.time_to_live == 0.0
    for data, seconds in [(b"\x00\x14", 2.0), (b"\x00\x03ctx", 0.3), (b"\xff\xff", 6553.5), (b"\x00\x00", 0.0)]:
        connection.decode(command(b"PING", data))
        assert connection.time_to_live == seconds


def test_a_pong_says_nothing_back() -> None:
    connection = listening()
    assert connection.decode(command(b"PONG") + command(b"PONG", b"c" * 16) + frame(b"m")) == [b"m"]
    assert not connection.output


@pytest.mark.parametrize("name", [b"DANCE", b"ping", b"PINGS", b"\xff\x00", b"READY", b"X" * 255])
@pytest.mark.parametrize("data", [b"", b"data", b"d" * 70_000])
def test_unknown_commands_are_ignored(name: bytes, data: bytes) -> None:
    connection = listening()
    stream = frame(b"a", 1) + command(name, data) + frame(b"b") + command(name, data) + frame(b"c")
    assert connection.decode(stream) == [[b"a", b"b"], b"c"]
    assert not connection.output
    assert hear(listening(), [stream[:3], *byte_by_byte(stream[3:50]), stream[50:]]).messages == [[b"a", b"b"], b"c"]


def test_an_error_in_traffic_ends_the_connection_after_what_came_before() -> None:
    with pytest.raises(ProtocolError, match="ERROR 'enough'") as caught:
        listening().decode(frame(b"a") + command(b"ERROR", b"\x06enough") + frame(b"b"))
    assert caught.value.completed == [b"a"]


@pytest.mark.parametrize("body", [b"", b"\x00", b"\x00rest", b"\x05PING", b"\xff"])
def test_malformed_commands_in_traffic_are_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="malformed command") as caught:
        listening().decode(frame(b"a") + frame(body, 4) + frame(b"b"))
    assert caught.value.completed == [b"a"]


# -- faults ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", sorted(set(range(256)) - {0, 1, 2, 3, 4, 6}))
def test_reserved_flags_are_refused_by_value(flags: int) -> None:
    with pytest.raises(ProtocolError, match=f"flags byte {flags:02x}") as caught:
        listening().decode(frame(b"a") + bytes([flags]) + bytes(9))
    assert caught.value.completed == [b"a"]


@pytest.mark.parametrize("limit", [0, 1, 255, 256, 70_000])
def test_a_message_of_the_limit_passes_and_one_byte_more_does_not(limit: int) -> None:
    assert listening(max_message_size=limit).decode(frame(b"s" * limit)) == [b"s" * limit]
    heard = hear(listening(max_message_size=limit), [frame(b"a" * min(1, limit)) + frame(b"s" * (limit + 1))])
    assert heard.refused
    assert heard.messages == [b"a" * min(1, limit)]
    assert f"oversize message: {limit + 1} bytes" in heard.reason
    assert f"limit is {limit}" in heard.reason


def test_the_limit_holds_for_all_frames_of_a_message_together() -> None:
    assert listening(max_message_size=6).decode(multipart(b"ab", b"cd", b"ef")) == [[b"ab", b"cd", b"ef"]]
    heard = hear(listening(max_message_size=6), [multipart(b"ab", b"cd", b"efg")])
    assert heard.refused
    assert "4 in earlier frames" in heard.reason
    assert heard.messages == []


def test_the_limit_is_counted_anew_for_each_message() -> None:
    connection = listening(max_message_size=6)
    assert connection.decode(multipart(b"abc", b"def") * 50) == [[b"abc", b"def"]] * 50


def test_endless_empty_frames_meet_the_limit() -> None:
    heard = hear(listening(max_message_size=1000), [frame(b"", 1) * 100] * 11)
    assert heard.refused
    assert "oversize" in heard.reason


@pytest.mark.parametrize("size", [2**63, 2**64 - 1])
@pytest.mark.parametrize("flags", [2, 3])
def test_a_size_beyond_63_bits_is_refused_without_any_limit(flags: int, size: int) -> None:
    heard = hear(listening(), [bytes([flags]) + size.to_bytes(8, "big")])
    assert heard.refused
    assert str(size) in heard.reason


@pytest.mark.parametrize("size", [2**31, 2**40, 2**63 - 1])
def test_an_announced_size_takes_no_memory(size: int) -> None:
    connection = listening()
    assert connection.decode(b"\x02" + size.to_bytes(8, "big") + b"start") == []
    assert connection.space is not None
    assert len(connection.space) <= 16 * 1024 * 1024
    assert f"5 of the {size} bytes" in connection.unfinished


def test_commands_do_not_count_for_the_limit() -> None:
    connection = listening(max_message_size=3)
    assert connection.decode(command(b"PING", b"\0\0long context") + frame(b"abc")) == [b"abc"]


def test_a_message_right_after_the_last_byte_of_the_handshake_is_carried() -> None:
    heard = hear(Connection("PULL"), [opening(b"PUSH") + frame(b"a") + b"\xff\xff"])
    assert heard.messages == [b"a"]
    assert heard.refused
    assert heard.peer is not None


def test_a_connection_says_what_is_unfinished() -> None:
    connection = listening()
    assert connection.unfinished == ""
    connection.decode(b"\x02\x00\x00")
    assert connection.unfinished == "3 bytes of a frame's header had arrived"
    connection.decode(bytes(5) + b"\x05hel")
    assert connection.unfinished == "3 of the 5 bytes of a frame had arrived"
    connection.decode(b"lo")
    assert connection.unfinished == ""
    connection.decode(frame(b"a", 1) * 2)
    assert connection.unfinished == "2 frames of a message had arrived, and more were announced"
    assert connection.decode(frame(b"b")) == [[b"a", b"a", b"b"]]
    assert connection.unfinished == ""
