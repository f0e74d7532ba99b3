"""What `arena board` prints: the standings, the pairs, the costs, the bias report."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

from arena.cli.reports import table
from arena.core.battles import ME, SEVERAL
from arena.core.bias import BiasReport
from arena.core.errors import UsageError
from arena.core.machine import human_bytes
from arena.core.periods import begin_of
from arena.core.ratings import Board, PairStanding, Standing
from arena.core.telling import LEAD_WORDS, RATES, adjusted_hint, beats_next, bias_lines, bridge_hints, undecided_hints
from arena.core.text import clean_line, counted
from arena.wiring import Arena

_CSV_COLUMNS = (
    *("rank", "model", "score", "low", "high", "status", "votes", "wins", "ties", "losses", "both_bad"),
    *("tok_s", "chars_s", "ttft_ms", "rank_low", "rank_high", "p_best", "adjusted", "vram_bytes", "here", "fit"),
)
_HEAD = ("rank", "model", "score", "80% rank", "P(best)", "beats next", "W/T/L", "bad", "votes")
_SPEED = ("tok/s", "chars/s", "ttft", "memory")

_LEAVE_OUT = ("status", "ttft", "tok/s", "votes", "P(best)", "adjusted", "memory", "fit now", "chars/s", "bad", "W/T/L")
"""Columns that a narrow terminal does without, the least telling one first."""
_Table: TypeAlias = tuple[Sequence[str], Sequence[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class BoardOptions:
    """The options of `arena board`."""

    tag: str = ""
    voter: str = ME
    language: str = ""
    since: str = ""
    here: bool = False
    no_archived: bool = False
    pairs: bool = False
    pareto: bool = False


def boards_of(arena: Arena, options: BoardOptions) -> BoardReport:
    """The report that was asked for. Raises ArenaError, UsageError."""
    narrowed = {"language": options.language, "since": begin_of(options.since)}
    infos = arena.lineup.models().result() if options.here or options.no_archived else None
    fits = arena.watch.fits(infos).result() if infos is not None else []
    voter = arena.exchange.voter(options.voter).result()
    board = arena.scores.board(options.tag, **narrowed, voter=voter, infos=infos, fits=fits).result()
    if options.tag and not board.votes:
        _refuse_unknown_tag(arena, options.tag)
    if options.no_archived:
        here = tuple(line for line in board.standings if line.here)
        board = replace(board, standings=here)
    return BoardReport(board, arena.scores.bias(voter).result(), options)


def _refuse_unknown_tag(arena: Arena, tag: str) -> None:
    """Raises UsageError for a tag that no vote has."""
    known, _ = arena.scores.facets().result()
    if tag not in known:
        there = f"There are: {', '.join(clean_line(one, 40) for one in known[:20])}." if known else ""
        raise UsageError(f"No vote has the tag '{clean_line(tag, 40)}'.", there or "Play a round of a pack first.")


@dataclass(frozen=True, slots=True)
class BoardReport:
    """The leaderboard with the bias report, in every form."""

    board: Board
    bias: BiasReport
    options: BoardOptions = BoardOptions()

    def as_json(self) -> dict[str, Any]:
        """The leaderboard as CLI.md's JSON, and more."""
        board, names = self.board, self._names
        shown = [pair for pair in board.pairs if pair.a in names and pair.b in names]
        groups = [[names[key] for key in group if key in names] for group in board.components]
        return {
            "votes": board.votes,
            "rounds": board.rounds,
            "components": [group for group in groups if group],
            "standings": [_standing_json(line) for line in board.standings],
            "pairs": [
                {
                    "a": names[pair.a],
                    "b": names[pair.b],
                    "votes": pair.votes,
                    "p_a_beats_b": pair.p_a_beats_b,
                    "votes_needed": pair.votes_needed,
                    "p_even": pair.p_even,
                    "lead": pair.lead.value,
                }
                for pair in shown
            ],
            "bridges": [[names.get(key, key) for key in pair] for pair in board.bridges],
            "side": board.side and asdict(board.side),
            "length": board.length and asdict(board.length),
            "unbeaten": {
                "speed": [names[key] for key in board.unbeaten_for_speed if key in names],
                "memory": [names[key] for key in board.unbeaten_for_memory if key in names],
            },
            "bias": bias_json(self.bias),
        }

    def as_csv(self) -> str:
        """The standings alone."""
        head, rows = board_grid(self.board)
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(head)
        writer.writerows([[_no_formula(clean_line(cell)) for cell in row] for row in rows])
        return out.getvalue().rstrip("\n")

    def as_text(self, *, markdown: bool = False, width: int | None = None) -> str:
        """Everything that was asked for, for a person.

        `width`: characters of the terminal; the standings leave out columns to fit in. None: as wide as it takes.
        """
        if not self.board.standings:
            return "No contestants yet: play a round with `arena` or `arena run`."
        draw = _markdown_table if markdown else table
        head, rows = self._standings()
        parts = [draw(*_narrowed_to(width, head, rows)), "\n".join(self._notes())]
        if self.options.pairs:
            parts.append(_titled("Pairs", draw(_PAIR_HEAD, [self._pair(pair) for pair in self._pairs]), markdown))
        if self.options.pareto:
            parts.append(_titled("Quality against cost", self._pareto(draw), markdown))
        if self.bias.votes or self.bias.noise.of:
            parts.append(
                _titled("What else may have moved your votes", draw(_BIAS_HEAD, bias_lines(self.bias)), markdown)
            )
        return "\n\n".join(parts)

    @property
    def _names(self) -> dict[str, str]:
        return {line.key: line.model for line in self.board.standings}

    @property
    def _pairs(self) -> list[PairStanding]:
        names = self._names
        return [pair for pair in self.board.pairs if pair.a in names and pair.b in names]

    def _standings(self) -> _Table:
        board = self.board
        adjusted = ("adjusted",) if board.length else ()
        home = ("fit now",) if any(line.here is not None for line in board.standings) else ()
        ahead = beats_next(board)
        rows = [
            (
                *_line(line, ahead.get(line.key)),
                *([f"{line.adjusted:.0f}" if line.votes and line.adjusted is not None else "-"] if adjusted else []),
                *_costs(line),
                *([_home(line)] if home else []),
                line.status.value,
            )
            for line in board.standings
        ]
        return (*_HEAD, *adjusted, *_SPEED, *home, "status"), rows

    def _notes(self) -> list[str]:
        board, names = self.board, {key: clean_line(name, 60) for key, name in self._names.items()}
        whose = {ME: "Your", SEVERAL: "Everybody's"}.get(self.options.voter, f"{clean_line(self.options.voter, 60)}:")
        voted = f"{counted(board.votes, 'vote')} in {counted(board.rounds, 'round')}"
        lines = [f"{whose} {voted}{_narrowed(self.options)}."]
        if len(board.components) > 1:
            lines.append("There are groups that were never compared: no rank holds between them.")
        lines += bridge_hints(board, names)
        lines += undecided_hints(board, names, 3)
        if board.length:
            lines.append(adjusted_hint(board.length))
        return lines

    def _pair(self, pair: PairStanding) -> tuple[str, ...]:
        names, needed = self._names, "-" if pair.votes_needed is None else f"~{pair.votes_needed}"
        return names[pair.a], names[pair.b], str(pair.votes), f"{pair.p_a_beats_b:.0%}", pair.lead.value, needed

    def _pareto(self, draw: Any) -> str:  # noqa: ANN401
        board = self.board
        fast, small = board.unbeaten_for_speed, board.unbeaten_for_memory
        rows = [
            (
                line.model,
                f"{line.score:.0f} ±{line.high - line.score:.0f}",
                _number(line.tally.chars_s),
                "*" if line.key in fast else "",
                human_bytes(line.tally.vram_bytes),
                "*" if line.key in small else "",
            )
            for line in board.standings
            if line.votes
        ]
        head = ("model", "score", "chars/s", "best for speed", "memory", "best for memory")
        return f"{draw(head, rows)}\n\n* nothing you own beats this on both."


def board_grid(board: Board) -> _Table:
    """The standings as a head and cells, raw."""
    return _CSV_COLUMNS, [_csv_row(line) for line in board.standings]


def _narrowed_to(width: int | None, head: Sequence[str], rows: Sequence[Sequence[str]]) -> _Table:
    """The table without as many of its columns as it takes to fit."""
    found = head, rows
    for title in _LEAVE_OUT:
        if width is None or max(map(len, table(*found).splitlines())) <= width:
            break
        kept = [i for i, name in enumerate(found[0]) if name != title]
        found = [found[0][i] for i in kept], [[row[i] for i in kept] for row in found[1]]
    return found


def bias_json(report: BiasReport) -> dict[str, Any]:
    """The bias report by the names of its fields, each rate with its share."""
    facts = asdict(report)
    for field in RATES:
        facts[field]["share"] = getattr(report, field).share
    return facts


_BIAS_HEAD = ("you chose", "share", "95 %", "by chance", "of")
_PAIR_HEAD = ("a", "b", "met", "P(a beats b)", "", "votes to settle")


def _standing_json(line: Standing) -> dict[str, Any]:
    facts = asdict(line)
    tally, fingerprint = facts.pop("tally"), facts.pop("key")
    fit = line.fit and line.fit.value
    return {**facts, "fingerprint": fingerprint, "status": line.status.value, "fit": fit, **tally}


def _line(line: Standing, ahead: PairStanding | None) -> tuple[str, ...]:
    if not line.votes:
        return ("-", line.model, *["-"] * (len(_HEAD) - 3), "0")
    return (
        str(line.rank),
        line.model,
        f"{line.score:.0f} ±{line.high - line.score:.0f}",
        f"{line.rank_low}-{line.rank_high}",
        f"{line.p_best:.0%}",
        f"{ahead.p_a_beats_b:.0%} {LEAD_WORDS[ahead.lead]}" if ahead else "-",
        f"{line.wins}/{line.ties}/{line.losses}",
        f"{line.both_bad:.0%}",
        str(line.votes),
    )


def _costs(line: Standing) -> tuple[str, ...]:
    tally = line.tally
    first = "-" if tally.ttft_ms is None else f"{tally.ttft_ms:.0f} ms"
    return _number(tally.tok_s), _number(tally.chars_s), first, human_bytes(tally.vram_bytes)


def _home(line: Standing) -> str:
    if line.here is None:
        return "-"
    return (line.fit.value if line.fit else "here") if line.here else "archived"


def _csv_row(line: Standing) -> list[str]:
    tally, voted = line.tally, bool(line.votes)
    score = [_number(value) if voted else "-" for value in (line.score, line.low, line.high)]
    return [
        str(line.rank or "-"),
        line.model,
        *score,
        line.status.value,
        *map(str, (line.votes, line.wins, line.ties, line.losses)),
        f"{line.both_bad:.0%}" if voted else "-",
        *map(_number, (tally.tok_s, tally.chars_s, tally.ttft_ms)),
        *map(str, (line.rank_low or "-", line.rank_high or "-")),
        f"{line.p_best:.3f}" if voted else "-",
        _number(line.adjusted) if voted else "-",
        "-" if tally.vram_bytes is None else str(tally.vram_bytes),
        "-" if line.here is None else str(line.here).lower(),
        line.fit.value if line.fit else "-",
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _narrowed(options: BoardOptions) -> str:
    facts = [f"tag {options.tag}" if options.tag else "", f"language {options.language}" if options.language else ""]
    facts.append(f"since {options.since}" if options.since else "")
    told = ", ".join(clean_line(fact, 60) for fact in facts if fact)
    return f" ({told})" if told else ""


def _titled(title: str, text: str, markdown: bool) -> str:  # noqa: FBT001
    return f"## {title}\n\n{text}" if markdown else f"{title}\n{text}"


def _markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(clean_line(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _no_formula(cell: str) -> str:
    """A cell that a spreadsheet would run as a formula gets a quote in front; a lone '-' is no formula."""
    begins = unicodedata.normalize("NFKC", cell[:1])  # some take the wide signs as well
    return f"'{cell}" if begins in tuple("=+@") or (begins == "-" and cell != "-") else cell
