"""Models on the command line: what can be reached, what is down, fetching one, joining two."""

from __future__ import annotations

import queue
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import click

from arena.cli.reports import table
from arena.core.endpoints import PullProgress, Reached
from arena.core.errors import ArenaError, MissingModelError
from arena.core.machine import FitVerdict, human_bytes
from arena.core.models import ModelInfo
from arena.core.text import clean_line
from arena.wiring import Arena

_HEARTBEAT_S = 0.2


def listing(arena: Arena) -> tuple[list[ModelInfo], list[FitVerdict], list[Reached]]:
    """Every model that can be reached with its fit, and the endpoints as they were found."""
    reached = arena.lineup.reach().result()
    infos = [info for found in reached for info in found.infos]
    return infos, arena.watch.fits(infos).result(), reached


def as_json(info: ModelInfo, fit: FitVerdict) -> dict[str, Any]:
    """One model of `arena models --json`."""
    return {
        "model": str(info.ref),
        "endpoint": info.ref.endpoint,
        "digest": info.ref.digest,
        "family": info.family,
        "parameters": info.parameters,
        "quantization": info.quantization,
        "size_bytes": info.size_bytes,
        "context": info.context,
        "fit": fit.verdict.value,
        "local": info.local,
        "resident_bytes": info.resident_bytes,
        "settings": sorted(info.adjustable),
        "note": info.note,
    }


def as_table(infos: Sequence[ModelInfo], fits: Sequence[FitVerdict]) -> str:
    """The table of `arena models`."""
    rows = [
        (
            str(info.ref),
            info.family or "-",
            f"{info.parameters:,}" if info.parameters else "-",
            info.quantization or "-",
            human_bytes(info.size_bytes),
            str(info.context or "-"),
            fit.verdict.value if info.local else "elsewhere",
            "loaded" if info.resident_bytes else info.note,
        )
        for info, fit in zip(infos, fits, strict=True)
    ]
    return table(("model", "family", "parameters", "quant", "size", "context", "fit", ""), rows)


def contestants(arena: Arena, names: Sequence[str]) -> list[ModelInfo]:
    """The named models. One that is missing and could be fetched is offered, where somebody can answer.

    Raises ArenaError.
    """
    return [_find(arena, name) for name in names]


def _find(arena: Arena, name: str) -> ModelInfo:
    try:
        return arena.lineup.find(name).result()
    except MissingModelError as fault:
        asked = fault.pullable and sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
        if not asked or not click.confirm(f"{fault.sentence} Fetch it now?", err=True):
            raise
        pull(arena, fault.pullable)
        return arena.lineup.find(name).result()


def pull(arena: Arena, name: str) -> ModelInfo:
    """Fetch a model, with a progress bar on stderr. Ctrl+C stops it; the next pull goes on from there.

    Raises ArenaError.
    """
    steps: queue.SimpleQueue[PullProgress] = queue.SimpleQueue()
    fetching = arena.lineup.pull(name, steps.put)
    try:
        _show(fetching, steps)
    except KeyboardInterrupt:
        fetching.cancel()
        raise ArenaError("Stopped.", f"`arena pull {clean_line(name)}` goes on where it was.") from None
    return fetching.result()


def _show(fetching: Future[ModelInfo], steps: queue.SimpleQueue[PullProgress]) -> None:
    """A bar that grows with what is known of the size. Returns when the fetching is over."""
    live, told = sys.stderr.isatty(), ""
    with click.progressbar(length=1, file=sys.stderr, item_show_func=_of, hidden=not live) as bar:
        while not (fetching.done() and steps.empty()):
            try:
                step = steps.get(timeout=_HEARTBEAT_S)
            except queue.Empty:
                continue
            bar.length = max(1, step.total_bytes)
            bar.pos, bar.current_item = min(step.completed_bytes, bar.length), step
            bar.finished = False  # one part is complete, and the next is of unknown size until it begins
            bar.render_progress()
            if not live and step.status != told:
                click.echo(_of(step), err=True)
                told = step.status


def _of(step: PullProgress | None) -> str:
    if step is None:
        return ""
    size = f"{human_bytes(step.completed_bytes)} of {human_bytes(step.total_bytes)}  " if step.total_bytes else ""
    return f"{size}{clean_line(step.status, 40)}"


def merge(arena: Arena, pair: tuple[str, str] | None, alone: str | None, echo: Callable[[str], None]) -> None:
    """Join two contestants on the leaderboard, or part one again; then list what is joined. Raises ArenaError."""
    if pair is not None:
        arena.merge(*pair).result()
    if alone is not None:
        arena.unmerge(alone).result()
    joined = arena.merges().result()
    echo("\n".join(f"{member}  counts as  {leader}" for member, leader in joined) or "Nothing is joined.")
