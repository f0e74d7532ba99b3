"""The command palette: every action by name."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from textual.command import DiscoveryHit, Hit, Hits, Provider

_COMMANDS = (
    ("Models", "Choose the contestants", "screen.models"),
    ("Leaderboard", "Standings from your votes, and the hardware", "screen.board"),
    ("Prompt packs", "Take a prompt, or have a pack played while you judge", "screen.prompts"),
    ("Pace", "How answers are shown: even, live, whole", "screen.pace"),
    ("History", "Every round you played", "screen.history"),
    ("Judge waiting rounds", "Vote on rounds that were played without a screen", "screen.waiting"),
    ("Copy", "An answer or its code, to the clipboard", "screen.copy"),
    ("Copy to file", "An answer or its code, into a file", "screen.keep"),
    ("Find", "Find words in the answers", "screen.find"),
    ("Compare", "Two answers, sentence by sentence", "screen.differ"),
    ("New prompt", "Start a new round", "screen.ask_again"),
    ("Help", "What the keys do", "app.help"),
    ("Theme", "Change the colours", "app.change_theme"),
    ("Slow line", "Fewer frames and no animation, or back", "app.slow_link"),
    ("Repaint", "Draw everything again, when something else wrote on the screen", "app.repaint"),
    ("Suspend", "Back to the shell; fg returns", "app.suspend_process"),
    ("Quit", "Leave arena; everything is saved", "app.leave"),
)


class ArenaCommands(Provider):
    """Offers the commands; one that means nothing now does nothing."""

    async def discover(self) -> Hits:
        """All of them, before anything is typed."""
        for name, text, action in _COMMANDS:
            yield DiscoveryHit(name, self._run(action), help=text)

    async def search(self, query: str) -> Hits:
        """Those that match."""
        matcher = self.matcher(query)
        for name, text, action in _COMMANDS:
            score = matcher.match(name)
            if score > 0:
                yield Hit(score, matcher.highlight(name), self._run(action), help=text)

    def _run(self, action: str) -> Callable[[], Coroutine[Any, Any, bool]]:
        return partial(self.app.run_action, action)
