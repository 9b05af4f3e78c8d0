"""Actors that the tests start in every place."""

import os
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import trio

import actors


class Account(actors.Actor):
    def __init__(self, owner: str, balance: int = 0) -> None:
        self.owner = owner
        self.balance = balance

    async def deposit(self, amount: int) -> int:
        self.balance += amount
        return self.balance

    async def history(self) -> AsyncIterator[int]:
        for amount in range(self.balance):
            yield amount

    async def pid(self) -> int:
        return os.getpid()

    async def crash(self, error: Exception) -> NoReturn:
        raise error

    async def end(self) -> None:
        self.stop()

    async def echo(self, value: Any) -> Any:
        return value


class Unpicklable(Exception):
    def __init__(self, one: object, two: object) -> None:
        super().__init__("two arguments, one told")
        self.one = lambda: one


class Gate(actors.Actor):
    """Reports to a list of words kept by another actor."""

    def __init__(self, diary: "actors.Ref[Diary]", name: str = "gate") -> None:
        self.diary = diary
        self.title = name

    async def started(self) -> None:
        await self.diary.write(f"{self.title} started")

    async def stopping(self) -> None:
        await self.diary.write(f"{self.title} stopping")

    async def pid(self) -> int:
        return os.getpid()

    async def hang(self) -> None:
        try:
            await self.diary.write("hanging")
            await trio.sleep_forever()
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await self.diary.write("cancelled")
            raise

    async def crash(self) -> NoReturn:
        raise RuntimeError("on purpose")

    @actors.concurrent
    async def crash_beside(self) -> NoReturn:
        raise RuntimeError("on purpose")

    async def ping(self) -> str:
        return "pong"

    async def count_for_ever(self) -> AsyncIterator[int]:
        number = 0
        try:
            while True:
                yield number
                number += 1
        finally:
            with trio.CancelScope(shield=True):
                await self.diary.write(f"generator ended at {number}")

    @actors.concurrent
    async def ask_back(self, me: "actors.Ref[Gate]") -> str:
        return str(await me.ping())


class Diary(actors.Actor):
    """Words, in the order they came; readers wait for the next."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.news = trio.Event()

    async def write(self, word: str) -> None:
        self.words.append(word)
        self.news.set()
        self.news = trio.Event()

    async def all(self) -> list[str]:
        return self.words

    @actors.concurrent
    async def wait(self, word: str, times: int = 1) -> list[str]:
        while self.words.count(word) < times:
            await self.news.wait()
        return self.words
