"""What do keys look like? 32 bytes, or the 40 printable characters of Z85 (RFC 32) that stand for them."""

from __future__ import annotations

from .errors import MissingExtra
from .message import shortened

_DIGITS = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)}


def z85_encode(data: bytes) -> bytes:
    """Return five characters for every four bytes. Raises ValueError unless their number is a multiple of four."""
    if len(data) % 4:
        raise ValueError(f"Z85 stands for a multiple of four bytes, got {len(data)}")
    text = bytearray()
    for at in range(0, len(data), 4):
        number = int.from_bytes(data[at : at + 4], "big")
        text += bytes(_DIGITS[number // 85**place % 85] for place in (4, 3, 2, 1, 0))
    return bytes(text)


def z85_decode(text: bytes) -> bytes:
    """Return four bytes for every five characters. Raises ValueError for a text that is not Z85."""
    if not text or len(text) % 5:
        raise ValueError(f"a text in Z85 has a multiple of five characters, got {len(text)}: {shortened(text)}")
    data = bytearray()
    for at in range(0, len(text), 5):
        number = 0
        for digit in text[at : at + 5]:
            if digit not in _VALUES:
                raise ValueError(f"{bytes([digit])!r} is no character of Z85, in {shortened(text)}")
            number = number * 85 + _VALUES[digit]
        if number >= 2**32:
            raise ValueError(f"{text[at : at + 5]!r} stands for more than four bytes, in {shortened(text)}")
        data += number.to_bytes(4, "big")
    return bytes(data)


def curve_keypair() -> tuple[bytes, bytes]:
    """Return a new public and secret key for CURVE (RFC 26), each as 40 characters of Z85.

    Raises `MissingExtra` without PyNaCl, which the extra ``curve`` installs.
    """
    try:
        from nacl.public import PrivateKey
    except ImportError:
        raise MissingExtra("keys need PyNaCl: pip install 'ensemble-mq[curve]'") from None
    secret = PrivateKey.generate()
    return z85_encode(bytes(secret.public_key)), z85_encode(bytes(secret))
