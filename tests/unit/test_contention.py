"""Many writers of one row at once: each gets through in its turn, in a function's time, and none is an error."""

import heapq
import itertools
import random
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from eventflow.transition import Change, Contended, LostRace, Remembered, Stored, transition

READ_SECONDS, WRITE_SECONDS = 0.005, 0.010
"""What a call of DynamoDB takes, on AWS and from a Lambda."""


class Cart(msgspec.Struct, frozen=True):
    writers: tuple[int, ...] = ()


class World:
    """Writers as threads of which one runs at a time, and a clock that goes on only when all of them wait."""

    def __init__(self) -> None:
        self.now = 0.0
        self.row: Stored[Cart] | None = None
        self._waiting: list[tuple[float, int, threading.Event]] = []
        self._number = itertools.count()
        self._idle = threading.Semaphore(0)

    def run(self, *writers: Callable[[], None]) -> None:
        threads = [threading.Thread(target=self._run, args=[writer]) for writer in writers]
        for thread in threads:
            thread.start()
            self._idle.acquire()
        while self._waiting:
            self.now, _, turn = heapq.heappop(self._waiting)
            turn.set()
            self._idle.acquire()
        for thread in threads:
            thread.join()

    def _run(self, writer: Callable[[], None]) -> None:
        self.sleep(0)
        writer()
        self._idle.release()

    def sleep(self, seconds: float) -> None:
        turn = threading.Event()
        heapq.heappush(self._waiting, (self.now + seconds, next(self._number), turn))
        self._idle.release()
        turn.wait()

    # `Rows`

    def read(self, key: str) -> Stored[Cart] | None:
        found = self.row
        self.sleep(READ_SECONDS)
        return found

    def write(self, key: str, state: Cart, revision: int, announcement: Any) -> None:
        self.sleep(WRITE_SECONDS / 2)
        try:
            if (self.row.revision if self.row else 0) != revision - 1:
                raise LostRace(self.row)
            self.row = Stored(state, revision)
        finally:
            self.sleep(WRITE_SECONDS / 2)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr("eventflow.transition.sleep", world.sleep)
    monkeypatch.setattr("eventflow.transition.monotonic", lambda: world.now)
    return world


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("writers", [2, 20, 60])
def test_all_that_write_one_row_at_once_get_through(world, writers, seed):
    random.seed(seed)
    refused = []

    def write(number: int) -> None:
        def add(cart: Cart | None) -> Change[Cart]:
            return Change(Cart((*(cart.writers if cart else ()), number)))

        try:
            transition(world, "cart", add)
        except Contended:
            refused.append(number)

    world.run(*(lambda number=number: write(number) for number in range(writers)))

    assert sorted(world.row.state.writers) == list(range(writers)), f"refused: {refused}"
    assert world.now < {2: 0.1, 20: 4, 60: 8}[writers], "seconds"


class Kept:
    """A row that counts how often it is read, and that others write too."""

    def __init__(self) -> None:
        self.row: Stored[Cart] | None = None
        self.reads = 0

    def read(self, key: str) -> Stored[Cart] | None:
        self.reads += 1
        return self.row

    def write(self, key: str, state: Cart, revision: int, announcement: Any) -> None:
        if (self.row.revision if self.row else 0) != revision - 1:
            raise LostRace(self.row)
        self.row = Stored(state, revision)


def add(number: int) -> Callable[[Cart | None], Change[Cart]]:
    return lambda cart: Change(Cart((*(cart.writers if cart else ()), number)))


def test_a_row_that_was_just_written_is_not_read_again():
    kept = Kept()
    rows = Remembered(kept)
    transition(rows, "cart", add(1), probably_new=True)
    transition(rows, "cart", add(2))
    assert (kept.row.state.writers, kept.reads) == ((1, 2), 0)


def test_and_what_another_one_wrote_meanwhile_is_not_overwritten():
    # given
    kept = Kept()
    rows = Remembered(kept)
    transition(rows, "cart", add(1), probably_new=True)
    # when
    transition(kept, "cart", add(2))
    transition(rows, "cart", add(3))
    # then
    assert kept.row.state.writers == (1, 2, 3)


def test_what_was_written_is_remembered_once(monkeypatch):
    # given a row that two others write between each two attempts
    monkeypatch.setattr("eventflow.transition.sleep", lambda seconds: None)
    kept = Kept()
    rows = Remembered(kept)
    transition(rows, "cart", add(1), probably_new=True)
    others = [2, 3]

    def decide(cart: Cart | None) -> Change[Cart]:
        change = add(4)(cart)
        if others:
            transition(kept, "cart", add(others.pop(0)))
        return change

    # when
    transition(rows, "cart", decide)
    # then
    assert kept.row.state.writers == (1, 2, 3, 4)
