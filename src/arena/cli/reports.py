"""What the commands print: tables for people, JSON for programs. Everything foreign is cleaned here."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from arena.core.ratings import Board, Standing
from arena.core.text import clean_line, counted

if TYPE_CHECKING:
    from arena.packs import PackShelf
    from arena.store.ledger import HistoryLine

_BOARD_COLUMNS = (
    "rank",
    "model",
    "score",
    "low",
    "high",
    "status",
    "votes",
    "wins",
    "ties",
    "losses",
    "both_bad",
    "tok_s",
    "chars_s",
    "ttft_ms",
)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest cell, numbers of cells counted as terminals do."""
    from unicodedata import east_asian_width  # noqa: PLC0415

    def cells(text: str) -> int:
        return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)

    grid = [list(head), *[[clean_line(cell) for cell in row] for row in rows]]
    widths = [max(cells(row[column]) for row in grid) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell + " " * (width - cells(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in grid
    )


def board_json(board: Board) -> dict[str, Any]:
    """The leaderboard as CLI.md's JSON."""
    names = {line.key: line.model for line in board.standings}
    return {
        "votes": board.votes,
        "rounds": board.rounds,
        "components": [[names[key] for key in group] for group in board.components],
        "standings": [_standing_json(line) for line in board.standings],
        "pairs": [
            {
                "a": names[pair.a],
                "b": names[pair.b],
                "votes": pair.votes,
                "p_a_beats_b": pair.p_a_beats_b,
                "votes_needed": pair.votes_needed,
            }
            for pair in board.pairs
        ],
    }


def _standing_json(line: Standing) -> dict[str, Any]:
    facts = asdict(line)
    tally = facts.pop("tally")
    return {**facts, "fingerprint": facts.pop("key"), "status": line.status.value, **tally}


def board_grid(board: Board) -> tuple[Sequence[str], list[list[str]]]:
    """The leaderboard as a head and cells, raw."""
    return _BOARD_COLUMNS, [[_cell(value) for value in _board_row(line)] for line in board.standings]


def board_table(board: Board, form: str) -> str:
    """The leaderboard as `text`, `csv` or `md`."""
    _, rows = board_grid(board)
    if form == "csv":
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(_BOARD_COLUMNS)
        writer.writerows([[_no_formula(cell) for cell in row] for row in rows])
        return out.getvalue().rstrip("\n")
    if form == "md":
        lines = ["| " + " | ".join(_BOARD_COLUMNS) + " |", "|" + "---|" * len(_BOARD_COLUMNS)]
        lines += ["| " + " | ".join(clean_line(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
        return "\n".join(lines)
    if not rows:
        return "No contestants yet: play a round with `arena` or `arena run`."
    note = f"Your {counted(board.votes, 'vote')} in {counted(board.rounds, 'round')}."
    if len(board.components) > 1:
        note += " There are groups that were never compared: no rank holds between them."
    return table(_BOARD_COLUMNS, rows) + f"\n\n{note}"


def _board_row(line: Standing) -> tuple[object, ...]:
    tally = line.tally
    scores: tuple[float | None, ...] = (line.score, line.low, line.high) if line.votes else (None, None, None)
    counts = (line.votes, line.wins, line.ties, line.losses, f"{line.both_bad:.0%}" if line.votes else None)
    return (
        line.rank or None,
        line.model,
        *scores,
        line.status.value,
        *counts,
        tally.tok_s,
        tally.chars_s,
        tally.ttft_ms,
    )


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def _no_formula(cell: str) -> str:
    """A cell that a spreadsheet would run as a formula gets a quote in front; a lone '-' is no formula."""
    return f"'{cell}" if cell[:1] in tuple("=+@\t\r") or (cell[:1] == "-" and len(cell) > 1) else cell


def history_json(line: HistoryLine) -> dict[str, Any]:
    """One line of `arena history --json`."""
    return {
        "round": line.id,
        "created_at": line.created_at,
        "state": line.state.value,
        "prompt": line.prompt.text,
        "models": list(line.models),
        "verdict": str(line.verdict) if line.verdict else None,
        "flags": list(line.flags),
    }


def history_line(line: HistoryLine) -> str:
    """One line of `arena history`."""
    when = line.created_at[:16].replace("T", " ")
    names = ", ".join(clean_line(name, 40) for name in line.models) or "sealed"
    verdict = str(line.verdict or "-")
    prompt = clean_line(line.prompt.text, 60)
    return f"{line.id}  {when}  {line.state.value:<10} {verdict:<8} {prompt}  [{names}]"


def packs_text(shelf: PackShelf) -> str:
    """The table of `arena prompts`."""
    rows = [(pack.name, str(len(pack.prompts)), pack.title, pack.description) for pack in shelf.packs]
    return table(("pack", "prompts", "title", ""), rows)
