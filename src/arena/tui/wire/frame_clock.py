"""When the next frame may be drawn: when the terminal has shown the last one, and never too often.

A frame ends with a question that the terminal answers once it has read so far. As long as the answer is out, nothing
is sent: at most one frame is on its way, what changes meanwhile is merged into the next, and the screen is never older
than the line is slow. Where nobody answers, a fixed number of frames a second has to do.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

FRAMES_A_SECOND = 30.0
UNANSWERED_A_SECOND = 15.0
"""Where the terminal does not answer, nobody knows how far behind it is."""
SLOW_A_SECOND = 5.0
HURRY_S = 0.5
"""For so long after a key the answer to it may be on its way, and nothing holds it back but the line."""
PATIENCE_S = 10.0
"""An answer that is out for so long may have been lost: one frame is sent then."""
SLOW_FROM_S = 0.25
"""The line is slow when half of the answers take longer."""
_JUDGED_BY = 9
"""So many answers."""


class FrameClock:
    """Knows what was sent and answered."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` in seconds."""
        self._clock = clock
        self.slow = False
        """Whether few frames are wanted."""
        self._sent_at = -PATIENCE_S
        self._asked = 0
        """How many answers are out."""
        self._answers = False
        self._hurries_until = -PATIENCE_S
        self._took_s: deque[float] = deque(maxlen=_JUDGED_BY)

    @property
    def asks(self) -> bool:
        """Whether a frame should end with the question. Not before the terminal has answered Textual's own."""
        return self._answers

    @property
    def link_s(self) -> float | None:
        """How long a frame takes to the terminal and back, None as long as that is not known."""
        return sorted(self._took_s)[_JUDGED_BY // 2] if len(self._took_s) == _JUDGED_BY else None

    @property
    def link_is_slow(self) -> bool:
        """Whether the answers say so."""
        return self.link_s is not None and self.link_s >= SLOW_FROM_S

    def wait_s(self, *, backlog: bool) -> float:
        """How long to wait with the next frame; 0: it may be sent. `backlog`: the last one has not been written yet."""
        since = self._clock() - self._sent_at
        wait = max(0.0, 1 / self._limit - since)
        if self._answers and self._asked:
            wait = max(wait, PATIENCE_S - since)
        return max(wait, 1 / self._limit) if backlog else wait

    def sent(self) -> None:
        """A frame went out, with the question if `asks`."""
        self._sent_at = self._clock()
        self._asked += self._answers

    def answered(self) -> None:
        """The terminal has answered."""
        if self._asked == 1:
            self._took_s.append(self._clock() - self._sent_at)
        self._asked = max(0, self._asked - 1)
        self._answers = True

    def hurry(self) -> None:
        """Somebody has pressed a key."""
        self._hurries_until = self._clock() + HURRY_S

    def restart(self) -> None:
        """There may be another terminal now. What is still out will not be answered."""
        self._asked, self._answers = 0, False

    @property
    def _limit(self) -> float:
        if self.slow and self._clock() >= self._hurries_until:
            return SLOW_A_SECOND
        return FRAMES_A_SECOND if self._answers else UNANSWERED_A_SECOND
