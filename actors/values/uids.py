"""What is an actor's address called? Short names that are the same again when the tree restarts."""

import hashlib
import secrets


def new_root() -> str:
    """A name for a root supervisor, unlike any other's."""
    return secrets.token_hex(5)


def uid_below(parent: str, name: str) -> str:
    """The name of a child: derived from its path, as a Unix socket's path has room for 100 bytes."""
    return hashlib.blake2b(f"{parent}/{name}".encode(), digest_size=7).hexdigest()
