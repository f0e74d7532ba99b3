"""The Textual app: holds the screens, the themes and the last-mile filter. No logic lives here."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segments
from textual.binding import Binding, BindingType

from arena.core.text import clean_line
from arena.tui.commands import ArenaCommands, open_palette
from arena.tui.keymap import rebound
from arena.tui.last_mile import LastMile
from arena.tui.no_color import NoColor
from arena.tui.screens.help import HelpScreen
from arena.tui.screens.round import RoundScreen
from arena.tui.signs import AsciiSigns
from arena.tui.theme import DARK, THEMES
from arena.tui.wire.wired_app import WiredApp
from arena.wiring import Arena


class ArenaApp(WiredApp):
    """arena in the terminal."""

    TITLE = "arena"
    CSS_PATH = "arena.tcss"
    COMMANDS: ClassVar = {ArenaCommands}
    COMMAND_PALETTE_BINDING = "ctrl+o"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "leave", "Quit", show=False, priority=True, id="app.leave"),
        Binding("f1", "help", "Help", show=False, id="app.help"),
        Binding("ctrl+l", "repaint", "Repaint", show=False, id="app.repaint"),
        Binding("ctrl+z", "suspend_process", "Suspend", show=False, id="app.suspend"),
    ]

    def __init__(
        self,
        arena: Arena,
        models: Sequence[str] = (),
        *,
        judge: bool = False,
        theme: str = "",
        ascii_only: bool = False,
        notes: Sequence[str] = (),
    ) -> None:
        """`models`: contestants by name, else the demo ones; `judge`: begin with the rounds that wait for a vote.

        `theme`: for where the settings name none; `ascii_only`: borders and signs for a terminal without others;
        `notes`: what the user should hear at the start.
        """
        super().__init__(slow_link=arena.settings.slow_link)
        self._bindings = rebound(self._bindings)
        self._arena = arena
        self._names = tuple(models)
        self._judge = judge
        self._ascii_only = ascii_only
        self._notes = tuple(notes)
        for known in THEMES:
            self.register_theme(known)
        self.theme = next((name for name in (arena.settings.theme, theme) if name in self.available_themes), DARK.name)
        if self.no_color:
            self._filters.append(NoColor())
        if ascii_only:
            self._filters.append(AsciiSigns())
        self._filters.append(LastMile())

    def get_default_screen(self) -> RoundScreen:
        """The first screen and the last."""
        return RoundScreen(self._arena, self._names, judge=self._judge)

    def on_mount(self) -> None:
        """What was imported stays; what is to be said is said behind the first frame."""
        self.theme_changed_signal.subscribe(self, lambda theme: self._arena.remember(theme=theme.name))
        for note in self._notes:
            self.call_after_refresh(self.notify, clean_line(note, 300), markup=False)
        gc.freeze()
        gc.enable()

    def _fatal_error(self) -> None:
        """Say what went wrong without Textual's table of local variables: it would open the envelope."""
        from rich.traceback import Traceback  # noqa: PLC0415 - 30 ms of the start

        report = Traceback(show_locals=False, width=None)
        self._exit_renderables.append(Segments(self.console.render(report, self.console.options)))
        self._close_messages_no_wait()

    def get_key_display(self, binding: Binding) -> str:
        """The name of a key for the footer."""
        shown = super().get_key_display(binding)
        return shown if shown.isascii() or not self._ascii_only else binding.key

    def action_help(self) -> None:
        """Show the help page."""
        now = sorted(self.screen.active_bindings.values(), key=lambda active: active.node is self)
        self.push_screen(HelpScreen(now, self.get_key_display))

    def action_command_palette(self) -> None:
        """Search every action by name."""
        open_palette(self)

    def action_leave(self) -> None:
        """Leave; rounds and votes are on the disk already."""
        self.exit()
