"""The standings as a table: as many columns as the width allows, the most telling ones first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from rich.cells import cell_len
from textual.content import Content

from arena.core.machine import Fits, human_bytes
from arena.core.ratings import Board, Lead, PairStanding, Standing, Status
from arena.core.telling import LEAD_WORDS, adjusted_hint, beats_next, bridge_hints, short_names, undecided_hints
from arena.tui.cells import left, name_in, right
from arena.tui.language import N_, _
from arena.tui.widgets.bars import interval_bar

_NAME = 30
"""The widest column of names; likewise of bars."""
_BAR = 40
_GAP = 2
_HINTS = 4
_LEGEND_FROM = 84
"""Columns from which on the legend says more than the signs."""
STATUS_SIGNS = {Status.NO_VOTES: " ", Status.TOO_EARLY: "○", Status.USABLE: "◐", Status.ESTABLISHED: "●"}
_FIT_COLOURS = {Fits.FITS: "$success", Fits.TIGHT: "$warning", Fits.PARTIAL: "$warning", Fits.NO: "$error"}
_LEAD_COLOURS = {Lead.AHEAD: "bold $success", Lead.LEANING: "$success", Lead.EVEN: "$secondary"}


class Sort(StrEnum):
    """What the lines may be sorted by."""

    SCORE = "score"
    SPEED = "speed"
    MEMORY = "memory"
    BAD = "both bad"
    VOTES = "votes"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class _Column:
    """One column of figures; those of a table are chosen in the order of their list."""

    title: str
    width: int
    cell: Callable[[Standing], Content | str]
    place: int
    """Where it stands, from the left."""
    sort: Sort | None = None


def ordered(board: Board, sort: Sort) -> list[Standing]:
    """The lines in that order; what is unknown comes last, and equals stay in the order of the board."""
    keys: dict[Sort, Callable[[Standing], tuple[bool, float | str]]] = {
        Sort.SCORE: lambda _: (False, 0.0),
        Sort.SPEED: lambda line: (line.tally.chars_s is None, -(line.tally.chars_s or 0.0)),
        Sort.MEMORY: lambda line: (line.tally.vram_bytes is None, float(line.tally.vram_bytes or 0)),
        Sort.BAD: lambda line: (not line.votes, line.both_bad),
        Sort.VOTES: lambda line: (False, float(-line.votes)),
        Sort.NAME: lambda line: (False, line.model),
    }
    return sorted(board.standings, key=keys[sort])


def standings(board: Board, width: int, sort: Sort = Sort.SCORE) -> Content:
    """The table, `width` cells wide, with what more votes would settle below it."""
    if not board.standings:
        return Content.styled(_("Ask something, read, vote: the board fills."), "$text-muted")
    columns, name, bar = _layout(board, width, sort)
    scale = min(line.low for line in board.standings), max(line.high for line in board.standings)
    names = short_names(board)
    lines = [_head(columns, name, bar, scale, sort)]
    before: tuple[str, ...] | None = None
    groups = {key: group for group in board.components for key in group}
    for line in ordered(board, sort):
        group = groups.get(line.key, ())
        if sort is Sort.SCORE and before and group != before:
            told = _("never compared with those above: no rank between them") if group else _("no votes yet")
            lines.append(Content.styled(f"     ╌╌ {told} ╌╌", "$text-muted"))
        before = group
        lines.append(_row(line, names[line.key], columns, name, bar, scale))
    return Content("\n").join([*lines, Content(""), *_notes(board, names, width)])


def _layout(board: Board, width: int, sort: Sort) -> tuple[list[_Column], int, int]:
    """The columns that fit, from left to right, and the widths of names and bars."""
    longest = max(cell_len(name_in(name, _NAME)) for name in short_names(board).values())
    name, bar = min(longest, max(14, width // 6)), width // 10
    room = width - 6 - name - bar - _GAP
    chosen = []
    for column in sorted(_columns(board), key=lambda column: column.sort is not sort or sort is Sort.SCORE):
        if column.width + _GAP <= room:
            chosen.append(column)
            room -= column.width + _GAP
    more = max(0, min(longest - name, room))
    return sorted(chosen, key=lambda column: column.place), name + more, min(_BAR, bar + room - more)


def _columns(board: Board) -> list[_Column]:
    """Every column there is something for, the most telling one first."""
    ahead = beats_next(board)
    home = any(line.here is not None for line in board.standings)
    found = [
        _Column(N_("score"), 9, _score, 0, Sort.SCORE),
        _Column(N_("rank"), 4, lambda line: f"{line.rank_low}–{line.rank_high}" if line.votes else "–", 1),
        _Column(N_("beats next"), 13, lambda line: _ahead(ahead.get(line.key)), 3),
        _Column(N_("W/T/L"), 8, lambda line: f"{line.wins}/{line.ties}/{line.losses}" if line.votes else "–", 4),
        _Column(N_("bad"), 4, lambda line: f"{line.both_bad:.0%}" if line.votes else "–", 5, Sort.BAD),
        _Column(N_("char/s"), 6, lambda line: number(line.tally.chars_s), 9, Sort.SPEED),
        _Column(N_("fit now"), 8, _home, 12),
        _Column(N_("memory"), 8, lambda line: memory(line.tally.vram_bytes), 11, Sort.MEMORY),
        _Column(N_("best"), 5, lambda line: f"{line.p_best:.0%}" if line.votes else "–", 2),
        _Column(N_("tok/s"), 5, lambda line: number(line.tally.tok_s), 8),
        _Column(N_("adjusted"), 8, lambda line: f"{line.adjusted:.0f}" if line.votes else "–", 7),
        _Column(N_("ttft"), 7, lambda line: _milliseconds(line.tally.ttft_ms), 10),
        _Column(N_("votes"), 5, lambda line: str(line.votes), 6, Sort.VOTES),
        _Column(N_("status"), 11, lambda line: Content.styled(_(line.status.value), "$text-muted"), 13),
    ]
    return [
        replace(column, width=max(column.width, cell_len(_(column.title))))
        for column in found
        if (column.title != "adjusted" or board.length) and (column.title != "fit now" or home)
    ]


def _head(columns: Sequence[_Column], name: int, bar: int, scale: tuple[float, float], sort: Sort) -> Content:
    low, high = f"{scale[0]:.0f}", f"{scale[1]:.0f}"
    ends = f"{low}{high:>{bar - len(low)}}" if bar > len(low + high) else " " * bar
    parts: list[Content] = [
        Content.styled(f"  #   {left(_mark(_('model'), sort is Sort.NAME), name)}", _head_style(sort is Sort.NAME)),
        Content.styled(f"  {ends}", "$text-muted"),
    ]
    for column in columns:
        chosen = column.sort is sort
        title = right(_mark(_(column.title), chosen), _GAP + column.width)
        parts.append(Content.styled(title, _head_style(chosen)))
    return Content("").join(parts)


def _mark(title: str, chosen: bool) -> str:  # noqa: FBT001
    return f"{title}▾" if chosen else title


def _head_style(chosen: bool) -> str:  # noqa: FBT001
    return "bold $accent" if chosen else "bold $text-muted"


def _row(
    line: Standing, told: str, columns: Sequence[_Column], name: int, bar: int, scale: tuple[float, float]
) -> Content:
    parts = [
        Content.styled(f" {line.rank or '–':>2}", "bold $accent"),
        Content.styled(f" {STATUS_SIGNS[line.status]} ", "$accent"),
        Content.styled(left(name_in(told, name), name), "$text-muted" if line.here is False else "bold"),
        Content("  "),
        interval_bar(line.low, line.score, line.high, scale, bar) if line.votes else Content(" " * bar),
    ]
    for column in columns:
        cell = column.cell(line)
        found = cell if isinstance(cell, Content) else Content(cell)
        parts += [Content(" " * (_GAP + max(0, column.width - found.cell_length))), found]
    return Content("").join(parts)


def _notes(board: Board, names: Mapping[str, str], width: int) -> list[Content]:
    """What the signs mean, and what more votes would settle."""
    names = {key: name_in(name, _NAME) for key, name in names.items()}
    signs = "  ".join(f"{sign} {_(status.value)}" for status, sign in STATUS_SIGNS.items() if sign.strip())
    meaning = f"  ·  {_('bar: 95 % interval  ·  rank: 80 % range')}" if width >= _LEGEND_FROM else ""
    lines = [Content.styled(f"    {signs}{meaning}", "$text-muted"), Content("")]
    lines += [Content.styled(f"⇄ {told}", "$accent") for told in bridge_hints(board, names, _)]
    lines += [Content.styled(told, "$text-muted") for told in undecided_hints(board, names, _HINTS, _)]
    if board.length:
        lines.append(Content.styled(adjusted_hint(board.length, _), "$text-muted"))
    return lines


def _score(line: Standing) -> Content | str:
    if not line.votes:
        return "–"
    return Content.assemble((f"{line.score:.0f}", "bold"), (f" ±{line.high - line.score:<3.0f}", "$text-muted"))


def _ahead(pair: PairStanding | None) -> Content | str:
    if pair is None:
        return "–"
    told = f"{pair.p_a_beats_b:.0%} {_(LEAD_WORDS[pair.lead])}"
    return Content.styled(told, _LEAD_COLOURS.get(pair.lead, "$text-muted"))


def _home(line: Standing) -> Content | str:
    if line.here is None:
        return "–"
    if not line.here:
        return Content.styled(_("archived"), "$text-disabled")
    return Content.styled(_(line.fit.value), _FIT_COLOURS.get(line.fit, "$text-muted")) if line.fit else _("here")


def number(value: float | None) -> str:
    """A whole number, or a dash."""
    return "–" if value is None else f"{value:,.0f}"


def memory(count: int | None) -> str:
    """`7.4 GiB`, or a dash."""
    return "–" if count is None else human_bytes(count)


def _milliseconds(value: float | None) -> str:
    return "–" if value is None else (f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f} s")
