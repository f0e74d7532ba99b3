"""`arena export` and `arena import`: votes as files, out and in."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from arena.cli.commands import main_group, narrate, opened, places, print_json
from arena.cli.files import STANDARD, why, writing
from arena.core.battles import ME, Imported, PastImport
from arena.core.errors import ArenaError, UsageError
from arena.core.text import clean_line, counted

if TYPE_CHECKING:
    from arena.wiring import Arena


@main_group.command("export")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=STANDARD, help="Into this file, not to stdout."
)
@click.option(
    "--format", "form", type=click.Choice(["jsonl", "csv"]), help="Default: as the file is called, else JSONL."
)
@click.option("--all", "unrated", is_flag=True, help="Also votes that the leaderboard leaves out.")
@click.option("--no-text", is_flag=True, help="Without prompts and notes.")
@click.option("--force", is_flag=True, help="Also over a file that is there.")
@places
def export_votes(
    output: Path,
    form: str | None,
    unrated: bool,  # noqa: FBT001
    no_text: bool,  # noqa: FBT001
    force: bool,  # noqa: FBT001
    db: Path | None,
    config: Path | None,
) -> None:
    """Your votes as battles: a row for each pair, in arena-rank's columns and more. Sealed rounds stay sealed."""
    chosen = form or ("csv" if output.suffix.lower() == ".csv" else "jsonl")
    if output.is_file() and not force:
        raise ArenaError(f"{clean_line(str(output))} is there already.", "Name another file, or say --force.")
    with opened(db, config, reads=True) as arena, writing(output) as out:
        votes, rows = arena.exchange.export(out, chosen, unrated=unrated, texts=not no_text).result()
    narrate(f"{counted(votes, 'vote')} in {counted(rows, 'row')}.")


@main_group.command("import")
@click.argument("file", required=False, metavar="[FILE]")
@click.option("--voter", metavar="NAME", help="Whose votes these are; default: as the file is called.")
@click.option("--skip-bad", is_flag=True, help="Import the good rows of a file that has bad ones.")
@click.option("--yes", is_flag=True, help="Yes, these are my votes: with --voter me, where the file came as another's.")
@click.option("--list", "listed", is_flag=True, help="What was imported.")
@click.option("--remove", type=int, metavar="ID", help="Leave an imported file out again.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@places
def import_votes(
    file: str | None,
    voter: str | None,
    skip_bad: bool,  # noqa: FBT001
    yes: bool,  # noqa: FBT001
    listed: bool,  # noqa: FBT001
    remove: int | None,
    as_json: bool,  # noqa: FBT001
    db: Path | None,
    config: Path | None,
) -> None:
    """Battles from a file, JSONL or CSV, as the votes of another voter: all of them, or none. `-` is stdin.

    They count on `arena board --voter NAME` and `--voter all`. Importing a file again adds nothing.
    """
    if (file is not None) + listed + (remove is not None) != 1:
        raise UsageError("Name one file, or --list, or --remove ID.", "`arena import --help` says more.")
    with opened(db, config) as arena:
        if remove is not None:
            gone = arena.exchange.leave_out(remove).result()
            narrate(f"Left out: {_holdings(gone.battles, gone.rounds)} of {clean_line(gone.voter, 60)}.")
        elif file is None:
            _list(arena.exchange.imports().result(), as_json=as_json)
        else:
            if voter == ME and not yes:
                _refuse_what_is_anothers(arena, file)
            _report(file, _take(arena, file, voter, skip_bad=skip_bad), skip_bad=skip_bad, as_json=as_json)


def _refuse_what_is_anothers(arena: Arena, file: str) -> None:
    """Raises UsageError where a file of that name is here as the votes of somebody else."""
    came = (one.voter for one in arena.exchange.imports().result() if one.source == Path(file).name)
    if other := next((voter for voter in came if voter != ME), None):
        whose = f"'{clean_line(Path(file).name, 60)}' is here as the votes of {clean_line(other, 60)}."
        raise UsageError(whose, "If they are yours, say --yes.")


def _take(arena: Arena, file: str, voter: str | None, *, skip_bad: bool) -> Imported:
    from arena.exchange import voter_of  # noqa: PLC0415

    name, stop = voter_of(file, voter), threading.Event()
    with _reading(file) as stream:
        total = os.fstat(stream.fileno()).st_size
        hidden = not (total and sys.stderr.isatty())
        with click.progressbar(
            length=total, label="Importing", file=sys.stderr, hidden=hidden, item_show_func=_rows_read
        ) as bar:

            def progress(done_bytes: int, rows: int) -> None:
                if stop.is_set():
                    raise ArenaError("Stopped; nothing was imported.")
                bar.update(done_bytes - bar.pos, rows)

            taking = arena.exchange.take(
                stream, STANDARD if file == STANDARD else Path(file).name, name, skip_bad=skip_bad, progress=progress
            )
            try:
                return taking.result()
            except KeyboardInterrupt:
                stop.set()
                return taking.result()  # what is being written already is written to its end


def _rows_read(rows: int | None) -> str:
    return f"{rows:,} rows" if rows else ""


@contextmanager
def _reading(file: str) -> Iterator[BinaryIO]:
    """The bytes of a file, or of stdin."""
    try:
        opening = nullcontext(sys.stdin.buffer) if file == STANDARD else Path(file).open("rb")  # noqa: SIM115
    except (OSError, ValueError) as fault:
        raise UsageError(f"'{clean_line(file)}' can't be read: {why(fault)}.", "Name a file of battles.") from fault
    with opening as stream:
        yield stream


def _report(file: str, found: Imported, *, skip_bad: bool, as_json: bool) -> None:
    """Say what became of a file. Raises ArenaError when it was refused."""
    if as_json:
        print_json(asdict(found))
    for row in found.bad:
        narrate(f"line {row.line}: {clean_line(row.what)}")
    if found.bad_count > len(found.bad):
        narrate(f"and {counted(found.bad_count - len(found.bad), 'more bad row')}")
    bad = counted(found.bad_count, "bad row")
    if found.bad_count and not skip_bad:
        raise ArenaError(f"'{clean_line(file)}' has {bad}; nothing was imported.", "--skip-bad imports the others.")
    if as_json:
        return
    said = "Nothing new"
    if found.id is not None:
        said = f"{_holdings(found.battles, found.rounds)} of {clean_line(found.voter, 60)}, as import {found.id}"
    beside = [(found.known, "here already"), (found.own, "played here"), (found.bad_count, "bad")]
    told = [f"{count:,} {what}" for count, what in beside if count]
    click.echo(f"{said}{': ' if told and found.id is None else '; ' if told else ''}{', '.join(told)}.")


def _holdings(battles: int, rounds: int) -> str:
    """`1,000 battles and 1 round`."""
    held = [(battles, "battle"), (rounds, "round")]
    parts = [f"{count:,} {noun}{'' if count == 1 else 's'}" for count, noun in held if count]
    return " and ".join(parts) or "nothing"


def _list(found: Sequence[PastImport], *, as_json: bool) -> None:
    if as_json:
        print_json([asdict(one) for one in found])
    elif not found:
        narrate("Nothing was imported yet: `arena import FILE`.")
    else:
        from arena.cli.reports import table  # noqa: PLC0415

        rows = [
            (str(one.id), one.voter, f"{one.battles:,}", f"{one.rounds:,}", one.imported_at[:16], one.source)
            for one in found
        ]
        click.echo(table(("id", "voter", "battles", "rounds", "imported (UTC)", "file"), rows))
