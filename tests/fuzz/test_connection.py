"""Can any bytes make a connection do more than refuse them? Garbage, and valid streams with damage."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mq.errors import ProtocolError
from mq.protocols.zmtp import Connection

from ..protocols.recorded import LIBZMQ
from ..protocols.wire import (
    SIGNATURE,
    byte_by_byte,
    command,
    cut,
    cuts,
    feed,
    frame,
    frame_1_0,
    greeting,
    hear,
    multipart,
    multipart_1_0,
    opening,
    opening_1_0,
    opening_2_0,
)

thorough = settings(derandomize=True, deadline=None, max_examples=50, database=None)

PREFIXES = {
    "nothing": b"",
    "a signature": SIGNATURE,
    "a greeting": greeting(),
    "a handshake": opening(b"PUSH"),
    "a greeting of ZMTP 2.0": opening_2_0("PUSH"),
    "half a greeting of ZMTP 2.0": opening_2_0("PUSH")[:-2],
    "a greeting of ZMTP 1.0": frame_1_0(b"me"),
    "a handshake and half a message": opening(b"PUSH") + frame(b"head", 1),
}

sizes = st.one_of(st.integers(0, 300), st.integers(0, 2**64 - 1), st.sampled_from([2**31, 2**32, 2**63 - 1, 2**63]))
headers = st.builds(
    lambda flags, size: bytes([flags]) + (size.to_bytes(8, "big") if flags & 2 else bytes([size & 255])),
    st.one_of(st.integers(0, 7), st.integers(0, 255)),
    sizes,
)
frames = st.builds(frame, st.binary(max_size=40), st.integers(0, 7))
commands = st.builds(
    command, st.sampled_from([b"READY", b"ERROR", b"PING", b"PONG", b"SUBSCRIBE", b"X"]), st.binary(max_size=40)
)
runs = st.builds(lambda one, times: one * times, st.one_of(frames, headers), st.integers(30, 90))
garbage = st.one_of(
    st.binary(max_size=200),
    st.lists(st.one_of(headers, frames, commands, runs, st.binary(max_size=20)), max_size=12).map(b"".join),
)


def check(connection: Connection, pieces: list[bytes]) -> None:
    """Feed ``pieces``: messages or a refusal are what may come of it, and nothing out of proportion."""
    size = sum(map(len, pieces))
    heard = hear(connection, pieces)  # raises whatever is not a ProtocolError
    for message in heard.messages:
        assert isinstance(message, bytes) or (len(message) > 1 and all(type(each) is bytes for each in message))
    flat = [each for message in heard.messages for each in ([message] if isinstance(message, bytes) else message)]
    assert sum(map(len, flat)) + 2 * len(flat) <= size
    assert len(heard.answers) <= size + 200
    space = connection.space
    assert space is None or 0 < len(space) <= 16 * 1024 * 1024
    if heard.refused:
        assert heard.reason
        assert len(heard.reason) < 400
    else:
        assert isinstance(connection.unfinished, str)


@pytest.mark.parametrize("prefix", PREFIXES.values(), ids=PREFIXES.keys())
@pytest.mark.parametrize("limit", [None, 20])
@thorough
@given(data=garbage, places=cuts)
def test_garbage_is_refused_or_taken_for_messages(
    prefix: bytes, limit: int | None, data: bytes, places: list[int]
) -> None:
    check(Connection("PULL", max_message_size=limit), [prefix, *cut(data, places)] if prefix else cut(data, places))


@pytest.mark.parametrize("prefix", PREFIXES.values(), ids=PREFIXES.keys())
@thorough
@given(data=garbage, places=cuts)
def test_garbage_means_the_same_in_any_cut(prefix: bytes, data: bytes, places: list[int]) -> None:
    whole = hear(Connection("PULL", max_message_size=100), [prefix + data])
    assert hear(Connection("PULL", max_message_size=100), cut(prefix + data, places)) == whole
    assert hear(Connection("PULL", max_message_size=100), byte_by_byte(prefix + data)) == whole


VALID = {
    "small messages": ("PULL", opening(b"PUSH") + b"".join(frame(b"%d" % number) for number in range(40))),
    "a run": ("PULL", opening(b"PUSH") + frame(b"same") * 80),
    "everything": (
        "PULL",
        opening(b"PUSH")
        + multipart(b"a", b"", b"b" * 300)
        + command(b"PING", b"\0\0ctx")
        + frame(b"l" * 700)
        + command(b"X", b"y" * 300)
        + frame(b"end"),
    ),
    "2.0": ("PULL", opening_2_0("PUSH", b"me") + frame(b"same") * 40 + multipart(b"a", b"", b"b" * 300)),
    "1.0": ("PULL", frame_1_0(b"me") + frame_1_0(b"same") * 40 + multipart_1_0(b"a", b"", b"b" * 300)),
    "1.0 with a version": ("ROUTER", opening_1_0("DEALER", b"i" * 254) + multipart_1_0(b"a", b"", b"b" * 300)),
    "subscriptions": (
        "XPUB",
        opening(b"SUB") + command(b"SUBSCRIBE", b"a") * 20 + frame(b"\x01a") + command(b"CANCEL", b"t" * 300),
    ),
    "groups": ("DISH", opening(b"RADIO") + multipart(b"group", b"body") * 20),
    "members": ("RADIO", opening(b"DISH") + command(b"JOIN", b"group") * 20),
} | {name: (recording.ours, recording.data) for name, recording in LIBZMQ.items()}

damage = st.lists(
    st.tuples(
        st.sampled_from(["flip", "set", "insert", "delete", "repeat", "swap"]),
        st.integers(0, 2**20),
        st.integers(1, 255),
        st.integers(1, 40),
    ),
    min_size=1,
    max_size=6,
)


def damaged(data: bytes, wounds: list[tuple[str, int, int, int]]) -> bytes:
    """Return ``data`` with each of ``wounds``."""
    changed = bytearray(data)
    for kind, place, value, length in wounds:
        at = place % len(changed) if changed else 0
        if kind == "flip":
            changed[at : at + 1] = bytes(each ^ value for each in changed[at : at + 1])
        elif kind == "set":
            changed[at : at + 1] = bytes([value])
        elif kind == "insert":
            changed[at:at] = bytes([value]) * length
        elif kind == "delete":
            del changed[at : at + length]
        elif kind == "repeat":
            changed[at:at] = changed[at : at + length]
        else:
            changed[at : at + length] = changed[at : at + length][::-1]
    return bytes(changed)


@pytest.mark.parametrize(("ours", "data"), VALID.values(), ids=VALID.keys())
@thorough
@given(wounds=damage, places=cuts)
@example(wounds=[("delete", 0, 1, 1)], places=[])
@example(wounds=[("insert", 64, 4, 1)], places=[])
def test_a_damaged_stream_gives_messages_or_a_refusal(
    ours: str, data: bytes, wounds: list[tuple[str, int, int, int]], places: list[int]
) -> None:
    hurt = damaged(data, wounds)
    check(Connection(ours), cut(hurt, places))
    assert hear(Connection(ours), cut(hurt, places)) == hear(Connection(ours), [hurt])


@pytest.mark.parametrize(("ours", "data"), VALID.values(), ids=VALID.keys())
def test_a_stream_that_ends_anywhere_gives_what_had_come(ours: str, data: bytes) -> None:
    whole = hear(Connection(ours), [data]).messages
    for end in range(len(data)):
        connection = Connection(ours)
        heard = hear(connection, [data[:end]])
        assert not heard.refused
        assert heard.messages == whole[: len(heard.messages)]


def test_every_single_flipped_bit_of_an_opening_is_taken_or_refused() -> None:
    opened = opening(b"PUSH")
    for bit in range(len(opened) * 8):
        hurt = bytearray(opened)
        hurt[bit // 8] ^= 1 << bit % 8
        check(Connection("PULL"), [bytes(hurt), frame(b"m")])


HUNGRY = {
    "a size that never comes": (opening(b"PUSH"), b"\x02" + (2**62).to_bytes(8, "big")),
    "a command that never ends": (opening(b"PUSH"), b"\x06" + (2**20).to_bytes(8, "big")),
    "a flood of commands": (opening(b"PUSH"), command(b"X", b"y") * 20_000),
    "a flood of PINGs": (opening(b"PUSH"), command(b"PING", b"\0\0" + b"c" * 16) * 10_000),
    "endless empty frames": (opening(b"PUSH"), frame(b"", 1) * 50_000),
    "endless empty frames of 1.0": (frame_1_0(b""), frame_1_0(b"", 1) * 50_000),
}


@pytest.mark.parametrize(("opened", "data"), HUNGRY.values(), ids=HUNGRY.keys())
def test_a_stream_takes_no_more_memory_than_the_limit_allows(opened: bytes, data: bytes) -> None:
    connection = Connection("PULL", max_message_size=10_000)
    connection.decode(opened)
    connection.take_output()
    tracemalloc.start()
    try:
        for piece in [data[at : at + 9000] for at in range(0, len(data), 9000)]:
            feed(connection, piece)
    except ProtocolError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 6 * 1024 * 1024
