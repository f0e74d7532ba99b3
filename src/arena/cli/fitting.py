"""What `arena fit` prints: what fits now, how that is known, and what would make the rest fit."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any
from unicodedata import east_asian_width

from arena.cli.reports import table
from arena.core.errors import ArenaError, UsageError
from arena.core.fit import Lever, Terms, Together, TogetherVerdict
from arena.core.machine import GIB, Fits, FitVerdict, Machine, human_bytes
from arena.core.models import ModelInfo
from arena.core.text import clean_line, clean_name

if TYPE_CHECKING:
    from arena.wiring import Arena

_WIDTH = 80
_LEAST_NAME = 12
_LEVERS = 4
_ORDER = (Fits.FITS, Fits.TIGHT, Fits.PARTIAL, Fits.CPU, Fits.NO, Fits.UNKNOWN)
_TOGETHER = {
    TogetherVerdict.FITS: "all of them fit at once",
    TogetherVerdict.SWAPS: "they fit at once, but Ollama would swap them",
    TogetherVerdict.CONTEXT: "at once only with a shorter context",
    TogetherVerdict.NO: "they don't fit at once",
    TogetherVerdict.UNKNOWN: "unknown",
}


@dataclass(frozen=True, slots=True)
class FitOptions:
    """The options of `arena fit`."""

    ctx: int | None = None
    kv: str = "f16"
    slots: int = 1
    gpu: str | None = None
    together: bool = False
    largest: bool = False
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class FitReport:
    """What `arena fit` found."""

    machine: Machine
    fits: tuple[FitVerdict, ...]
    levers: tuple[tuple[Lever, ...], ...]
    """For each of `fits`: what would make it fit; empty unless models were named."""
    infos: tuple[ModelInfo, ...]
    """For each of `fits`: the model."""
    together: dict[str, Any] | None

    def as_json(self) -> dict[str, Any]:
        """CLI.md's JSON."""
        gpus = [
            {
                "name": gpu.name,
                "total_bytes": gpu.total_bytes,
                "free_bytes": gpu.free_bytes,
                "reserved_bytes": gpu.reserved_bytes,
            }
            for gpu in self.machine.gpus
        ]
        models = [
            {
                **asdict(fit),
                "verdict": fit.verdict.value,
                "quantization": info.quantization,
                "note": _note(info),
                "levers": [asdict(lever) for lever in levers],
            }
            for fit, levers, info in zip(self.fits, self.levers, self.infos, strict=True)
        ]
        return {
            "machine": {"gpus": gpus, "ram_free_bytes": self.machine.ram_free_bytes},
            "models": models,
            "together": self.together,
        }

    def as_text(self) -> str:
        """Tables for a person, in 80 columns: what fits first, and of that the largest."""
        gpus = [
            f"GPU {gpu.index}  {clean_name(gpu.name, 40)}  {_free_of(gpu.free_bytes, gpu.total_bytes)}"
            for gpu in self.machine.gpus
        ]
        lines = gpus or ["No GPU: models are held against RAM."]
        lines.append(f"RAM  {_free_of(self.machine.ram_free_bytes, self.machine.ram_total_bytes)}")
        lines += [line for note in self.machine.notes for line in _wrapped(note)]
        together = ["", *_together_lines(self.together)] if self.together is not None else []
        return "\n".join([*lines, *self._table(), *self._below(), *together])

    def _sorted(self) -> list[tuple[FitVerdict, tuple[Lever, ...], ModelInfo]]:
        rows = zip(self.fits, self.levers, self.infos, strict=True)
        return sorted(rows, key=lambda row: (_ORDER.index(row[0].verdict), -(row[0].need_bytes or 0)))

    def _table(self) -> list[str]:
        """What all rows have in common stands above them; the names get what the other columns leave of the width."""
        if not self.fits:
            return ["", "No models."]
        ordered = self._sorted()
        methods = {fit.method for fit in self.fits}
        common = len(methods) == 1 and "" not in methods
        head = ["quant", "fit", "needs, GiB", "on", "longest", *([] if common else ["by"])]
        rows = [[clean_name(info.quantization, 10) or "-", *_figures(fit)][: len(head)] for fit, _, info in ordered]
        room = _WIDTH - 2 - max(map(_cells, table(head, rows).splitlines()))
        names = [_shown(fit.model, max(_LEAST_NAME, room)) for fit, *_ in ordered]
        told = [f"How that is known: {next(iter(methods))}."] if common else []
        return [*told, "", table(("model", *head), [(name, *row) for name, row in zip(names, rows, strict=True)])]

    def _below(self) -> Iterator[str]:
        """What is to be said of single models: what their figures leave out, and what would make them fit."""
        said = [(fit.model, _note(info)) for fit, _, info in self._sorted()]
        notes = dict.fromkeys(f"{clean_name(model, 40)}: {note}" for model, note in said if note)
        yield from ["", *(line for note in notes for line in _wrapped(note))] if notes else []
        for fit, levers, _ in self._sorted():
            if levers:
                yield from ("", *_lever_lines(clean_name(fit.model, 40), levers))


def fit_report(arena: Arena, names: Sequence[str], options: FitOptions) -> FitReport:
    """Judge the named models, to the byte where llama.cpp can plan them, or all that are here by their headers.

    A name that is nowhere here may be one of the catalogue. Raises ArenaError, UsageError.
    """
    reading = arena.watch.machine()
    here = arena.lineup.models().result() if not names else []
    infos = [_named(arena, name) for name in names] or [info for info in here if info.local]
    machine = reading.result()
    if options.gpu:
        machine = replace(machine, gpus=arena.watch.what_if(options.gpu), notes=("What if: not this machine's GPUs.",))
    if names:
        arena.watch.sharpen(infos).result()
    asked: Terms = {"context": options.ctx, "kv_type": options.kv, "slots": options.slots}
    fits = arena.watch.fits(infos, machine, **asked).result()
    levers = arena.watch.levers(infos, machine, **asked).result() if names else [()] * len(fits)
    together = None
    if options.together:
        found = arena.watch.together(infos, machine, **asked).result()
        together = _together_json(infos, found)
    rows = list(zip(fits, levers, infos, strict=True))
    if options.largest:
        good = [row for row in rows if row[0].verdict in (Fits.FITS, Fits.TIGHT, Fits.CPU)]
        rows = sorted(good, key=lambda row: row[0].parts.weights)[-1:]
    return FitReport(
        machine,
        tuple(fit for fit, *_ in rows),
        tuple(tuple(found) for _, found, _ in rows),
        tuple(info for *_, info in rows),
        together,
    )


def _named(arena: Arena, name: str) -> ModelInfo:
    """The model of that name, here or in the catalogue. Raises ArenaError as the line-up does."""
    try:
        return arena.lineup.find(name).result()
    except UsageError as fault:
        known = arena.watch.catalogued(name)
        if known is None:
            raise UsageError(fault.sentence, f"{fault.hint} Well-known names work too, such as llama3.1:8b.") from None
        return known
    except ArenaError:
        endpoint, _, rest = name.partition("/")
        known = arena.watch.catalogued(rest if endpoint in arena.lineup.backends else name)
        if known is None:
            raise
        return known


def _free_of(free: int | None, total: int | None) -> str:
    return f"{human_bytes(free)} free of {human_bytes(total)}"


def _note(info: ModelInfo) -> str:
    """What is to be said of a model that is not here; of others `arena models` tells what is wrong."""
    return info.note if info.ref.endpoint == "catalogue" else ""


def _figures(fit: FitVerdict) -> list[str]:
    longest = f"{fit.max_context:,}" if fit.max_context else "-"
    return [fit.verdict.value, _need(fit.need_bytes, fit.sigma_bytes), fit.device or "-", longest, fit.method or "-"]


def _shown(name: str, room: int) -> str:
    """A name in so many columns of a terminal, where Korean letters take two."""
    return next((shown for limit in range(room, 1, -1) if _cells(shown := clean_name(name, limit)) <= room), "")


def _cells(text: str) -> int:
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)


def _need(need: int | None, sigma: int | None) -> str:
    """GiB: `7.36 ± 0.05`."""
    return "-" if need is None or sigma is None else f"{need / GIB:.2f} ± {sigma / GIB:.2f}"


def _lever_lines(name: str, levers: Sequence[Lever]) -> list[str]:
    """The first of them; they are sorted by what they cost."""
    some = any(lever.makes_it_fit for lever in levers)
    head = f"What would make {name} fit:" if some else f"Nothing makes {name} fit here; these help:"
    said = [
        f"{clean_line(lever.what)}: {human_bytes(lever.saves_bytes)}{', and it fits' if lever.makes_it_fit else ''}"
        for lever in levers[:_LEVERS]
    ]
    return [*_wrapped(head), *(line for each in said for line in _wrapped(each, "  "))]


def _together_lines(found: dict[str, Any]) -> list[str]:
    lines = [f"Together: {_TOGETHER[TogetherVerdict(found['verdict'])]}."]
    if found["max_context"] and not found["fix"]:
        lines.append(f"  The longest context for all of them: {found['max_context']:,} tokens.")
    places = zip(found["models"], found["placements"], strict=False)  # no places where they don't fit
    lines += [f"  {_shown(model, 60)}: {place}" for model, place in places]
    return [*lines, *_wrapped(found["fix"], "  ")]


def _wrapped(text: str, pad: str = "") -> list[str]:
    return textwrap.wrap(clean_line(text), _WIDTH, initial_indent=pad, subsequent_indent=f"{pad}  ")


def _together_json(infos: Sequence[ModelInfo], found: Together) -> dict[str, Any]:
    models = [str(info) for info in infos]
    return {
        "models": models,
        "verdict": found.verdict.value,
        "max_context": found.max_context,
        "placement": dict(zip(models, found.placement, strict=False)),
        "placements": list(found.placement),
        "fix": found.fix,
    }
