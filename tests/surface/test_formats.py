"""Can every message be written down, and read again as it was?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mq.commands import formats

messages = st.lists(st.binary(max_size=20), min_size=1, max_size=4)


@pytest.mark.parametrize("name", ["escaped", "hex", "json"])
@given(frames=messages)
def test_formats_for_any_bytes_lose_nothing(name: str, frames: list[bytes]) -> None:
    form = formats.make(name, b"\t")
    line = form.write(frames)
    assert line.count(b"\n") == 1
    assert form.read(line.removesuffix(b"\n")) == frames


@given(address=st.binary(min_size=1, max_size=8))
def test_a_routing_id_is_read_as_it_is_shown(address: bytes) -> None:
    form = formats.make("lines", b"\t", named=True, once=True)
    for envelope in ([address], [address, address, b""]):
        shown = form.write([*envelope, b"body"])
        assert shown.isascii()
        assert shown.count(b"\t") == shown.count(b"\n") == 1
        assert form.read(shown.removesuffix(b"\n")) == [*envelope, b"body"]


@pytest.mark.parametrize(
    ("name", "separator", "text", "frames"),
    [
        ("lines", None, b"a\tb", [b"a\tb"]),
        ("lines", b"\t", b"a\t\tb", [b"a", b"", b"b"]),
        ("lines", b", ", b"a, b", [b"a", b"b"]),
        ("escaped", b" ", rb"a\n\x00 \\", [b"a\n\0", b"\\"]),
        ("hex", None, b"00ff - 41", [b"\0\xff", b"", b"A"]),
        ("json", None, '"ä"'.encode(), ["ä".encode()]),
        ("json", None, b'["a", {"hex": "ff"}, ""]', [b"a", b"\xff", b""]),
        ("raw", None, b"two\nlines", [b"two\nlines"]),
    ],
)
def test_what_is_read_is_this(name: str, separator: bytes | None, text: bytes, frames: list[bytes]) -> None:
    assert formats.make(name, separator).read(text) == frames


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("json", b"hello", "not JSON"),
        ("json", b"[]", "at least one frame"),
        ("json", b'[1, "a"]', 'a JSON string, or {"hex": "00ff"}; got 1'),
        ("json", b'{"hex": "0"}', "is not hexadecimal"),
        ("hex", b"abc", "'abc' is not hexadecimal"),
        ("escaped", rb"\q", "is no escape"),
        ("escaped", b"\\", "is no escape"),
    ],
)
def test_what_cannot_be_read_is_explained(name: str, text: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        formats.make(name, None).read(text)
