"""The leaderboard on a screen of its own: standings, pairs, cost or habits, as the screen asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from textual.content import Content
from textual.widgets import Static

from arena.core.bias import BiasReport
from arena.core.ratings import Board, Standing
from arena.core.telling import short_names
from arena.core.text import clean_line
from arena.tui.cells import name_in
from arena.tui.language import _, plural
from arena.tui.widgets.bias_panel import bias_panel
from arena.tui.widgets.board_table import Sort, standings
from arena.tui.widgets.pair_matrix import pair_matrix
from arena.tui.widgets.scatter import Point, scatter

_SIDE_BY_SIDE = 96
_NAME = 20
_TALLEST = 26


class View(StrEnum):
    """What of the board is shown."""

    STANDINGS = "standings"
    PAIRS = "pairs"
    COST = "cost"
    HABITS = "habits"
    HARDWARE = "hardware"


@dataclass(frozen=True, slots=True)
class Shown:
    """What of the board is shown, and of which votes it is."""

    view: View = View.STANDINGS
    sort: Sort = Sort.SCORE
    archived: bool = True
    """Whether those who can't be reached are shown."""
    filters: dict[str, str] = field(default_factory=dict)
    """What the votes are narrowed to, by the word for it; '' for all."""


class BoardView(Static):
    """Draws a board."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's word
        """An empty board."""
        super().__init__(markup=False, id=id)
        self._board: Board | None = None
        self._bias: BiasReport | None = None
        self._shown = Shown()
        self._height = 24

    def show(self, shown: Shown, board: Board | None, bias: BiasReport | None, height: int) -> None:
        """Show this of a board, or nothing while there is none; `height`: lines that there are to see."""
        self._shown, self._board, self._bias, self._height = shown, board, bias, height
        self._draw()

    def on_resize(self) -> None:
        """Use the width there is."""
        self._draw()

    def _draw(self) -> None:
        if self._board is not None and self.size.width:
            self.update(self._body(self._board))

    def _body(self, board: Board) -> Content:
        width, view = self.size.width, self._shown.view
        if view is View.HABITS:
            return bias_panel(self._bias, width) if self._bias else Content("")
        if not self._shown.archived:
            board = replace(board, standings=tuple(line for line in board.standings if line.here is not False))
        if view is View.PAIRS:
            return pair_matrix(board, width)
        if view is View.COST:
            return _costs(board, width, self._height)
        return standings(board, width, self._shown.sort)


def board_head(board: Board | None, shown: Shown) -> Content:
    """Two lines: the view among the others, and what the votes are narrowed to."""
    tabs: list[Content] = []
    for number, view in enumerate(View, 1):
        chosen = view is shown.view
        tabs.append(Content.styled(f" {number} {_(view.value)} ", "bold reverse $accent" if chosen else "$text-muted"))
    count = board.votes if board else 0
    votes = "  " + (plural("your {n} vote", "your {n} votes", count) if count else _("no votes yet"))
    told = [
        Content.assemble(
            (f"{_(word)} ", "$text-muted"), (clean_line(value, 20) or _("all"), "bold $accent" if value else "")
        )
        for word, value in shown.filters.items()
    ]
    if not shown.archived:
        told.append(Content.styled(_("archived hidden"), "bold $accent"))
    narrowed = Content.assemble(" ", Content.styled("  ·  ", "$text-disabled").join(told))
    if shown.view in (View.HABITS, View.HARDWARE):
        narrowed = Content("")  # neither is of a part of the votes
    return Content("\n").join([Content.assemble(*tabs, (votes, "bold")), narrowed])


def _costs(board: Board, width: int, height: int) -> Content:
    """Score against speed and against memory, side by side or one below the other."""
    beside = width >= _SIDE_BY_SIDE
    size = (width - 3) // 2 if beside else width, min(_TALLEST, max(9, height - 3))
    names = {key: name_in(name, _NAME) for key, name in short_names(board).items()}
    group = board.components[0] if board.components else ()
    lines = [line for line in board.standings if line.key in group]  # no order holds between groups
    fast = [
        _point(line, names, line.tally.chars_s, line.key in board.unbeaten_for_speed)
        for line in lines
        if line.tally.chars_s
    ]
    small = [
        _point(line, names, line.tally.vram_bytes / 2**30, line.key in board.unbeaten_for_memory)
        for line in lines
        if line.tally.vram_bytes
    ]
    speed = scatter(fast, size, _("SCORE against SPEED, characters per second  (faster →)"))
    memory = scatter(small, size, _("SCORE against MEMORY, GiB  (smaller →)"), less_is_better=True)
    legend = _("nothing you own beats this on both   │ 95 % interval of the score")
    note = Content.assemble(("★", "bold $accent"), (f" {legend}", "$text-muted"))
    if len(board.components) > 1:
        note = Content.assemble(note, ("   " + _("only those who were compared"), "$text-muted"))
    if not beside:
        return Content("\n").join([speed, note, Content(""), memory, note])
    left, right = speed.split("\n"), memory.split("\n")
    longest = max(len(left), len(right))
    rows = []
    for i in range(longest):
        first = left[i] if i < len(left) else Content("")
        second = right[i] if i < len(right) else Content("")
        rows.append(Content.assemble(first, " " * (size[0] + 3 - first.cell_length), second))
    return Content("\n").join([*rows, note])


def _point(line: Standing, names: Mapping[str, str], cost: float, unbeaten: bool) -> Point:  # noqa: FBT001
    return Point(names[line.key], cost, line.score, line.low, line.high, unbeaten)
