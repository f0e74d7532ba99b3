"""`arena doctor` and `arena backup`: whether all is well, and what is done so that nothing gets lost."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from arena.cli.commands import main_group, narrate, opened, places
from arena.core.errors import ArenaError
from arena.core.text import counted

if TYPE_CHECKING:
    from arena.store.repair import Repaired


@main_group.command()
@click.option("--repair", is_flag=True, help="Save what is readable of a damaged database. The damaged file is kept.")
@places
def doctor(repair: bool, db: Path | None, config: Path | None) -> None:  # noqa: FBT001
    """What works here, what does not, and what to do about it."""
    from arena.cli.doctor import examine  # noqa: PLC0415

    with opened(db, config, screens=True) as arena:
        if repair:
            done = arena.repair()
            if done is not None and not done.rounds:
                raise ArenaError(
                    f"No round could be read in it. The damaged file was kept: {done.kept}.", "Restore a copy of it."
                )
            click.echo(f"The database {arena.settings.db} is whole." if done is None else _told(done))
            return
        findings = examine(arena)
    for finding in findings:
        click.echo(f"{'ok ' if finding.good else '!! '} {finding.text}")
    if not all(finding.good for finding in findings):
        sys.exit(1)


@main_group.command()
@click.argument("file", required=False, type=click.Path(path_type=Path), metavar="[FILE]")
@places
def backup(file: Path | None, db: Path | None, config: Path | None) -> None:
    """Copy the database, whole and checked; arena may run meanwhile. Prints the path of the copy.

    FILE may be a folder; without it the copy stands beside the database, with the day in its name. No file is ever
    written over. To go back to a copy, name it with --db, or put it in the place of the database.
    """
    with opened(db, config) as arena:
        with click.progressbar(length=1, label="Copying", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:

            def progress(done: int, whole: int) -> None:
                bar.length = max(1, whole)
                bar.update(min(done, bar.length) - bar.pos)

            target = arena.back_up(file, progress)
            progress(bar.length or 0, bar.length or 0)
        narrate(f"A copy of {arena.settings.db}, {target.stat().st_size / 1e6:,.1f} MB.")
    click.echo(target)


def _told(done: Repaired) -> str:
    """What a repair saved, what it could not, and where the damaged file is."""
    lines = [f"Saved in {done.path}: {counted(done.rounds, 'round')} and {counted(done.votes, 'vote')}."]
    lost = {table: haul.lost for table, haul in done.hauls.items() if haul.lost}
    if lost:
        lines.append(f"Lost: {', '.join(f'{count} of {table}' for table, count in lost.items())}.")
    gaps = [table for table, haul in done.hauls.items() if haul.gaps and table not in lost]
    if gaps:
        lines.append(f"Places that can't be read, with nothing that is known to be missing: {', '.join(gaps)}.")
    if done.stand_ins:
        named = ", ".join(f"{count} of {table}" for table, count in done.stand_ins.items())
        lines.append(f"Known by their key alone: {named}. Their votes count on.")
    if done.void:
        lines.append(f"{counted(done.void, 'round')} lost an answer, a seat or a vote, and can't count: marked void.")
    lines.append(f"The damaged file was kept: {done.kept}")
    return "\n".join(lines)
