"""Keys that are closed while a round is blind: why is said once a round, and what is typed behind one is no vote.

Who types `h` for the history and goes on with `a` has not judged anything. Without this the `a` would be a vote.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from arena.tui.language import _
from arena.tui.phases import ALLOWED, BLIND, VERDICTS, Phase

QUIET_S = 0.7
"""For so long nothing has to be typed before a letter is a vote again."""


class ClosedKeys:
    """Told of every key that the panes and the lines did not want."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` counts seconds."""
        self._clock = clock
        self._until = 0.0
        self._said: set[str] = set()

    @property
    def deaf(self) -> bool:
        """Whether a letter is no vote now."""
        return self._clock() < self._until

    def listen(self) -> None:
        """Nobody is typing along: the next letter counts."""
        self._until = 0.0

    def forget(self) -> None:
        """Another round: say why once more."""
        self._said.clear()

    def hold(self) -> None:
        """Whatever comes right behind is no vote."""
        self._until = self._clock() + QUIET_S

    def swallows(self, actions: Collection[str]) -> bool:
        """Whether a key with these open actions does nothing, as it came right behind a closed one."""
        if not (self.deaf and VERDICTS.intersection(actions)):
            return False
        self.hold()
        return True

    def why(self, actions: Collection[str], phase: Phase) -> str:
        """A sentence on why a key with these closed actions does nothing; '' for none, or when it was said already."""
        if phase not in BLIND or not any(action in ALLOWED for action in actions):
            return ""
        if not VERDICTS.intersection(actions):
            reason = _("Sealed until you have voted. A letter right behind it is no vote.")
        elif phase is Phase.ANSWERING:
            reason = _("The vote comes when all answers are here.")
        else:  # a seat that can't be voted on: who pressed it is voting
            return ""
        self.hold()
        if reason in self._said:
            return ""
        self._said.add(reason)
        return reason
