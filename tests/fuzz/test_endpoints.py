"""Does every text either work as an endpoint or raise an error that quotes the text?"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mq
from mq.endpoint import parse
from mq.options import Options
from mq.transports import TRANSPORTS

thorough = settings(derandomize=True, deadline=None, max_examples=300, database=None)

hosts = st.one_of(
    st.sampled_from(
        ["127.0.0.1", "::1", "[::1]", "[::]", "*", "localhost", "lo", "127.1", "256.0.0.1", "fe80::1", "[fe80::1%lo]",
         "[fe80::1%nowhere]", "a.example.", "-", "a..b", "bücher.example", "my_host"]
    ),
    st.text(max_size=6),
    st.from_regex(r"[a-z0-9:.%_\[\]-]{0,12}", fullmatch=True),
    st.ip_addresses().filter(lambda address: address.is_loopback or address.is_link_local).map(str),
)  # fmt: skip
ports = st.one_of(st.sampled_from(["*", "0", "", "65536"]), st.text(max_size=3))
addresses = st.builds("{}:{}".format, hosts, ports)
paths = st.one_of(
    st.sampled_from(
        ["*", "@", "@name", ".", "..", "/", "/dev/null", "/dev/null/x", "nowhere/x", "x/", "link", "loop", "folder",
         "file", ".lock", "x" * 107, "x" * 108, "ü" * 53]
    ),
    st.text(max_size=8).filter(lambda text: "/" not in text),
)  # fmt: skip
texts = st.one_of(
    st.builds("tcp://{}".format, st.one_of(addresses, st.builds("{};{}".format, addresses, addresses))),
    st.builds("ipc://{}".format, paths),
)


@pytest.fixture(scope="module", autouse=True)
def crowded_directory() -> Iterator[None]:
    """Work in a directory with something of everything in it."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        os.symlink("missing", "link")
        os.symlink("loop", "loop")
        os.mkdir("folder")
        open("file", "w").close()
        yield
        os.chdir(before)


@thorough
@given(texts)
@example("tcp://[fe80::1]:*")
@example("tcp://fe80::1%lo:*")
@example("ipc://link")
@example("ipc://.")
def test_bind_accepts_a_text_or_quotes_it_in_the_error(text: str) -> None:
    async def bind() -> None:
        async with mq.Pull() as pull:
            bound = pull.bind(text)
            assert parse(bound).text == bound

    files = sorted(os.listdir())
    refusal = None
    try:
        trio.run(bind)
    except* (mq.InvalidEndpoint, mq.BindError) as refusals:
        [refusal] = refusals.exceptions
    assert refusal is None or repr(text) in str(refusal)
    assert sorted(os.listdir()) == files


@thorough
@given(texts)
@example("tcp://in val id:1234")
@example("tcp://127.0.0.1 :1234")
@example("tcp://[fe80::1]:1234")
@example("tcp://\N{ONE DOT LEADER}:1")
def test_connect_accepts_a_text_or_quotes_it_in_the_error(text: str) -> None:
    refusal = None
    try:
        endpoint = parse(text)
        TRANSPORTS[endpoint.scheme].check(endpoint, Options())
    except mq.InvalidEndpoint as error:
        refusal = error
    assert refusal is None or repr(text) in str(refusal)
