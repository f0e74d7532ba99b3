"""The command line. stdout is data, stderr is narration; exit 0 done, 1 it failed, 2 the arguments are off."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from arena import __version__
from arena.core.errors import ArenaError, UsageError
from arena.core.text import clean, clean_line, counted, json_line

if TYPE_CHECKING:
    from arena.wiring import Arena

F = TypeVar("F", bound=Callable[..., Any])
_PLACES = (
    click.option("--db", type=click.Path(path_type=Path), help="The SQLite file with rounds and votes.  [ARENA_DB]"),
    click.option("--config", type=click.Path(path_type=Path), help="The config file.  [ARENA_CONFIG]"),
)


def places(command: F) -> F:
    """Give a command --db and --config; it gets them as `db` and `config`."""
    for option in reversed(_PLACES):
        command = option(command)
    return command


@contextmanager
def opened(db: Path | None, config: Path | None, *, reads: bool = False, screens: bool = False) -> Iterator[Arena]:
    """An Arena on these files, closed afterwards. What stands before the command counts where it says nothing.

    `reads`: the command only reads, so a database that was named has to be there: it would be made for a typing error.
    `screens`: it shows them, as they were set the last time.
    """
    from arena.config import load  # noqa: PLC0415 - `arena --help` is quick because nothing is imported before its use
    from arena.wiring import Arena  # noqa: PLC0415

    given = click.get_current_context().find_root().params
    settings = load(config or given.get("config"), db or given.get("db"), screens=screens)
    named = db or given.get("db") or os.environ.get("ARENA_DB")
    if reads and named and not settings.db.exists():
        raise ArenaError(f"There is no database {settings.db}.", "Play a round into it first, or name another file.")
    said = {name: given[name] for name in ("lang", "slow_link", "ascii") if given.get(name)}
    arena = Arena(replace(settings, **said))
    try:
        yield arena
    finally:
        arena.close()


def narrate(text: str) -> None:
    """A line for the person, on stderr."""
    click.echo(text, err=True)


def print_json(value: object) -> None:
    """One line of JSON on stdout."""
    click.echo(json_line(value))


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="arena")
@click.option("-m", "--model", "models", multiple=True, metavar="MODEL", help="A contestant; give two or more.")
@click.option("--slow-link", is_flag=True, help="For a slow line: fewer frames, no animation.  [ARENA_SLOW_LINK]")
@click.option("--ascii", is_flag=True, help="Draw borders and signs in ASCII.  [ARENA_ASCII]")
@click.option("--lang", type=click.Choice(["auto", "en", "ko"]), help="The language of the screens.  [ARENA_LANG]")
@places
@click.pass_context
def main_group(
    context: click.Context, /, models: tuple[str, ...], db: Path | None, config: Path | None, **_: object
) -> None:
    """Blind side-by-side comparison of local language models in the terminal.

    Without a command: the terminal UI. With nothing configured it plays with three embedded demo models.
    """
    if context.invoked_subcommand is None:
        with opened(db, config, screens=True) as arena:
            show_ui(arena, models)
    elif models:
        command = context.invoked_subcommand
        raise UsageError("-m before a command has no effect.", f"Write it behind: arena {command} -m MODEL ...")


def show_ui(arena: Arena, models: Sequence[str] = (), *, judge: bool = False) -> None:
    """Run the terminal UI. Raises ArenaError where it can't be drawn."""
    from arena.tui.terminal import check_terminal  # noqa: PLC0415

    check_terminal()
    if models:
        from arena.cli.models import contestants  # noqa: PLC0415

        contestants(arena, models)  # a name that is off is said here, not inside the screen
    gc.disable()  # nothing of what is imported now is ever thrown away; the app turns it on again
    from arena.tui.start import show  # noqa: PLC0415 - Textual, after the environment is set

    if code := show(arena, models, judge=judge):
        sys.exit(code)


@main_group.command()
@click.option("-m", "--model", "models", multiple=True, metavar="MODEL", help="A contestant; give two or more.")
@click.option("--pack", metavar="NAME", help="Take the prompts from this pack.")
@click.option("--file", "file", type=click.Path(path_type=Path), help="Take the prompt from this file.")
@click.option("--set", "set_", multiple=True, metavar="NAME=VALUE", help="With --pack: fills in {{NAME}}.")
@click.option("--rounds", type=click.IntRange(1), help="How many rounds; default: one, or one a prompt of the pack.")
@click.option("--again", is_flag=True, help="Also put prompts of the pack to models that had them already.")
@click.option("--schedule", type=click.Choice(["auto", "turn", "together"]), help="One after another, or side by side.")
@click.option("--pace", type=click.Choice(["even", "live", "whole"]), help="What a reader could see while it streams.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON a round, with all metrics.")
@click.option("--open", "open_", is_flag=True, help="Say who answered. Such rounds are unblinded and never rated.")
@click.option("--private", is_flag=True, help="Do not store what is asked and answered, only figures and the vote.")
@click.option("--resume", is_flag=True, help="Go on with the queues of which something is left.")
@click.option("--queues", is_flag=True, help="List the queues.")
@click.option("--drop", type=int, metavar="QUEUE", help="Call a queue off. What was played stays.")
@click.argument("prompt", required=False)
@places
def run(
    models: tuple[str, ...],
    prompt: str | None,
    resume: bool,  # noqa: FBT001
    queues: bool,  # noqa: FBT001
    drop: int | None,
    db: Path | None,
    config: Path | None,
    **options: Any,  # noqa: ANN401
) -> None:
    """Play rounds without a screen. Judge them later with `arena vote`. PROMPT may be - for stdin.

    Several rounds make a queue: it survives a crash or a reboot, and `arena run --resume` goes on with it.
    """
    from arena.cli import headless  # noqa: PLC0415
    from arena.cli import queues as shown  # noqa: PLC0415

    wanted = headless.RunOptions(**options)
    with opened(db, config) as arena:
        if drop is not None:
            narrate(f"{counted(arena.series.end(drop).result(), 'round')} called off.")
        elif queues and wanted.as_json:
            print_json(shown.as_json(arena))
        elif queues:
            click.echo(shown.listing(arena))
        elif resume:
            headless.resume_queues(arena, wanted, print_json, click.echo, narrate)
        else:
            headless.run_rounds(arena, models, prompt, wanted, print_json, click.echo, narrate)


@main_group.command()
@click.option(
    "--verdict", nargs=2, metavar="ROUND VERDICT", help="Vote without the screen: a, b, c, tie, bad, skip, or b>a=c."
)
@click.option("--clearly", is_flag=True, help="With --verdict: the best is clearly better.")
@click.option("--note", default="", metavar="TEXT", help="With --verdict: a note on the vote.")
@click.option("--json", "as_json", is_flag=True, help="The revealed round as JSON.")
@places
def vote(
    verdict: tuple[str, str] | None,
    clearly: bool,  # noqa: FBT001
    note: str,
    as_json: bool,  # noqa: FBT001
    db: Path | None,
    config: Path | None,
) -> None:
    """Judge waiting rounds, blind, in a random order. A queue that is not played yet goes on meanwhile."""
    from arena.cli import rounds  # noqa: PLC0415

    with opened(db, config, screens=verdict is None) as arena:
        if verdict is None:
            if not arena.waiting(1).result() and not any(queue.left for queue in arena.series.states().result()):
                raise ArenaError("No round waits for a vote.", "Play some with `arena run`.")
            show_ui(arena, judge=True)
            return
        from arena.cli.headless import cast  # noqa: PLC0415

        record = cast(arena, *verdict, note, clearly=clearly)
        if as_json:
            print_json(rounds.as_json(record))
            return
        for seat, name in zip(record.round.seats, record.round.names, strict=True):
            click.echo(f"{seat.label}\t{clean_line(name)}")
        narrate(f"Voted {record.vote.verdict if record.vote else ''} on {record.round.id}.")


@main_group.command()
@click.option("-m", "--model", "models", multiple=True, metavar="MODEL", help="What to measure; give one or more.")
@click.option("--repeats", type=click.IntRange(1), default=5, help="Runs of each model at each prompt length.")
@click.option("--prompt-tokens", default="64,512,2048", metavar="N,...", help="Prompt lengths in tokens.")
@click.option("--tokens", type=click.IntRange(2), default=128, help="Tokens of each answer.")
@click.option("--cooldown", type=click.FloatRange(0), default=1.0, metavar="S", help="Seconds of rest before each run.")
@click.option("--json", "form", flag_value="json", help="As JSON, with every run.")
@click.option("--md", "form", flag_value="md", help="As a Markdown table.")
@places
def bench(models: tuple[str, ...], form: str | None, db: Path | None, config: Path | None, **options: Any) -> None:  # noqa: ANN401
    """Speed alone: prefill and decode apart, in a balanced order, with quartiles. Nothing is stored or rated."""
    from arena.cli.bench import BenchOptions, run_bench  # noqa: PLC0415

    with opened(db, config) as arena:
        run_bench(arena, models, BenchOptions(**options, form=form or "text"), print_json, click.echo, narrate)


@main_group.command()
@click.argument("names", nargs=-1, metavar="[MODEL]...")
@click.option("--ctx", type=click.IntRange(1), help="Context in tokens.")
@click.option("--kv", default="f16", help="Type of the KV cache: f16, q8_0, q4_0, ...")
@click.option("--slots", type=click.IntRange(1), default=1, help="Parallel sequences.")
@click.option("--gpu", help="What if: the free memory of other GPUs, such as 8GB,24GB.")
@click.option("--together", is_flag=True, help="Whether all the named models fit at the same time.")
@click.option("--largest", is_flag=True, help="Only the largest model that fits.")
@click.option("--check", is_flag=True, help="What was predicted for past loads, and what was measured.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@places
def fit(names: tuple[str, ...], check: bool, db: Path | None, config: Path | None, **options: Any) -> None:  # noqa: ANN401, FBT001
    """What fits in the memory that is free now."""
    from arena.cli import fitting, loads  # noqa: PLC0415

    with opened(db, config) as arena:
        if check:
            past = loads.past_loads(arena, names)
            if options["as_json"]:
                print_json(loads.as_json(past))
            else:
                click.echo(loads.as_text(past))
            return
        found = fitting.fit_report(arena, names, fitting.FitOptions(**options))
    if options["as_json"]:
        print_json(found.as_json())
    else:
        click.echo(found.as_text())


@main_group.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--merge", nargs=2, metavar="A B", help="Let the votes on A count for B on the leaderboard.")
@click.option("--unmerge", metavar="A", help="Take that back.")
@click.option("--merges", is_flag=True, help="What was joined.")
@places
def models(
    as_json: bool,  # noqa: FBT001
    merge: tuple[str, str] | None,
    unmerge: str | None,
    merges: bool,  # noqa: FBT001
    db: Path | None,
    config: Path | None,
) -> None:
    """Every contestant that can be reached, and which ones count as one."""
    from arena.cli import models as shown  # noqa: PLC0415
    from arena.core.endpoints import down  # noqa: PLC0415

    with opened(db, config) as arena:
        if merge or unmerge or merges:
            shown.merge(arena, merge, unmerge, click.echo)
            return
        infos, fits, reached = shown.listing(arena)
    if as_json:
        print_json([shown.as_json(info, verdict) for info, verdict in zip(infos, fits, strict=True)])
    else:
        click.echo(shown.as_table(infos, fits))
    for line in down(reached):
        narrate(clean_line(line, 300))


@main_group.command()
@click.argument("model")
@places
def pull(model: str, db: Path | None, config: Path | None) -> None:
    """Fetch a model through Ollama. Ctrl+C stops; the next pull goes on from there."""
    from arena.cli import models as shown  # noqa: PLC0415

    with opened(db, config) as arena:
        info = shown.pull(arena, model)
    click.echo(str(info.ref))


@main_group.command()
@click.argument("name", required=False)
@places
def prompts(name: str | None, db: Path | None, config: Path | None) -> None:
    """The prompt packs; with NAME all prompts of one, with PACK/PROMPT the text of one: `arena run -` takes it."""
    from arena.cli import reports  # noqa: PLC0415

    with opened(db, config) as arena:
        if name is not None:
            click.echo(clean(arena.prompt(name).text) if "/" in name else reports.pack_text(arena.pack(name)))
            return
        shelf = arena.prompts()
    click.echo(reports.packs_text(shelf))
    for fault in shelf.faults:
        narrate(str(fault))


@main_group.command()
@click.option("--for", "tag", metavar="TAG", help="What for: general, coding, reasoning, quick, cpu, korean, ...")
@click.option("--gpu", help="What if: the memory of other GPUs, such as 24GB or 8GB,24GB.")
@click.option("--ctx", type=click.IntRange(1), help="Context in tokens that there has to be room for.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@places
def recommend(
    tag: str | None,
    gpu: str | None,
    ctx: int | None,
    as_json: bool,  # noqa: FBT001
    db: Path | None,
    config: Path | None,
) -> None:
    """Which model to use here: by your votes, by size, by the catalogue."""
    from arena.cli import advice  # noqa: PLC0415

    with opened(db, config) as arena:
        found = advice.recommendation(arena, tag, gpu, ctx)
    if as_json:
        print_json(advice.as_json(found))
    else:
        click.echo(advice.as_text(found))


@main_group.command()
@click.argument("metric", required=False)
@click.argument("model", required=False)
def explain(metric: str | None, model: str | None) -> None:
    """What a metric means: one definition each. `explain fit [MODEL]`: rules of thumb beside exact figures."""
    from arena.core.timing import DEFINITIONS  # noqa: PLC0415

    if metric == "fit":
        from arena.cli.advice import explain_fit  # noqa: PLC0415

        click.echo(explain_fit(model))
        return
    if metric is not None and metric not in DEFINITIONS:
        raise UsageError(f"There is no metric '{metric}'.", f"There are: {', '.join(DEFINITIONS)}, and fit.")
    if model is not None:
        raise UsageError(f"{metric} means the same for every model.", "`arena explain fit MODEL` takes one.")
    for name in [metric] if metric else DEFINITIONS:
        click.echo(f"{name}\n    {DEFINITIONS[name]}")
    if metric is None:
        click.echo("fit\n    Whether a model fits: `arena explain fit`, or `arena explain fit MODEL`.")


def _in_one_line(fault: click.ClickException) -> str:
    """What click says, as a sentence with its hint."""
    told = clean_line(fault.format_message(), 300).rstrip(".")
    context = getattr(fault, "ctx", None)
    path = context.command_path if context else "arena"
    return told if "Did you mean" in told else f"{told}. `{path} --help` says more."


def main() -> NoReturn:
    """Entry point of the program `arena`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        main_group.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as fault:
        narrate(f"arena: {_in_one_line(fault)}")
        sys.exit(fault.exit_code)
    except UsageError as fault:
        narrate(f"arena: {fault}")
        sys.exit(2)
    except ArenaError as fault:
        narrate(f"arena: {fault}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except OSError as fault:  # a full disk behind stdout
        narrate(f"arena: The output can't be written: {fault.strerror or type(fault).__name__}.")
        sys.exit(1)
    sys.exit(0)
