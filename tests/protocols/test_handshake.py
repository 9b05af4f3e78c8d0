"""Which socket types may be connected, and what does READY contain?"""

from __future__ import annotations

import itertools

import pytest

from mq.protocols.zmtp import Connection

from .recorded import LIBZMQ
from .wire import command, converse, frame, greeting, hear, ready

# RFCs 28 to 31, 41, 48, 49, 51 and 52, read off again: each line holds for both of its sides.
FRIENDS = """
    PAIR PAIR
    PUB SUB | PUB XSUB | XPUB SUB | XPUB XSUB
    REQ REP | REQ ROUTER | DEALER REP | DEALER DEALER | DEALER ROUTER | ROUTER ROUTER
    PUSH PULL
    CLIENT SERVER
    RADIO DISH
    SCATTER GATHER
    PEER PEER
    CHANNEL CHANNEL
"""
COMPATIBLE = {frozenset(pair.split()) for line in FRIENDS.strip().splitlines() for pair in line.split("|")}
TYPES = sorted(set().union(*COMPATIBLE))


def test_every_socket_type_of_the_wire_is_known() -> None:
    assert len(TYPES) == 19


@pytest.mark.parametrize("ours", TYPES)
def test_a_socket_meets_its_own_kind_of_peers_only(ours: str) -> None:
    for theirs in TYPES:
        one, other = Connection(ours), Connection(theirs)
        heard = hear(one, [greeting() + ready(Socket_Type=theirs.encode())])
        if frozenset({ours, theirs}) in COMPATIBLE:
            assert heard.peer is not None
            assert heard.peer.socket_type == theirs
            converse(Connection(ours), other)
            assert other.peer is not None
            assert other.peer.socket_type == ours
        else:
            assert heard.refused
            assert heard.peer is None
            assert f"{ours} talks to" in heard.reason
            assert heard.reason.endswith(f"the peer is {theirs}")


@pytest.mark.parametrize("unknown", [b"", b"pull", b"PUSH\0", b"STREAM", b"DGRAM", b"\xff\xff", b"PUSHPUSH"])
def test_an_unknown_socket_type_is_refused_as_it_was_written(unknown: bytes) -> None:
    heard = hear(Connection("PULL"), [greeting() + ready(Socket_Type=unknown)])
    assert heard.refused
    assert unknown.decode("ascii", "backslashreplace") in heard.reason


def test_a_peer_without_a_socket_type_is_refused() -> None:
    heard = hear(Connection("PULL"), [greeting() + ready(X_Room=b"kitchen")])
    assert heard.refused
    assert "unnamed" in heard.reason


def test_property_names_are_compared_as_libzmq_does_with_their_case() -> None:
    assert hear(Connection("PULL"), [greeting() + ready(socket_type=b"PUSH")]).refused


def test_the_peers_properties_are_kept() -> None:
    said = ready(X_Room=b"kitchen", Socket_Type=b"DEALER", X_Empty=b"", Identity=b"\x00\xffme", X_Long=b"v" * 3000)
    peer = hear(Connection("ROUTER"), [greeting() + said]).peer
    assert peer is not None
    assert peer.identity == b"\x00\xffme"
    assert peer.properties == {
        b"X-Room": b"kitchen",
        b"Socket-Type": b"DEALER",
        b"X-Empty": b"",
        b"Identity": b"\x00\xffme",
        b"X-Long": b"v" * 3000,
    }


@pytest.mark.parametrize("socket_type", TYPES)
@pytest.mark.parametrize("identity", [b"", b"me"])
def test_only_types_that_are_addressed_say_their_identity(socket_type: str, identity: bytes) -> None:
    connection = Connection(socket_type, identity=identity)
    said = hear(connection, [greeting()]).answers[64:]
    if socket_type in ("REQ", "DEALER", "ROUTER"):
        assert said == ready(Socket_Type=socket_type.encode(), Identity=identity)
    else:
        assert said == ready(Socket_Type=socket_type.encode())


def test_the_identity_arrives() -> None:
    dealer, router = Connection("DEALER", identity=b"me"), Connection("ROUTER")
    converse(dealer, router)
    assert router.peer is not None
    assert router.peer.identity == b"me"


def test_the_longest_identity_is_taken_and_a_longer_one_refused() -> None:
    for size, refused in [(255, False), (256, True), (100_000, True)]:
        heard = hear(Connection("ROUTER"), [greeting() + ready(Socket_Type=b"DEALER", Identity=b"i" * size)])
        assert heard.refused is refused
        assert (heard.peer is None) is refused
        assert (f"oversize identity: {size} bytes" in heard.reason) is refused


def test_properties_of_the_application_arrive() -> None:
    push = Connection("PUSH", metadata={"X-Room": "kitchen", "X-Name": "Zoë", "X-Long": "v" * 3000})
    pull = Connection("PULL")
    converse(push, pull)
    assert pull.peer is not None
    assert pull.peer.properties == {
        b"Socket-Type": b"PUSH",
        b"X-Room": b"kitchen",
        b"X-Name": "Zoë".encode(),
        b"X-Long": b"v" * 3000,
    }


def test_properties_of_the_application_are_said_as_libzmq_says_them() -> None:
    recording = LIBZMQ["a PUSH with a property of the application"]
    said = hear(Connection("PUSH", metadata={"X-Room": "kitchen"}), [greeting()]).answers
    assert said == recording.data[: len(said)]
    assert len(said) == len(recording.data) - len(frame(b"q"))


def _properties(data: bytes) -> bytes:
    return frame(b"\x05READY" + data, 4)


TYPED = b"\x0bSocket-Type\x00\x00\x00\x04PUSH"
MALFORMED = {
    "a name that does not end": _properties(TYPED + b"\x09X-Room"),
    "a size that does not end": _properties(TYPED + b"\x06X-Room\x00\x00\x00"),
    "a name without a size": _properties(TYPED + b"\x06X-Room"),
    "a value that does not end": _properties(TYPED + b"\x06X-Room\x00\x00\x00\x08kitchen"),
    "a value of four gigabytes": _properties(TYPED + b"\x06X-Room\xff\xff\xff\xffkitchen"),
    "one byte": _properties(TYPED + b"\x01"),
    "an empty command": b"\x04\x00",
    "a command without a name": b"\x04\x01\x00",
    "a name longer than its command": b"\x04\x03\x05RE",
    "a name longer than its long command": b"\x06\x00\x00\x00\x00\x00\x00\x00\x02\xffR",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_commands_are_refused(data: bytes) -> None:
    heard = hear(Connection("PULL"), [greeting() + data])
    assert heard.refused
    assert heard.peer is None
    assert "malformed" in heard.reason


@pytest.mark.parametrize("name", [b"HELLO", b"WELCOME", b"INITIATE", b"PING", b"SUBSCRIBE", b"ready", b"X"])
def test_a_command_out_of_place_is_refused_by_name(name: bytes) -> None:
    heard = hear(Connection("PULL"), [greeting() + command(name, b"\x00\x00")])
    assert heard.refused
    assert "expected READY" in heard.reason
    assert name.decode() in heard.reason


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"\x03400", "400"), (b"\x00", "''"), (b"", "''"), (b"\xffcut", "cut"), (b"\x02\xff\n", r"\\xff")],
)
def test_the_reason_of_an_error_is_passed_on(data: bytes, said: str) -> None:
    heard = hear(Connection("PULL"), [greeting() + command(b"ERROR", data)])
    assert heard.refused
    assert "refused the handshake" in heard.reason
    assert said in heard.reason


@pytest.mark.parametrize("body", [b"", b"hello", b"x" * 300])
@pytest.mark.parametrize("flags", [0, 1])
def test_a_message_in_the_handshake_is_refused(body: bytes, flags: int) -> None:
    heard = hear(Connection("PULL"), [greeting() + frame(body, flags)])
    assert heard.refused
    assert "before the end of the handshake" in heard.reason
    assert heard.messages == []


def test_an_endless_command_is_refused_before_it_has_come() -> None:
    for flags, (limit, refused) in itertools.product((6,), [(2**20, False), (2**20 + 1, True), (2**63, True)]):
        heard = hear(Connection("PULL"), [greeting() + bytes([flags]) + limit.to_bytes(8, "big")])
        assert heard.refused is refused
        assert ("oversize command" in heard.reason) is refused
