"""Looks whether everything arena needs is here and works, and says what to do where it is not."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from arena import __version__
from arena.config import config_folder
from arena.core.errors import ArenaError
from arena.core.machine import human_bytes
from arena.core.models import ModelInfo
from arena.core.prompts import Prompt
from arena.core.text import clean_line, counted
from arena.wiring import Arena

_LEAST_FREE = 100_000_000
"""Bytes below which a disk is as good as full."""
_NO_GPU = "no GPU was found: models run on the CPU. If there is one, see whether `nvidia-smi` or `rocm-smi` finds it"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    good: bool
    text: str


def examine(arena: Arena) -> list[Finding]:
    """Look at everything; a fault of one check is a finding, and the others go on."""
    checks: tuple[Callable[[Arena], Iterator[Finding]], ...] = (
        *(_program, _terminal, _screens, _store, _disk, _packs, _machine, _models),
    )
    findings: list[Finding] = []
    for check in checks:
        try:
            findings += check(arena)
        except ArenaError as fault:
            findings.append(Finding(good=False, text=clean_line(str(fault), 300)))
    return findings


def _program(_: Arena) -> Iterator[Finding]:
    yield Finding(good=True, text=f"arena {__version__}, Python {platform.python_version()}, {platform.system()}")


def _terminal(_: Arena) -> Iterator[Finding]:
    term = os.environ.get("TERM", "")
    encoding = (sys.__stderr__.encoding if sys.__stderr__ else "") or "none"
    from arena.tui.terminal import counts_otherwise  # noqa: PLC0415 - Textual, which no other check needs
    from arena.tui.wire.check import why_stock  # noqa: PLC0415

    about = ", in a multiplexer: emoji are drawn plainly" if counts_otherwise() else ""
    yield Finding(good=True, text=f"terminal {term or 'none'}, {encoding}{about}")
    if term == "dumb":
        yield Finding(good=False, text="TERM=dumb can't draw a screen. Use another terminal, or `arena run`.")
    if stock := why_stock():
        yield Finding(good=sys.platform == "win32", text=stock)
    if encoding.lower().replace("-", "") != "utf8":
        yield Finding(good=False, text="The terminal does not write UTF-8. Start with PYTHONIOENCODING=utf-8 arena.")


def _screens(arena: Arena) -> Iterator[Finding]:
    from arena.tui import keys, terminal, theme  # noqa: PLC0415 - Textual

    settings = arena.settings
    keys.take(settings.keys)  # what is off with them is a finding of its own
    names = [known.name for known in theme.THEMES]
    plain = terminal.draws_ascii_only() if settings.ascii is None else settings.ascii
    chosen = settings.theme if settings.theme != "auto" else names[-1 if terminal.has_few_colors() else 0]
    yield Finding(
        good=True, text=f"theme {clean_line(chosen, 40)}, {'ASCII' if plain else 'Unicode'} borders and signs"
    )
    if not theme.exists(chosen):
        told = f"There is no theme '{clean_line(chosen, 40)}'. arena's own: {', '.join(names)}."
        yield Finding(good=False, text=told)
    for told in keys.warnings():
        yield Finding(good=True, text=told)
    if settings.note:
        yield Finding(good=True, text=clean_line(settings.note, 300))


def _disk(arena: Arena) -> Iterator[Finding]:
    free = shutil.disk_usage(arena.settings.db.parent).free
    if free < _LEAST_FREE:
        told = f"Only {human_bytes(free)} are free where the database is. Make room: votes could not be stored."
        yield Finding(good=False, text=told)


def _store(arena: Arena) -> Iterator[Finding]:
    yield Finding(good=True, text=f"config folder {config_folder()}")
    votes = counted(arena.board().result().votes, "vote")
    waiting = counted(len(arena.waiting().result()), "round")
    yield Finding(good=True, text=f"database {arena.settings.db}: {votes}, {waiting} waiting")
    if damage := arena.damage().result():
        told = f"The database is damaged ({clean_line(damage, 120)}). `arena doctor --repair` saves what is readable."
        yield Finding(good=False, text=told)


def _packs(arena: Arena) -> Iterator[Finding]:
    shelf = arena.prompts()
    count = sum(len(pack.prompts) for pack in shelf.packs)
    yield Finding(good=True, text=f"{count} prompts in {len(shelf.packs)} packs")
    for fault in shelf.faults:
        yield Finding(good=False, text=clean_line(str(fault), 300))


def _machine(arena: Arena) -> Iterator[Finding]:
    machine = arena.watch.machine().result()
    for gpu in machine.gpus:
        yield Finding(good=True, text=f"GPU {gpu.index} {clean_line(gpu.name)}: {human_bytes(gpu.free_bytes)} free")
    if not machine.gpus:
        yield Finding(good=True, text=_NO_GPU)
    yield Finding(good=True, text=f"RAM: {human_bytes(machine.ram_free_bytes)} free")
    for note in machine.notes:
        yield Finding(good=True, text=clean_line(note))


def _models(arena: Arena) -> Iterator[Finding]:
    reached = arena.lineup.reach().result()
    for found in reached:
        if found.at is not None and found.fault is None:
            yield Finding(good=True, text=f"{found.name} at {found.at.shown_url}: {counted(len(found.infos), 'model')}")
        elif found.at is not None and found.at.wanted:
            yield Finding(good=False, text=f"{found.name}: {clean_line(str(found.fault), 300)}")

    yield from _engine(arena, [info for found in reached for info in found.infos])


def _engine(arena: Arena, infos: Sequence[ModelInfo]) -> Iterator[Finding]:
    demo = [info for info in infos if info.ref.endpoint == "demo"]
    engine = arena.lineup.engine().result()
    yield Finding(good=True, text=f"llama.cpp: {clean_line(engine)}")
    for info in infos:
        if info.note and info.ref.endpoint in ("demo", "gguf"):
            yield Finding(good=False, text=f"{info.ref}: {clean_line(info.note)}")
    if demo and not demo[0].note:
        tried = arena.lineup.try_model(demo[0], Prompt("What is 1 + 1?")).result()
        text = f"embedded engine: {demo[0].ref} answers at {tried.decode_tps or 0:,.0f} tokens/s"
        silent = f"embedded engine: {demo[0].ref} says nothing. Install llama-cpp-python anew."
        yield Finding(good=tried.out_chars > 0, text=text if tried.out_chars else silent)
