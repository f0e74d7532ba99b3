"""The leaderboard and the hardware, side by side, on the whole screen."""

from __future__ import annotations

from asyncio import wrap_future
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Footer, Static

from arena.core.bias import BiasReport
from arena.core.machine import FitVerdict
from arena.core.models import ModelInfo
from arena.core.periods import begin_of
from arena.core.ratings import Board
from arena.tui.screens.base import ArenaScreen
from arena.tui.widgets.board_table import Sort
from arena.tui.widgets.board_view import BoardView, Shown, View, board_head
from arena.tui.widgets.hardware_panel import HardwarePanel
from arena.wiring import Arena

T = TypeVar("T")
READ_S = 2.0
HARDWARE_FROM = 190
"""Columns from which on the hardware stands beside the board."""
PERIODS = ("", "24h", "7d", "30d", "90d", "1y")


class BoardScreen(ArenaScreen):
    """Standings from raw votes in several views, and what fits now."""

    AUTO_FOCUS = "#board-scroll"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "v",
            "view",
            "View",
            key_display="1-5 v",
            tooltip="Standings, pairs, cost, habits, hardware",
            id="board.view",
        ),
        *(Binding(str(n), f"view({n})", show=False, id=f"board.view{n}") for n in range(1, len(View) + 1)),
        Binding("s", "sort", "Sort", id="board.sort"),
        Binding("t", "tag", "Tag", tooltip="Only votes on prompts with that tag", id="board.tag"),
        Binding("p", "period", "Period", tooltip="Only the votes of that time", id="board.period"),
        Binding("g", "language", "Language", tooltip="Only prompts in that language", id="board.language"),
        Binding("a", "archived", "Archived", tooltip="Hide or show who can't be reached", id="board.archived"),
        Binding("0", "all", "All", tooltip="All votes again", show=False, id="board.all"),
        Binding("escape,l", "app.pop_screen", "Back", id="board.back"),
        Binding("question_mark", "app.help", "Help", id="board.help"),
        Binding("q", "app.leave", "Quit", id="board.quit"),
    ]

    def __init__(self, arena: Arena) -> None:
        """A screen on this arena."""
        super().__init__(arena)
        self.shown = Shown(filters={"tag": "", "period": "", "language": ""})
        self._board: Board | None = None
        self._bias: BiasReport | None = None
        self._infos: list[ModelInfo] | None = None
        self._fits: list[FitVerdict] = []
        self._tags: list[str] = []
        self._languages: list[str] = []

    def compose(self) -> ComposeResult:
        """Board on the left, hardware on the right."""
        yield Static(id="board-head", markup=False)
        with Horizontal(id="board-body"):
            with VerticalScroll(id="board-scroll"):
                yield BoardView(id="full-board")
            with VerticalScroll(id="hardware-scroll"):
                yield HardwarePanel(id="full-hardware")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Keep the hardware live."""
        self.set_interval(READ_S, self._read)

    def on_resize(self) -> None:
        """Give the board all of a narrow screen."""
        self.set_class(self.size.width >= HARDWARE_FROM, "-beside")
        self._draw()

    def on_screen_resume(self) -> None:
        """Votes may have been cast meanwhile, and models have come or gone."""
        self.background(self._load(), "load")

    def action_view(self, number: int = 0) -> None:
        """Show that view, or the next one."""
        view = list(View)[number - 1] if number else _after(list(View), self.shown.view)
        self.shown = replace(self.shown, view=view)
        self.query_one("#board-scroll").scroll_home(animate=False)
        self._draw()
        self._read()

    def action_sort(self) -> None:
        """Sort the standings by the next column."""
        self.shown = replace(self.shown, view=View.STANDINGS, sort=_after(list(Sort), self.shown.sort))
        self._draw()

    def action_archived(self) -> None:
        """Hide those who can't be reached, or show them again."""
        self.shown = replace(self.shown, archived=not self.shown.archived)
        self._draw()

    def action_tag(self) -> None:
        """Narrow the votes to the next tag."""
        self._narrow("tag", ["", *self._tags])

    def action_period(self) -> None:
        """Narrow the votes to the next period."""
        self._narrow("period", PERIODS)

    def action_language(self) -> None:
        """Narrow the votes to prompts in the next language."""
        self._narrow("language", ["", *self._languages])

    def action_all(self) -> None:
        """All votes, in their own order."""
        self.shown = replace(self.shown, sort=Sort.SCORE, archived=True, filters=dict.fromkeys(self.shown.filters, ""))
        self.background(self._load_board(), "board")

    def _narrow(self, what: str, choices: Sequence[str]) -> None:
        chosen = _after(choices, self.shown.filters[what])
        self.shown = replace(self.shown, filters=self.shown.filters | {what: chosen})
        self.background(self._load_board(), "board")

    async def _load(self) -> None:
        await self._load_board()  # at once, without waiting for the servers
        self._tags, self._languages = await wrap_future(self.arena.scores.facets())
        self._bias = await wrap_future(self.arena.scores.bias())
        self._draw()
        infos = await wrap_future(self.arena.lineup.models())
        self._fits = await wrap_future(self.arena.watch.fits(infos))
        self._infos = infos
        await self._load_board()
        self._read()

    async def _load_board(self) -> None:
        wanted = self.shown.filters
        found = self.arena.scores.board(
            wanted["tag"],
            language=wanted["language"],
            since=begin_of(wanted["period"]),
            infos=self._infos,
            fits=self._fits,
        )
        self._board = await wrap_future(found)
        self._draw()

    def _draw(self) -> None:
        self.set_class(self.shown.view is View.HARDWARE, "-hardware")
        self.query_one("#board-head", Static).update(board_head(self._board, self.shown))
        height = self.query_one("#board-scroll").size.height
        self.query_one(BoardView).show(self.shown, self._board, self._bias, height)

    def _read(self) -> None:
        seen = self.has_class("-beside") or self.shown.view is View.HARDWARE
        if seen and self.is_current and self._infos is not None:
            self.background(self._load_hardware(), "hardware")

    async def _load_hardware(self) -> None:
        panel = self.query_one(HardwarePanel)
        if self.arena.series.playing:  # a step in memory would tell of a round that nobody has judged
            panel.seal()
            return
        panel.unseal()
        panel.show(*await wrap_future(self.arena.watch.overview(self._infos or [])))


def _after(choices: Sequence[T], chosen: T) -> T:
    """The next one, round and round; the first where the chosen one is not among them any more."""
    return choices[(choices.index(chosen) + 1) % len(choices)] if chosen in choices else choices[0]
