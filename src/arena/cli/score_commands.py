"""The commands that compute from votes: `arena board` and `arena simulate`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import click

from arena.cli.commands import main_group, opened, places, print_json
from arena.core.battles import ME


@main_group.command()
@click.option("--tag", default="", help="Only votes on prompts with this tag.")
@click.option("--language", default="", metavar="L", help="Only votes on prompts in this language: en, ko, ...")
@click.option("--voter", default=ME, help="Whose votes: me, a name under which you imported some, or all.")
@click.option("--since", default="", metavar="WHEN", help="Only votes since then: 30d, 8w, 2026-10-01.")
@click.option("--here", is_flag=True, help="Who can be reached now, and whether it fits; asks every endpoint.")
@click.option("--no-archived", is_flag=True, help="Hide who can't be reached; its votes still count.")
@click.option("--pairs", is_flag=True, help="Every pair: how often it met, and who is better.")
@click.option("--pareto", is_flag=True, help="Quality against speed and memory: whom nothing you own beats on both.")
@click.option("--json", "form", flag_value="json", help="As JSON.")
@click.option("--csv", "form", flag_value="csv", help="As CSV.")
@click.option("--md", "form", flag_value="md", help="As Markdown.")
@click.option(
    "--html", type=click.Path(path_type=Path), metavar="FILE", help="Into this file, with a plot; - is stdout."
)
@places
def board(form: str | None, html: Path | None, db: Path | None, config: Path | None, **options: Any) -> None:  # noqa: ANN401
    """The leaderboard of your votes, and what besides the content may have moved them."""
    from arena.cli import boards  # noqa: PLC0415

    asked = boards.BoardOptions(**options)
    with opened(db, config, reads=True) as arena:
        found = boards.boards_of(arena, asked)
    if html is not None:
        from arena.cli.files import write_text  # noqa: PLC0415
        from arena.cli.html import board_html  # noqa: PLC0415

        write_text(html, board_html(found.board, *boards.board_grid(found.board), voter=asked.voter, tag=asked.tag))
    elif form == "json":
        print_json(found.as_json())
    elif form == "csv":
        click.echo(found.as_csv())
    elif form == "md":
        click.echo(found.as_text(markdown=True))
    else:
        click.echo(found.as_text(width=shutil.get_terminal_size().columns if sys.stdout.isatty() else None))


@main_group.command()
@click.option("--repeats", type=click.IntRange(1), default=100, help="How many truths are drawn from your board.")
@click.option("--votes", type=click.IntRange(10), default=200, help="Votes of each replay.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Another seed draws other truths.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@places
def simulate(repeats: int, votes: int, seed: int, as_json: bool, db: Path | None, config: Path | None) -> None:  # noqa: FBT001
    """Replay the rule that picks pairs against random pairs, on your own board."""
    from arena.cli import simulation as told  # noqa: PLC0415
    from arena.core.simulation import SimulationPlan  # noqa: PLC0415

    plan = SimulationPlan(repeats, votes, seed)
    with (
        opened(db, config, reads=True) as arena,
        click.progressbar(length=repeats, label="Replaying", file=sys.stderr) as progress,
    ):
        found, names = arena.scores.simulate(plan, lambda _: progress.update(1))
    if as_json:
        print_json(told.as_json(found, names))
    else:
        click.echo(told.as_text(found))
