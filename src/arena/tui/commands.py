"""The command palette: every action by name."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from textual.app import App
from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider

from arena.tui.language import N_, _

_COMMANDS = (
    (N_("Models"), N_("Choose the contestants"), "screen.models"),
    (N_("Leaderboard"), N_("Standings from your votes, and the hardware"), "screen.board"),
    (N_("Prompt packs"), N_("Take a prompt, or have a pack played while you judge"), "screen.prompts"),
    (N_("Pace"), N_("How answers are shown: even, live, whole"), "screen.pace"),
    (N_("Settings"), N_("System message and samplers of the rounds to come"), "screen.settings"),
    (N_("Editor"), N_("The prompt in your own editor"), "screen.editor"),
    (N_("Other models"), N_("The same prompt, with other models"), "screen.others"),
    (N_("History"), N_("Every round you played"), "screen.history"),
    (N_("Judge waiting rounds"), N_("Vote on rounds that were played without a screen"), "screen.waiting"),
    (N_("Copy"), N_("An answer or its code, to the clipboard"), "screen.copy"),
    (N_("Copy to file"), N_("An answer or its code, into a file"), "screen.keep"),
    (N_("Find"), N_("Find words in the answers"), "screen.find"),
    (N_("Compare"), N_("Two answers, sentence by sentence"), "screen.differ"),
    (N_("Private"), N_("The next round is not stored, only figures and your vote"), "screen.private"),
    (N_("New prompt"), N_("Start a new round"), "screen.ask_again"),
    (N_("Help"), N_("What the keys do"), "app.help"),
    (N_("Theme"), N_("Change the colours"), "app.change_theme"),
    (N_("Slow line"), N_("Fewer frames and no animation, or back"), "app.slow_link"),
    (N_("Repaint"), N_("Draw everything again, when something else wrote on the screen"), "app.repaint"),
    (N_("Suspend"), N_("Back to the shell; fg returns"), "app.suspend_process"),
    (N_("Quit"), N_("Leave arena; everything is saved"), "app.leave"),
)


def open_palette(app: App[Any]) -> None:
    """Show them all, to be searched, in the language of the user."""
    if not CommandPalette.is_open(app):
        app.push_screen(CommandPalette(placeholder=_("Search for commands…"), id="--command-palette"))


class ArenaCommands(Provider):
    """Offers the commands; one that means nothing now does nothing."""

    async def discover(self) -> Hits:
        """All of them, before anything is typed."""
        for name, text, action in _COMMANDS:
            yield DiscoveryHit(_(name), self._run(action), help=_(text))

    async def search(self, query: str) -> Hits:
        """Those that match."""
        matcher = self.matcher(query)
        for name, text, action in _COMMANDS:
            score = matcher.match(_(name))
            if score > 0:
                yield Hit(score, matcher.highlight(_(name)), self._run(action), help=_(text))

    def _run(self, action: str) -> Callable[[], Coroutine[Any, Any, bool]]:
        return partial(self.app.run_action, action)
