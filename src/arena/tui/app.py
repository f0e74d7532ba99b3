"""The Textual app: holds the screens, the themes and the last-mile filter. No logic lives here."""

from __future__ import annotations

import gc
from asyncio import wrap_future
from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segments
from rich.traceback import Traceback
from textual.app import App
from textual.binding import Binding, BindingType

from arena.core.errors import ArenaError
from arena.core.models import ModelInfo
from arena.core.text import clean_line
from arena.tui.commands import ArenaCommands
from arena.tui.last_mile import LastMile
from arena.tui.screens.board import BoardScreen
from arena.tui.screens.help import HelpScreen
from arena.tui.screens.history import HistoryScreen
from arena.tui.screens.round import RoundScreen
from arena.tui.theme import THEMES
from arena.wiring import Arena


class ArenaApp(App[None]):
    """arena in the terminal."""

    TITLE = "arena"
    CSS_PATH = "arena.tcss"
    COMMANDS: ClassVar = {ArenaCommands}
    COMMAND_PALETTE_BINDING = "ctrl+o"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "leave", "Quit", show=False, priority=True),
        Binding("f1", "help", "Help", show=False),
    ]

    def __init__(self, arena: Arena, models: Sequence[str] = (), *, judge: bool = False, only: str = "") -> None:
        """`models`: contestants by name, else the demo ones; `judge`: begin with waiting rounds, or the one `only`."""
        super().__init__()
        self._arena = arena
        self._names = tuple(models)
        self._judge = judge
        self._only = only
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = arena.settings.theme if arena.settings.theme in self.available_themes else THEMES[0].name
        self._filters.append(LastMile())

    async def on_mount(self) -> None:
        """Find the contestants and show the round screen."""
        self.install_screen(BoardScreen(self._arena), "board")
        self.install_screen(HistoryScreen(self._arena), "history")
        infos = await self._contestants()
        shelf = self._arena.prompts()
        demo_only = all(info.ref.endpoint == "demo" for info in infos)
        examples = [prompt for pack in shelf.packs if (pack.name == "demo") == demo_only for prompt in pack.prompts]
        screen = RoundScreen(self._arena, infos, examples)
        await self.push_screen(screen)
        self._arena.warm(infos)
        await self._settle()
        if self._judge:
            await screen.judge_waiting(self._only)
        gc.freeze()

    async def _settle(self) -> None:
        try:
            left = await wrap_future(self._arena.settle_interrupted())
        except ArenaError as fault:
            self.notify(clean_line(str(fault), 300), severity="error", timeout=15, markup=False)
            return
        if left:
            rounds = "1 round was" if left == 1 else f"{left} rounds were"
            self.notify(f"{rounds} interrupted the last time; what was said is in the history.", markup=False)

    async def _contestants(self) -> list[ModelInfo]:
        try:
            if self._names:
                return [await wrap_future(self._arena.find(name)) for name in self._names]
            found = await wrap_future(self._arena.models())
        except ArenaError as fault:
            self.notify(clean_line(str(fault), 300), severity="error", timeout=15, markup=False)
            return []
        usable = [info for info in found if not info.note]
        return [info for info in usable if info.ref.endpoint == "demo"] or usable[:3]

    def _fatal_error(self) -> None:
        """Say what went wrong without Textual's table of local variables: it would open the envelope."""
        report = Traceback(show_locals=False, width=None)
        self._exit_renderables.append(Segments(self.console.render(report, self.console.options)))
        self._close_messages_no_wait()

    def action_help(self) -> None:
        """Show the help page."""
        self.push_screen(HelpScreen())

    def action_leave(self) -> None:
        """Leave; rounds and votes are on the disk already."""
        self.exit()
