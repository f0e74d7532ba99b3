"""Everybody against everybody: the chance that the row is better than the column, and how often the two met."""

from __future__ import annotations

from collections.abc import Mapping

from rich.cells import cell_len
from textual.content import Content

from arena.core.ratings import Board, Lead, PairStanding
from arena.core.telling import pair_hint, short_names
from arena.tui.cells import left, name_in
from arena.tui.language import _

_NAMES = (12, 26)
_CELL = 8
_HINTS = 8


def pair_matrix(board: Board, width: int) -> Content:
    """The matrix, as many columns as fit in `width` cells, and below it what more votes would settle."""
    lines = [line for line in board.standings if line.votes]
    if len(lines) < 2:
        return Content.styled(_("No two were compared yet."), "$text-muted")
    names = {key: name_in(name, _NAMES[1]) for key, name in short_names(board).items()}
    longest = max(cell_len(names[line.key]) for line in lines)
    name = max(_NAMES[0], min(longest, width - 6 - _CELL * len(lines)))
    fitting = lines[: max(1, (width - 6 - name) // _CELL)]
    pairs = {(pair.a, pair.b): pair for pair in board.pairs}
    head = Content.styled(
        " " * (6 + name) + "".join(f"{f'{number}':^{_CELL}}" for number, _ in enumerate(fitting, 1)), "bold $text-muted"
    )
    rows = [head]
    for number, line in enumerate(lines, 1):
        told = left(name_in(names[line.key], name), name)
        cells = [_cell(pairs, line.key, other.key) for other in fitting]
        rows.append(Content.assemble((f" {number:>2}  ", "bold $accent"), (told, "bold"), " ", *cells))
    legend = Content.assemble(
        ("\n     ", ""),
        ("97%", "bold $success"),
        ("·12  " + _("row better than column; votes of the two") + "   ", "$text-muted"),
        ("≈", "$secondary"),
        (f" {_(Lead.EVEN.value)}", "$text-muted"),
    )
    return Content("\n").join([*rows, legend, Content(""), *_hints(board, names)])


def _cell(pairs: dict[tuple[str, str], PairStanding], row: str, column: str) -> Content:
    """`97%·12`, eight cells wide."""
    if row == column:
        return Content.styled(f"{'╲':^{_CELL}}", "$text-disabled")
    pair, turned = pairs.get((row, column)), pairs.get((column, row))
    found = pair or turned
    if found is None:
        return Content.styled(f"{'–':^{_CELL}}", "$text-disabled")
    chance = found.p_a_beats_b if pair else 1 - found.p_a_beats_b
    met = f"·{found.votes}" if found.votes < 1000 else "·1k+"
    if found.lead is Lead.EVEN:
        told, style = "  ≈", "$secondary"
    else:
        told, style = f"{chance:>3.0%}", _style(chance, found.lead)
    return Content.assemble((f" {told}", style), (f"{met:<{_CELL - 4}}", "$text-disabled"))


def _style(chance: float, lead: Lead) -> str:
    if lead is Lead.TOO_EARLY:
        return "$text-muted"
    colour = "$success" if chance > 0.5 else "$error"
    return f"bold {colour}" if lead is Lead.AHEAD else colour


def _hints(board: Board, names: Mapping[str, str]) -> list[Content]:
    """The pairs that fewest votes would settle."""
    shown = [pair for pair in board.pairs if pair.votes_needed and pair.a in names and pair.b in names]
    shown.sort(key=lambda pair: (pair.votes_needed or 0, -pair.p_a_beats_b))
    return [Content.styled(pair_hint(pair, names, _), "$text-muted") for pair in shown[:_HINTS]]
