"""The commands that look back: `arena history` and `arena show`."""

from __future__ import annotations

from pathlib import Path

import click

from arena.cli.commands import main_group, narrate, opened, places, print_json


@main_group.command()
@click.option("--search", default="", metavar="Q", help="Full text of prompts and answers.")
@click.option("--limit", type=click.IntRange(1), default=50, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@places
def history(search: str, limit: int, as_json: bool, db: Path | None, config: Path | None) -> None:  # noqa: FBT001
    """Past rounds, newest first."""
    from arena.cli import reports  # noqa: PLC0415

    with opened(db, config, reads=True) as arena:
        lines = arena.history(limit, search).result()
    if as_json:
        print_json([reports.history_json(line) for line in lines])
    elif lines:
        click.echo("\n".join(reports.history_line(line) for line in lines))
    else:
        narrate("Nothing found." if search else "No rounds yet: `arena` or `arena run`.")


@main_group.command()
@click.argument("round_id", metavar="ROUND")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@places
def show(round_id: str, as_json: bool, db: Path | None, config: Path | None) -> None:  # noqa: FBT001
    """One round in full; names and figures only after the vote."""
    from arena.cli import rounds  # noqa: PLC0415

    with opened(db, config, reads=True) as arena:
        found = arena.look(round_id).result()
    if as_json:
        print_json(rounds.as_json(found))
    else:
        click.echo(rounds.as_text(found))
