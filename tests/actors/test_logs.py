"""What the log says of crashes, and how records of children reach it."""

import logging

import pytest
import trio

import actors


class Part(actors.Actor):
    async def plain(self):
        await self._fail()

    async def _fail(self):
        raise ValueError("on purpose")

    async def grouped(self):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._fail)
            nursery.start_soon(trio.sleep_forever)

    async def speak(self):
        logging.getLogger("app").info("so %s", "it is")
        logging.getLogger("app").debug("too much")
        try:
            await self._fail()
        except ValueError:
            logging.getLogger("app").exception("with a traceback")


async def crash(part, method):
    async with part.monitor() as deaths:
        await getattr(part, method).tell()
        await deaths.receive()


def records(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "actors"]


@pytest.mark.parametrize("method", ["plain", "grouped"])
async def test_a_crash_is_logged_with_the_users_frames_and_no_others(place, method, caplog):
    async with actors.open_supervisor() as root:
        part = await root.start(Part, place=place)
        await crash(part, method)
        await part.speak()
    (text,) = records(caplog)
    assert text.startswith("root/part crashed: ")
    assert "ValueError: on purpose" in text
    assert "test_logs.py" in text
    assert "in _fail" in text
    assert "Cancelled" not in text
    assert "/trio/_core/" not in text
    assert "handling.py" not in text


async def test_a_crash_that_repeats_itself_is_logged_short(caplog):
    async with actors.open_supervisor(intensity=9) as root:
        part = await root.start(Part)
        for _ in range(3):
            await crash(part, "plain")
        await part.speak()
    first, second, third = records(caplog)
    assert "in _fail" in first
    assert second == third == "root/part crashed: ValueError: on purpose (as before)"


async def exhaust():
    async with actors.open_supervisor(intensity=0) as root, trio.open_nursery() as nursery:
        part = await root.start(Part)
        nursery.start_soon(trio.sleep_forever)
        await part.plain.tell()
        await trio.sleep_forever()


async def test_exhausted_restarts_show_the_last_cause_and_nothing_that_was_cancelled():
    with pytest.raises(actors.RestartsExhausted) as caught:
        await exhaust()
    assert isinstance(caught.value.__cause__, ValueError)
    assert "in _fail" in str(caught.value.__cause__.__cause__)
    assert caught.value.__suppress_context__
    assert "pickled" not in repr(caught.value)


async def test_records_of_a_child_reach_its_parents_logging_as_that_is_configured(place, caplog):
    caplog.set_level(logging.INFO, "app")
    async with actors.open_supervisor() as root:
        part = await root.start(Part, place=place)
        await part.speak()
        await root.stop("part")  # by now all records have come
    said = [record for record in caplog.records if record.name == "app"]
    assert [record.getMessage() for record in said] == ["so it is", "with a traceback"]
    assert [record.levelname for record in said] == ["INFO", "ERROR"]
    assert "ValueError: on purpose" in caplog.text
    if place == "process":
        assert said[0].actor == "root/part"
