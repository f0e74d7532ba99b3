"""Rounds and votes without a screen: the same play, with a printing sink."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from arena.cli.models import contestants
from arena.cli.rounds import as_json, as_text
from arena.core.errors import ArenaError, UsageError
from arena.core.models import ModelInfo
from arena.core.ports import RoundRecord
from arena.core.prompts import Prompt
from arena.core.rounds import LABELS, Pace, RoundState, RoundView, Schedule, SealedRound
from arena.core.text import storable
from arena.core.votes import Verdict
from arena.wiring import Arena


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of `arena run`."""

    pack: str | None = None
    file: Path | None = None
    rounds: int | None = None
    schedule: str | None = None
    as_json: bool = False
    open_: bool = False


def run_rounds(
    arena: Arena,
    models: Sequence[str],
    prompt: str | None,
    options: RunOptions,
    print_json: Callable[[object], None],
    echo: Callable[[str], None],
    narrate: Callable[[str], None],
) -> None:
    """Play the rounds and print each when it is done. Raises ArenaError when one of them can't be voted on."""
    asked = list(_prompts(arena, prompt, options))
    infos = _contestants(arena, models)
    if twins := arena.twins(infos):
        narrate(twins)
    seats = len(models) if 2 <= len(models) <= len(LABELS) else arena.settings.seats
    schedule = Schedule(options.schedule) if options.schedule else None
    # Whoever reads the JSON sees the metrics before the vote, so the round is stored as speed_visible.
    pace = Pace.LIVE if options.as_json else Pace.WHOLE
    void = 0
    for number, question in enumerate(asked, 1):
        if len(asked) > 1:
            narrate(f"Round {number} of {len(asked)}")
        chosen, propensity = arena.choose(infos, seats).result()
        view = arena.deal(
            question, chosen, pace=pace, schedule=schedule, blind=not options.open_, propensity=propensity
        ).result()
        played = arena.play(view.id, lambda _: None).result()
        # A void round has nothing to seal, and the user wants to know what went wrong.
        void_now = played.state is RoundState.VOID
        found = arena.reveal(view.id).result() if void_now else arena.look(view.id).result()
        void += void_now
        if options.as_json:
            print_json(as_json(found, played.answers))
        else:
            echo(as_text(found))
    if not options.open_ and void < len(asked):
        narrate("Judge with `arena vote`, or `arena vote --verdict ROUND a`.")
    if void:
        raise ArenaError(f"{void} of {len(asked)} rounds can't be voted on: a seat failed.", "`arena doctor` may help.")


def cast(arena: Arena, round_id: str, verdict: str) -> RoundRecord:
    """Vote and open the envelope. Raises ArenaError, UsageError."""
    found = arena.look(round_id).result()
    view = found.view if isinstance(found, SealedRound) else RoundView.of(found.round)
    return arena.cast(view.id, Verdict.parse(verdict, len(view.labels))).result()


def _prompts(arena: Arena, prompt: str | None, options: RunOptions) -> Iterator[Prompt]:
    given = [name for name, value in (("PROMPT", prompt), ("--pack", options.pack), ("--file", options.file)) if value]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other.", "Give one of them.")
    if options.pack:
        pool = list(arena.pack(options.pack).prompts)
    elif options.file:
        pool = [Prompt(_read(options.file))]
    elif prompt == "-":
        pool = [Prompt(storable(sys.stdin.read() if sys.stdin else ""))]
    elif prompt:
        pool = [Prompt(storable(prompt))]
    else:
        raise UsageError("There is no prompt.", "Write it in quotes, or use --pack NAME, --file F, or - for stdin.")
    return islice(cycle(pool), options.rounds or len(pool))


def _read(path: Path) -> str:
    try:
        return path.expanduser().read_text("utf-8-sig")
    except OSError as fault:
        raise UsageError(f"{path} can't be read: {fault.strerror}.", "Name another file.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text.", "Save it as UTF-8.") from None


def _contestants(arena: Arena, models: Sequence[str]) -> list[ModelInfo]:
    if len(models) == 1:
        raise UsageError("One model is no contest.", "Name another with -m.")
    if models:
        return contestants(arena, models)
    return arena.lineup.opening(()).result()
