"""The engine room: one thread with one event loop, where time stamps are taken and nothing is painted.

Timing and painting must not share a loop: a screen that is busy for 50 ms would be a model that is 50 ms late.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Room:
    """A running event loop in a thread of its own."""

    def __init__(self) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        self._stories: set[asyncio.Task[Any] | None] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="engine", daemon=True)
        self._thread.start()

    def submit(self, story: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine in the room. Cancelling the future cancels the coroutine."""
        return asyncio.run_coroutine_threadsafe(self._told(story), self._loop)

    def close(self, farewell: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Cancel what runs, let it clean up, run `farewell` in the room, and end the thread. May be called twice."""
        if not self._thread.is_alive():
            return
        self.submit(self._cancel_all()).result()
        if farewell is not None:
            self.submit(farewell()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _told(self, story: Coroutine[Any, Any, T]) -> T:
        """Know the story while it runs. Tasks that it starts are its own to end."""
        task = asyncio.current_task()
        self._stories.add(task)
        try:
            return await story
        finally:
            self._stories.discard(task)

    async def _cancel_all(self) -> None:
        others = [task for task in self._stories if task is not None and task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
