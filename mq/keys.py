"""What do keys look like? A key is 32 bytes, written as 40 printable characters in Z85 (RFC 32)."""

from __future__ import annotations

from .errors import MissingExtra
from .message import shortened

_DIGITS = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)}


def z85_encode(data: bytes) -> bytes:
    """Return ``data`` in Z85 (RFC 32): five characters for every four bytes.

    Raises ValueError if the number of bytes is not a multiple of four.
    """
    if len(data) % 4:
        raise ValueError(f"Z85 encodes a multiple of four bytes, got {len(data)} bytes")
    text = bytearray()
    for at in range(0, len(data), 4):
        number = int.from_bytes(data[at : at + 4], "big")
        text += bytes(_DIGITS[number // 85**place % 85] for place in (4, 3, 2, 1, 0))
    return bytes(text)


def z85_decode(text: bytes) -> bytes:
    """Return the bytes of a ``text`` in Z85 (RFC 32): four bytes for every five characters.

    Raises ValueError if the text is not valid Z85.
    """
    if not text or len(text) % 5:
        raise ValueError(f"a text in Z85 has a multiple of five characters, got {len(text)} in {shortened(text)}")
    data = bytearray()
    for at in range(0, len(text), 5):
        number = 0
        for digit in text[at : at + 5]:
            if digit not in _VALUES:
                raise ValueError(f"{bytes([digit])!r} is not a character of Z85, in {shortened(text)}")
            number = number * 85 + _VALUES[digit]
        if number >= 2**32:
            raise ValueError(f"{text[at : at + 5]!r} encodes more than four bytes, in {shortened(text)}")
        data += number.to_bytes(4, "big")
    return bytes(data)


def curve_keypair() -> tuple[bytes, bytes]:
    """Return a new key pair for CURVE (RFC 26): the public and the secret key, each as 40 characters of Z85.

    Raises `MissingExtra` if PyNaCl is not installed. The extra ``curve`` installs PyNaCl.
    """
    try:
        from nacl.public import PrivateKey
    except ImportError:
        raise MissingExtra("keys need PyNaCl: pip install 'ensemble-mq[curve]'") from None
    secret = PrivateKey.generate()
    return z85_encode(bytes(secret.public_key)), z85_encode(bytes(secret))
