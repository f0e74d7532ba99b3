"""Rounds and votes without a screen: the same play, with a printing sink."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from arena.cli.models import contestants
from arena.cli.queues import Show, play_queue, resume
from arena.cli.rounds import as_json, as_text
from arena.core.errors import ArenaError, UsageError
from arena.core.models import ModelInfo
from arena.core.ports import RoundRecord
from arena.core.prompts import Pack, Prompt
from arena.core.rounds import LABELS, Pace, Played, RoundState, Schedule, SealedRound
from arena.core.text import clean_line, storable
from arena.core.votes import Strength, Verdict
from arena.series import Order
from arena.wiring import Arena

Print = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of `arena run` that say what is played."""

    pack: str | None = None
    set_: tuple[str, ...] = ()
    """NAME=VALUE of the variables of the pack."""
    file: Path | None = None
    rounds: int | None = None
    schedule: str | None = None
    pace: str | None = None
    as_json: bool = False
    open_: bool = False
    again: bool = False
    private: bool = False


def run_rounds(
    arena: Arena,
    models: Sequence[str],
    prompt: str | None,
    options: RunOptions,
    print_json: Callable[[object], None],
    echo: Print,
    narrate: Print,
) -> None:
    """Play the rounds and print each when it is done. Raises ArenaError when one of them can't be voted on."""
    asked = _prompts(arena, prompt, options)
    if options.private:
        asked = [replace(each, stored=False) for each in asked]
    infos = _contestants(arena, models)
    if twins := arena.table.twins(infos):
        narrate(twins)
    # Whoever reads the JSON sees the metrics before the vote, so the round is stored as speed_visible.
    pace = Pace.LIVE if options.as_json else Pace(options.pace or Pace.WHOLE)
    order = Order(
        prompts=tuple(asked),
        infos=tuple(infos),
        rounds=options.rounds or len(asked),
        seats=len(models) if 2 <= len(models) <= len(LABELS) else arena.settings.seats,
        title=f"pack {options.pack}" if options.pack else asked[0].text[:60],
        pace=pace,
        schedule=Schedule(options.schedule) if options.schedule else None,
        blind=not options.open_,
        again=options.again or not options.pack,
    )

    show = _printer(options, print_json, echo)
    if order.rounds == 1:
        void = _play_one(arena, order, show)
    else:
        queue = arena.series.plan(order).result()
        if queue.rounds < order.rounds:
            narrate(f"Only {queue.rounds} of {order.rounds} rounds put a prompt to models that have not had it yet.")
        void = play_queue(arena, queue, show, narrate)
    _say_how_to_go_on(narrate, void, order.rounds, blind=order.blind)


def resume_queues(
    arena: Arena, options: RunOptions, print_json: Callable[[object], None], echo: Print, narrate: Print
) -> None:
    """Go on with every queue that has rounds left. Raises ArenaError."""
    _say_how_to_go_on(narrate, *resume(arena, _printer(options, print_json, echo), narrate), blind=True)


def _printer(options: RunOptions, print_json: Callable[[object], None], echo: Print) -> Show:
    """What prints a round when it is over."""

    def show(found: RoundRecord | SealedRound, played: Played | None) -> None:
        # Of a queue that was made for reading answers the figures stay sealed, whoever goes on with it.
        seen = played is not None and (not isinstance(found, SealedRound) or found.view.pace is Pace.LIVE)
        if options.as_json:
            print_json(as_json(found, played.answers if played and seen else ()))
        else:
            echo(as_text(found))

    return show


def _say_how_to_go_on(narrate: Print, void: int, rounds: int, *, blind: bool) -> None:
    """Raises ArenaError where rounds can't be voted on."""
    if blind and void < rounds:
        narrate("Judge with `arena vote`, or `arena vote --verdict ROUND a`.")
    if void:
        raise ArenaError(f"{void} of {rounds} rounds can't be voted on: a seat failed.", "`arena doctor` may help.")


def _play_one(arena: Arena, order: Order, show: Show) -> int:
    """One round, not queued. Returns 1 when it can't be voted on."""
    chosen, propensity = arena.table.choose(order.infos, order.seats).result()
    view = arena.table.deal(
        order.prompts[0], chosen, pace=order.pace, schedule=order.schedule, blind=order.blind, propensity=propensity
    ).result()
    played = arena.table.play(view.id, lambda _: None).result()
    void = played.state is RoundState.VOID
    # A void round has nothing to seal, and the user wants to know what went wrong.
    show(arena.reveal(view.id).result() if void else arena.look(view.id).result(), played)
    return int(void)


def cast(arena: Arena, round_id: str, verdict: str, note: str = "", *, clearly: bool = False) -> RoundRecord:
    """Vote and open the envelope. Raises ArenaError, UsageError."""
    found = arena.look(round_id).result()
    key = found.view.id if isinstance(found, SealedRound) else found.round.id
    seats = [answer.seat for answer in found.answers if answer.there]
    strength = Strength.CLEARLY if clearly else None
    return arena.cast(key, Verdict.parse(verdict, seats), note=note, strength=strength).result()


def _prompts(arena: Arena, prompt: str | None, options: RunOptions) -> list[Prompt]:
    given = [name for name, value in (("PROMPT", prompt), ("--pack", options.pack), ("--file", options.file)) if value]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other.", "Give one of them.")
    if options.set_ and not options.pack:
        raise UsageError("--set fills in the variables of a pack.", "Name one: --pack NAME.")
    if options.pack:
        return _filled(arena.pack(options.pack), options.set_)
    if options.file:
        return [Prompt(_read(options.file))]
    if prompt == "-":
        return [Prompt(storable(sys.stdin.read() if sys.stdin else ""))]
    if prompt:
        return [Prompt(storable(prompt))]
    raise UsageError("There is no prompt.", "Write it in quotes, or use --pack NAME, --file F, or - for stdin.")


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


def _filled(pack: Pack, told: Sequence[str]) -> list[Prompt]:
    """The prompts of a pack with their variables filled in. Raises UsageError unless these are all and no others."""
    pairs = [pair.partition("=") for pair in told]
    values = {name.strip(): value for name, _, value in pairs}
    wanted = dict.fromkeys(name for prompt in pack.prompts for name in prompt.variables)
    unknown = [name for name, equals, _ in pairs if not equals or name.strip() not in wanted]
    if unknown:
        known = f"It has: {', '.join(wanted)}." if wanted else "It has none."
        raise UsageError(f"The pack {pack.name} has no variable '{clean_line(unknown[0], 80)}'.", known)
    if missing := [name for name in wanted if name not in values]:
        hint = " ".join(f"--set {name}=VALUE" for name in missing)
        raise UsageError(f"The pack {pack.name} has variables: {', '.join(missing)}.", f"Fill them in: {hint}")
    return [prompt.filled(values) for prompt in pack.prompts]
