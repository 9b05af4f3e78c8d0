"""Are our keys those of CURVE, and our Z85 that of RFC 32? libzmq says so."""

from __future__ import annotations

import subprocess
import sys

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st
from zmq.utils import z85

import mq
from mq.keys import z85_decode, z85_encode


def test_a_pair_of_keys_is_one_for_libzmq() -> None:
    public, secret = mq.curve_keypair()
    assert zmq.curve_public(secret) == public
    assert mq.curve_keypair() != (public, secret)


@given(st.binary(max_size=64).map(lambda data: data[: len(data) // 4 * 4]).filter(bool))
def test_z85_is_that_of_others(data: bytes) -> None:
    text = z85_encode(data)
    assert text == z85.encode(data)
    assert z85_decode(text) == data


def test_the_example_of_the_rfc() -> None:
    assert z85_encode(bytes.fromhex("864fd26fb559f75b")) == b"HelloWorld"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [(b"", "multiple of five"), (b"1234", "multiple of five"), (b"0000~", "not a char"), (b"#####", "more than four")],
)
def test_what_is_no_z85_is_refused(text: bytes, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        z85_decode(text)


def test_only_whole_words_can_be_encoded() -> None:
    with pytest.raises(ValueError, match="multiple of four bytes, got 3"):
        z85_encode(b"abc")


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nacl.public", None)
    with pytest.raises(mq.MissingExtra, match=r"pip install 'ensemble-mq\[curve\]'"):
        mq.curve_keypair()


def test_keygen_writes_a_pair() -> None:
    command = [sys.executable, "-m", "mq", "keygen"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    (first, public), (second, secret) = (line.split() for line in done.stdout.splitlines())
    assert (first, second) == (b"public", b"secret")
    assert zmq.curve_public(secret) == public
