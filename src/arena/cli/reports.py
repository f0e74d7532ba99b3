"""What the commands print: tables for people, JSON for programs. Everything foreign is cleaned here."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from arena.core.machine import Fits, FitVerdict, Machine, human_bytes
from arena.core.models import ModelInfo
from arena.core.ratings import Board, Standing
from arena.core.text import clean_line, counted

if TYPE_CHECKING:
    from arena.core.fit import Together
    from arena.packs import PackShelf
    from arena.store.ledger import HistoryLine
    from arena.wiring import Arena

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


def board_table(board: Board, form: str) -> str:
    """The leaderboard as `text`, `csv` or `md`."""
    rows = [[_cell(value) for value in _board_row(line)] for line in board.standings]
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


@dataclass(frozen=True, slots=True)
class FitOptions:
    """The options of `arena fit`."""

    ctx: int | None = None
    kv: str = "f16"
    slots: int = 1
    gpu: str | None = None
    together: bool = False
    largest: bool = False
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class FitReport:
    """What `arena fit` found."""

    machine: Machine
    fits: tuple[FitVerdict, ...]
    together: dict[str, Any] | None

    def as_json(self) -> dict[str, Any]:
        """CLI.md's JSON."""
        gpus = [
            {
                "name": gpu.name,
                "total_bytes": gpu.total_bytes,
                "free_bytes": gpu.free_bytes,
                "reserved_bytes": gpu.reserved_bytes,
            }
            for gpu in self.machine.gpus
        ]
        return {
            "machine": {"gpus": gpus, "ram_free_bytes": self.machine.ram_free_bytes},
            "models": [{**asdict(fit), "verdict": fit.verdict.value} for fit in self.fits],
            "together": self.together,
        }

    def as_text(self) -> str:
        """Tables for a person."""
        gpus = [
            f"GPU {gpu.index}  {clean_line(gpu.name)}  {_free_of(gpu.free_bytes, gpu.total_bytes)}"
            for gpu in self.machine.gpus
        ]
        lines = gpus or ["No GPU: models are held against RAM."]
        lines.append(f"RAM  {_free_of(self.machine.ram_free_bytes, self.machine.ram_total_bytes)}")
        lines += [*map(clean_line, self.machine.notes), ""]
        head = ("model", "fit", "needs", "±", "free", "context", "longest", "by")
        lines.append(table(head, [_fit_row(fit) for fit in self.fits]) if self.fits else "No models.")
        if self.together is not None:
            context = f", up to {self.together['max_context']} tokens each" if self.together["max_context"] else ""
            lines.append(f"\nTogether: {self.together['verdict']}{context}.")
        return "\n".join(lines)


def _free_of(free: int | None, total: int | None) -> str:
    return f"{human_bytes(free)} free of {human_bytes(total)}"


def _fit_row(fit: FitVerdict) -> tuple[str, ...]:
    return (
        fit.model,
        fit.verdict.value,
        human_bytes(fit.need_bytes),
        human_bytes(fit.sigma_bytes),
        f"{human_bytes(fit.free_bytes)} {fit.device}",
        str(fit.context),
        str(fit.max_context or "-"),
        fit.method or "-",
    )


def fit_report(arena: Arena, names: Sequence[str], options: FitOptions) -> FitReport:
    """Judge the named models, or all. Raises ArenaError, UsageError."""
    infos = [arena.lineup.find(name).result() for name in names] if names else arena.lineup.models().result()
    machine = arena.watch.machine().result()
    if options.gpu:
        machine = replace(machine, gpus=arena.watch.what_if(options.gpu), notes=("What if: not this machine's GPUs.",))
    fits = arena.watch.fits(infos, machine, context=options.ctx, kv_type=options.kv, slots=options.slots).result()
    together = None
    if options.together:
        together = _together_json(
            infos, arena.watch.together(infos, machine, context=options.ctx, kv_type=options.kv).result()
        )
    if options.largest:
        good = [fit for fit in fits if fit.verdict in (Fits.FITS, Fits.TIGHT, Fits.CPU)]
        fits = sorted(good, key=lambda fit: fit.parts.weights)[-1:]
    return FitReport(machine, tuple(fits), together)


def _together_json(infos: Sequence[ModelInfo], found: Together) -> dict[str, Any]:
    return {
        "models": [str(info.ref) for info in infos],
        "verdict": found.verdict.value,
        "max_context": found.max_context,
        "placement": {str(info.ref): found.device for info in infos} if found.device else {},
    }


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
