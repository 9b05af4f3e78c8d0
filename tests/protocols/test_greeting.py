"""Does a connection open as RFC 37 says, step by step, with every kind of peer?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mq.errors import ProtocolError
from mq.message import Subscribe
from mq.protocols.zmtp import Connection

from .wire import SIGNATURE, byte_by_byte, command, converse, greeting, hear, opening, steady


def test_the_first_ten_bytes_are_said_before_anything_is_heard() -> None:
    assert Connection("PULL").take_output() == SIGNATURE


def test_the_version_is_said_only_when_the_peers_signature_is_whole() -> None:
    connection = Connection("PULL")
    connection.take_output()
    for byte in byte_by_byte(SIGNATURE[:-1]):
        connection.decode(byte)
        assert not connection.output
    connection.decode(SIGNATURE[-1:])
    assert connection.take_output() == b"\x03"


def test_the_mechanism_is_said_only_when_the_peers_version_has_come() -> None:
    connection = Connection("PULL")
    connection.decode(SIGNATURE)
    connection.take_output()
    assert not connection.output
    connection.decode(b"\x03")
    assert connection.take_output() == b"\x01NULL" + bytes(48)


def test_ready_is_said_only_when_the_mechanisms_agree() -> None:
    connection = Connection("PULL")
    connection.decode(greeting()[:-1])
    connection.take_output()
    assert not connection.output
    connection.decode(greeting()[-1:])
    assert connection.take_output() == b"\x04\x1a\x05READY\x0bSocket-Type\x00\x00\x00\x04PULL"


def test_all_that_is_said_in_the_greeting_is_its_64_bytes() -> None:
    connection = Connection("PULL")
    heard = hear(connection, byte_by_byte(opening(b"PUSH")))
    assert heard.answers[:64] == greeting()
    assert heard.answers[64:] == b"\x04\x1a\x05READY\x0bSocket-Type\x00\x00\x00\x04PULL"


@steady
@given(padding=st.binary(min_size=8, max_size=8), last=st.integers(0, 255).filter(lambda each: each & 1))
def test_the_padding_of_a_signature_means_nothing(padding: bytes, last: int) -> None:
    signature = b"\xff" + padding + bytes([last])
    heard = hear(Connection("PULL"), [greeting(signature=signature) + opening(b"PUSH")[64:]])
    assert heard.peer is not None


@steady
@given(as_server=st.integers(0, 255), filler=st.binary(min_size=31, max_size=31))
def test_the_server_byte_and_the_filler_of_null_mean_nothing(as_server: int, filler: bytes) -> None:
    opened = greeting()[:32] + bytes([as_server]) + filler
    assert hear(Connection("PULL"), [opened + opening(b"PUSH")[64:]]).peer is not None


@pytest.mark.parametrize(
    ("major", "minor", "beats"), [(3, 0, False), (3, 1, True), (3, 2, True), (4, 0, True), (255, 255, True)]
)
def test_a_peer_of_version_3_or_newer_is_spoken_to(major: int, minor: int, beats: bool) -> None:
    connection = Connection("PULL")
    peer = hear(connection, [greeting(major=major, minor=minor) + opening(b"PUSH")[64:]]).peer
    assert peer is not None
    assert peer.version == (major, minor)
    assert connection.knows_heartbeats is beats


@pytest.mark.parametrize("minor", [0, 1, 255])
def test_a_peer_whose_version_byte_is_2_is_spoken_to_as_3_1(minor: int) -> None:
    connection = Connection("SUB")
    peer = hear(connection, [greeting(major=2, minor=minor) + opening(b"PUB")[64:]]).peer
    assert peer is not None
    assert peer.version == (3, 1)
    assert connection.knows_heartbeats
    assert connection.encode([Subscribe(b"a")]) == [command(b"SUBSCRIBE", b"a")]


@pytest.mark.parametrize("size", [0, 1, 253, 254, 255])
def test_the_padding_of_our_signature_is_one_more_than_the_size_of_our_identity(size: int) -> None:
    connection = Connection("PULL", identity=b"i" * size)
    assert connection.take_output() == b"\xff" + (size + 1).to_bytes(8, "big") + b"\x7f"


def test_a_3_0_peer_exchanges_messages() -> None:
    connection = Connection("PULL")
    heard = hear(connection, [opening(b"PUSH", minor=0) + b"\x00\x05hello"])
    assert heard.messages == [b"hello"]


@pytest.mark.parametrize(
    ("mechanism", "named"),
    [
        (b"PLAIN", "PLAIN"),
        (b"CURVE", "CURVE"),
        (b"", "none"),
        (b"null", "null"),
        (b"NULLNULLNULLNULLNULL", "NULLNULLNULLNULLNULL"),
        (b"NULL\0X", "X"),
        (b"\xff\xfe", r"\xff\xfe"),
    ],
)
def test_another_mechanism_is_refused_by_name(mechanism: bytes, named: str) -> None:
    heard = hear(Connection("PULL"), [greeting(mechanism)])
    assert heard.refused
    assert "mechanism" in heard.reason
    assert "NULL here" in heard.reason
    assert named in heard.reason
    assert len(heard.answers) == 64  # no READY for a peer that we shall not talk to


@pytest.mark.parametrize("mechanism", [b"PLAIN", b"CURVE", b"GSSAPI"])
def test_a_mechanism_of_libzmqs_comes_with_advice(mechanism: bytes) -> None:
    heard = hear(Connection("PULL"), [greeting(mechanism)])
    assert f"the peer wants {mechanism.decode()}, which mq does not have yet: switch security off" in heard.reason


def test_a_connection_says_how_far_the_greeting_had_come() -> None:
    connection = Connection("PULL")
    assert "signature" in connection.unfinished
    connection.decode(SIGNATURE)
    assert "version" in connection.unfinished
    connection.decode(b"\x03")
    assert "mechanism" in connection.unfinished
    connection.decode(greeting()[11:])
    assert "READY" in connection.unfinished
    connection.decode(opening(b"PUSH")[64:])
    assert not connection.unfinished


def test_two_connections_meet() -> None:
    push, pull = Connection("PUSH"), Connection("PULL")
    converse(push, pull)
    assert push.peer is not None
    assert pull.peer is not None
    assert (push.peer.socket_type, pull.peer.socket_type) == ("PULL", "PUSH")
    assert push.peer.version == pull.peer.version == (3, 1)
    assert push.peer.mechanism == pull.peer.mechanism == "NULL"
    assert pull.decode(b"".join(push.encode([b"one", [b"two", b"three"]]))) == [b"one", [b"two", b"three"]]


def test_nothing_is_taken_for_a_message_before_the_handshake_ends() -> None:
    with pytest.raises(ProtocolError, match="handshake") as caught:
        Connection("PULL").decode(greeting() + b"\x00\x05hello" + opening(b"PUSH")[64:])
    assert caught.value.completed == []
