"""The commands that look back: `arena history` and `arena show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from arena.cli.commands import main_group, narrate, opened, places, print_json
from arena.core.past import Ending, Wanted

if TYPE_CHECKING:
    from arena.wiring import Arena


@main_group.command()
@click.option("--search", default="", metavar="Q", help="Full text of prompts and answers, and notes.")
@click.option("--tag", default="", help="Only prompts with that tag.")
@click.option(
    "--model", default="", metavar="MODEL", help="Only rounds of that model; sealed ones are not found by it."
)
@click.option("--ending", type=click.Choice([each.value for each in Ending]), help="Only rounds that ended so.")
@click.option("--limit", type=click.IntRange(1), default=50, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--delete", metavar="ROUND", help="Delete a round; says what goes, and asks.")
@click.option("--yes", is_flag=True, help="With --delete: do not ask.")
@places
def history(
    search: str,
    tag: str,
    model: str,
    ending: str | None,
    limit: int,
    as_json: bool,  # noqa: FBT001
    delete: str | None,
    yes: bool,  # noqa: FBT001
    db: Path | None,
    config: Path | None,
) -> None:
    """Past rounds, newest first."""
    from arena.cli import reports  # noqa: PLC0415

    wanted = Wanted(search, tag, model, Ending(ending) if ending else None)
    with opened(db, config, reads=True) as arena:
        if delete is not None:
            _delete(arena, delete, yes=yes)
            return
        lines = arena.past.rounds(wanted, limit).result()
    if as_json:
        print_json([reports.history_json(line) for line in lines])
    elif lines:
        click.echo("\n".join(reports.history_line(line) for line in lines))
    else:
        narrate("Nothing found." if wanted != Wanted() else "No rounds yet: `arena` or `arena run`.")


def _delete(arena: Arena, round_id: str, *, yes: bool) -> None:
    from arena.tui.going import going_lines  # noqa: PLC0415

    going = arena.past.going(round_id).result()
    narrate(
        "\n".join([f"To delete round {going.rounds[-1]} takes away:", *(f"- {line}" for line in going_lines(going))])
    )
    if yes or click.confirm("Delete?", err=True):
        arena.past.delete(round_id).result()
        narrate("Deleted.")


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
