"""The desk: the one owner of the database, in a thread of its own.

A commit waits for the disk. At the desk it keeps nobody waiting: neither the engine, whose time stamps it would delay,
nor the screen.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from arena.store.ledger import SqliteLedger

T = TypeVar("T")


class Desk:
    """Does work on the ledger, one piece after another, in the order in which it was asked for."""

    def __init__(self, path: Path) -> None:
        """`path` is the database; it is opened when it is first needed."""
        self._path = path
        self._thread = ThreadPoolExecutor(1, "desk")
        self._ledger: SqliteLedger | None = None

    def do(self, work: Callable[[SqliteLedger], T]) -> Future[T]:
        """Run `work` on the ledger. What it wrote is on the disk when the future is done; it may raise ArenaError.

        It can't be called off: who cancels the future only ceases to wait. A vote that was cast is stored, also when
        the user leaves at once.
        """
        promise: Future[T] = Future()
        promise.set_running_or_notify_cancel()

        def run() -> None:
            try:
                if self._ledger is None:
                    from arena.store.ledger import SqliteLedger  # noqa: PLC0415 - not for commands without a database

                    self._ledger = SqliteLedger(self._path)
                promise.set_result(work(self._ledger))
            except BaseException as fault:  # noqa: BLE001 - it is handed on to who waits
                promise.set_exception(fault)

        self._thread.submit(run)
        return promise

    def close(self) -> None:
        """Finish what was asked for, and close the database. May be called twice."""

        def end() -> None:
            if self._ledger is not None:
                self._ledger.close()
                self._ledger = None

        try:
            self._thread.submit(end).result()
        except RuntimeError:
            return  # closed before
        self._thread.shutdown()
