"""The leaderboard, small enough to stand beside the panes."""

from __future__ import annotations

from collections.abc import Mapping

from textual.content import Content
from textual.widgets import Static

from arena.core.ratings import Board, Standing
from arena.tui.cells import name_in
from arena.tui.language import _, plural
from arena.tui.widgets.bars import interval_bar

START = 1000.0
"""The score of a contestant without votes."""


class BoardPanel(Static):
    """One block a contestant: rank, name, score, interval, how far to trust it."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's word
        """An empty board."""
        super().__init__(markup=False, id=id, classes="side-panel")
        self._board: Board | None = None
        self._moves: Mapping[str, float] = {}
        self._sealed = False

    def show(self, board: Board) -> None:
        """Show a board, and how far each score has moved since the last one with other votes."""
        if self._board is not None and board.votes != self._board.votes:
            before = {line.key: line.score for line in self._board.standings}
            self._moves = {line.key: line.score - before.get(line.key, START) for line in board.standings}
        self._board, self._sealed = board, False
        self._draw()

    @property
    def moved(self) -> str:
        """The scores that the last vote moved, in one line, the furthest first: where it is cut, least is lost."""
        lines = self._board.standings if self._board else ()
        moves = [(line, self._moves.get(line.key, 0.0)) for line in lines]
        moves.sort(key=lambda each: -abs(each[1]))
        return "  ".join(
            f"{name_in(line.model.partition('/')[2] or line.model, 16)} {line.score:.0f} {_arrow(move)}"
            for line, move in moves
            if _arrow(move)
        )

    def seal(self) -> None:
        """Hide names and scores while a round is blind."""
        self._sealed = True
        self._draw()

    def on_resize(self) -> None:
        """Use the width there is."""
        self._draw()

    def _draw(self) -> None:
        if self._sealed:
            self.update(_sealed())
        elif self._board is not None:
            self.update(_blocks(self._board, self._moves, self.size.width))


def _sealed() -> Content:
    why = _("Names, speeds and scores stay hidden until you have voted: they would tell who is who.")
    return Content.assemble(
        (_("LEADERBOARD"), "bold $text-muted"),
        "\n\n",
        (f"✉ {_('sealed')}\n\n", "bold $accent"),
        (why, "$text-muted"),
    )


def _title(board: Board) -> Content:
    votes = plural("your {n} vote", "your {n} votes", board.votes) if board.votes else _("no votes yet")
    return Content.assemble((_("LEADERBOARD"), "bold $text-muted"), (f"   {votes}", "$text-muted"))


def _scale(board: Board) -> tuple[float, float]:
    return min(line.low for line in board.standings), max(line.high for line in board.standings)


def _rank(standing: Standing) -> str:
    return str(standing.rank) if standing.rank else "–"


def _blocks(board: Board, moves: Mapping[str, float], width: int) -> Content:
    lines = [_title(board), Content("")]
    if not board.standings:
        lines.append(Content.styled(_("Ask something, read, vote: the board fills."), "$text-muted"))
    scale = _scale(board) if board.standings else (0.0, 1.0)
    groups = {key: group for group in board.components for key in group}
    before: tuple[str, ...] = ()
    for line in board.standings:
        group = groups.get(line.key, ())
        if before and group and group != before:
            lines.append(
                Content.styled(f"╌╌ {_('never compared with those above: no rank between them')}", "$text-muted")
            )
        before = group
        move = moves.get(line.key, 0.0)
        name = name_in(line.model, max(8, width - 18))
        score = f"{line.score:.0f}" if line.votes else "–"
        gap = max(1, width - 3 - Content(name).cell_length - len(score) - 6)
        lines += [
            Content.assemble(
                (f"{_rank(line):>2} ", "bold $accent"),
                (name, "bold"),
                " " * gap,
                (score, "bold"),
                (f" {_arrow(move):<5}", "$success" if move > 0 else "$error"),
            ),
            Content.assemble("   ", interval_bar(line.low, line.score, line.high, scale, max(8, width - 6))),
            Content.styled(f"   {_detail(line)}", "$text-muted"),
        ]
    return Content("\n").join(lines)


def _arrow(move: float) -> str:
    return f"{'▲' if move > 0 else '▼'}{abs(move):.0f}" if abs(move) >= 0.5 else ""


def _detail(line: Standing) -> str:
    status = _(line.status.value)
    if not line.votes:
        return status
    ranks = f"{line.rank_low}–{line.rank_high}" if line.rank_low != line.rank_high else str(line.rank)
    told = _("{wins}W {ties}T {losses}L  rank {ranks}  {status}")
    return told.format(wins=line.wins, ties=line.ties, losses=line.losses, ranks=ranks, status=status)
