"""Events from the engine's thread, waiting for the screen's next frame."""

from __future__ import annotations

from collections import deque

from arena.core.events import StreamEvent


class Mailbox:
    """`put` never waits and may be called from any thread; `drain` belongs to the screen."""

    def __init__(self) -> None:
        """An empty box."""
        self._events: deque[StreamEvent] = deque()

    def put(self, event: StreamEvent) -> None:
        """Add an event."""
        self._events.append(event)

    def drain(self) -> list[StreamEvent]:
        """Take everything that is there now."""
        return [self._events.popleft() for _ in range(len(self._events))]
