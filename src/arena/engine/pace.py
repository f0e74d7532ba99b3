"""How fast answers are shown while blind. Display only: the recorder has the true times already."""

from __future__ import annotations

from arena.core.events import Closed, Delta, Failed, StreamEvent
from arena.core.rounds import Pace

READING_RATE = 400.0
"""Characters per second and pane at most in lockstep: as fast as eyes can follow, and the same for all."""
LAG = 24
"""Characters that stay behind the slowest stream: up to its edge, its pane alone would always end with a token."""


class Pacer:
    """Holds text back so that it tells nothing about speed. Feed it events, ask it for a frame now and then."""

    def __init__(self, seats: int, pace: Pace, rate: float = READING_RATE, lag: int = LAG) -> None:
        """`rate` in characters per second and `lag` in characters are for the even pace."""
        self._lag = lag
        self._pace = pace
        self._rate = rate
        self._text = [""] * seats
        self._shown = [0] * seats
        self._over = [False] * seats
        self._frontier = 0.0
        self._frame_ns: int | None = None

    @property
    def generated(self) -> bool:
        """Whether every seat is done, shown or not."""
        return all(self._over)

    @property
    def done(self) -> bool:
        """Whether everything is done and shown."""
        return self.generated and all(shown == len(text) for shown, text in zip(self._shown, self._text, strict=True))

    @property
    def started(self) -> bool:
        """Whether any text is shown."""
        return any(self._shown)

    def feed(self, event: StreamEvent) -> None:
        """Take an event of the engine. Thinking is held back until the reveal, whatever the pace."""
        if isinstance(event, Delta) and event.kind == "answer":
            self._text[event.seat] += event.text
        elif isinstance(event, Closed | Failed):
            self._over[event.seat] = True

    def frame(self, now_ns: int) -> list[tuple[int, str]]:
        """What to append now: (seat, text) pairs."""
        elapsed_s = 0.0 if self._frame_ns is None else (now_ns - self._frame_ns) / 1e9
        self._frame_ns = now_ns
        if self._pace is Pace.LIVE or (self._pace is Pace.WHOLE and self.generated):
            limit = max(len(text) for text in self._text)
        elif self._pace is Pace.WHOLE:
            limit = 0
        else:
            slowest = [len(text) - self._lag for text, over in zip(self._text, self._over, strict=True) if not over]
            allowed = max(0, min(slowest, default=max(len(text) for text in self._text)))
            self._frontier = min(allowed, self._frontier + elapsed_s * self._rate)
            limit = int(self._frontier)
        return self._release(limit)

    def rest(self) -> list[tuple[int, str]]:
        """Everything that is left, at once; only when every seat is done."""
        if not self.generated:
            return []
        self._frontier = float(max(len(text) for text in self._text))
        return self._release(int(self._frontier))

    def _release(self, limit: int) -> list[tuple[int, str]]:
        released = []
        for seat, text in enumerate(self._text):
            end = min(len(text), limit)
            if end > self._shown[seat]:
                released.append((seat, text[self._shown[seat] : end]))
                self._shown[seat] = end
        return released
