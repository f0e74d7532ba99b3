"""Queues on the command line: play one with a bar and an estimate, go on with one, list them, call one off."""

from __future__ import annotations

import queue as queues
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING

import click

from arena.cli.reports import table
from arena.core.errors import ArenaError
from arena.core.ports import RoundRecord
from arena.core.rounds import Played, SealedRound
from arena.core.text import clean_line, counted, span
from arena.series import Step
from arena.wiring import Arena

if TYPE_CHECKING:
    from arena.store.dealing import QueueState

Show = Callable[[RoundRecord | SealedRound, Played | None], None]
_HEARTBEAT_S = 0.2


def play_queue(arena: Arena, queue: QueueState, show: Show, narrate: Callable[[str], None]) -> int:
    """Play what is left of a queue, with a bar on a terminal. Returns how many rounds can't be voted on.

    What is printed of each round goes where somebody reads it later; a person who watches the bar reads the answers
    when they are judged. Ctrl+C stops; the queue waits. Raises ArenaError.
    """
    steps: queues.SimpleQueue[Step] = queues.SimpleQueue()
    playing = arena.series.play(queue.id, steps.put)
    try:
        if sys.stderr.isatty() and sys.stdout.isatty():
            _with_bar(playing, steps, queue.left)
        else:
            for step in _steps(playing, steps):
                narrate(", ".join(filter(None, (f"Round {step.done} of {queue.left}", _time_left(step)))))
                show(step.found, step.played)
    except KeyboardInterrupt:
        playing.cancel()
        raise ArenaError("Stopped.", "`arena run --resume` goes on; what was played waits for `arena vote`.") from None
    return playing.result()


def resume(arena: Arena, show: Show, narrate: Callable[[str], None]) -> tuple[int, int]:
    """Play what is left of every queue. Returns how many rounds can't be voted on, and how many there were."""
    left = [state for state in arena.series.states().result() if state.left]
    if not left:
        raise ArenaError("No queue has rounds left to play.", "`arena run --pack NAME --rounds N` makes one.")
    void = 0
    for state in left:
        narrate(f"Queue {state.id}, {clean_line(state.title, 60)}: {counted(state.left, 'round')} left.")
        void += play_queue(arena, state, show, narrate)
    return void, sum(state.left for state in left)


def listing(arena: Arena) -> str:
    """The queues as a table. What is played and what waits for a vote tells nothing of who played."""
    states = arena.series.states().result()
    if not states:
        return "No queues yet: `arena run --pack NAME --rounds N` makes one."
    rows = [
        (
            str(state.id),
            state.created_at[:16].replace("T", " "),
            *(str(count) for count in (state.rounds, state.left, state.ready, state.void)),
            f"{clean_line(state.title, 60)}{' (called off)' if state.ended else ''}",
        )
        for state in states
    ]
    return table(("queue", "made", "rounds", "to play", "to judge", "void", ""), rows)


def as_json(arena: Arena) -> list[dict[str, object]]:
    """The same for programs."""
    return [
        {
            "queue": state.id,
            "title": state.title,
            "created_at": state.created_at,
            "ended": state.ended,
            "rounds": state.rounds,
            "to_play": state.left,
            "to_judge": state.ready,
            "void": state.void,
        }
        for state in arena.series.states().result()
    ]


def _with_bar(playing: Future[int], steps: queues.SimpleQueue[Step], total: int) -> None:
    with click.progressbar(
        length=total, file=sys.stderr, label="Rounds", show_eta=False, show_pos=True, item_show_func=_time_left
    ) as bar:
        for step in _steps(playing, steps):
            bar.update(1, step)


def _steps(playing: Future[int], steps: queues.SimpleQueue[Step]) -> Iterator[Step]:
    """What is told of a queue, until it is over."""
    while not (playing.done() and steps.empty()):
        try:
            yield steps.get(timeout=_HEARTBEAT_S)
        except queues.Empty:
            continue


def _time_left(step: Step | None) -> str:
    if step is None or not step.left or step.left_s is None:
        return ""
    return f"about {span(max(1.0, step.left_s))} left"
