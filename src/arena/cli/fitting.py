"""What `arena fit` prints: what fits now, how that is known, and what would make the rest fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from arena.cli.reports import table
from arena.core.errors import ArenaError, UsageError
from arena.core.fit import Lever, Together, TogetherVerdict
from arena.core.machine import GIB, MIB, Fits, FitVerdict, Machine, human_bytes
from arena.core.models import ModelInfo
from arena.core.text import clean_line, clean_name

if TYPE_CHECKING:
    from arena.wiring import Arena

_HEAD = ("model", "fit", "needs", "free", "longest", "by")
_NAME = 30
_LEVERS = 4
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
            {**asdict(fit), "verdict": fit.verdict.value, "levers": [asdict(lever) for lever in levers]}
            for fit, levers in zip(self.fits, self.levers, strict=True)
        ]
        return {
            "machine": {"gpus": gpus, "ram_free_bytes": self.machine.ram_free_bytes},
            "models": models,
            "together": self.together,
        }

    def as_text(self) -> str:
        """Tables for a person, in 80 columns unless a name is long."""
        gpus = [
            f"GPU {gpu.index}  {clean_line(gpu.name)}  {_free_of(gpu.free_bytes, gpu.total_bytes)}"
            for gpu in self.machine.gpus
        ]
        lines = gpus or ["No GPU: models are held against RAM."]
        lines.append(f"RAM  {_free_of(self.machine.ram_free_bytes, self.machine.ram_total_bytes)}")
        lines += [*map(clean_line, self.machine.notes), ""]
        lines.append(table(_HEAD, [_row(fit) for fit in self.fits]) if self.fits else "No models.")
        for fit, levers in zip(self.fits, self.levers, strict=True):
            if levers:
                lines += ["", f"What would make {clean_name(fit.model, _NAME)} fit:", *_lever_lines(levers)]
        if self.together is not None:
            lines += ["", *_together_lines(self.together)]
        return "\n".join(lines)


def fit_report(arena: Arena, names: Sequence[str], options: FitOptions) -> FitReport:
    """Judge the named models, to the byte where llama.cpp can plan them, or all that are here by their headers.

    A name that is nowhere here may be one of the catalogue. Raises ArenaError, UsageError.
    """
    here = arena.lineup.models().result() if not names else []
    infos = [_named(arena, name) for name in names] or [info for info in here if info.local]
    machine = arena.watch.machine().result()
    if options.gpu:
        machine = replace(machine, gpus=arena.watch.what_if(options.gpu), notes=("What if: not this machine's GPUs.",))
    if names:
        arena.watch.sharpen(infos).result()
    asked = {"context": options.ctx, "kv_type": options.kv, "slots": options.slots}
    fits = arena.watch.fits(infos, machine, **asked).result()  # type: ignore[arg-type]
    levers = arena.watch.levers(infos, machine, **asked).result() if names else [()] * len(fits)  # type: ignore[arg-type]
    together = None
    if options.together:
        found = arena.watch.together(infos, machine, **asked).result()  # type: ignore[arg-type]
        together = _together_json(infos, found)
    pairs = list(zip(fits, levers, strict=True))
    if options.largest:
        good = [pair for pair in pairs if pair[0].verdict in (Fits.FITS, Fits.TIGHT, Fits.CPU)]
        pairs = sorted(good, key=lambda pair: pair[0].parts.weights)[-1:]
    return FitReport(machine, tuple(fit for fit, _ in pairs), tuple(tuple(found) for _, found in pairs), together)


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
        known = arena.watch.catalogued(name.partition("/")[2])
        if known is None:
            raise
        return known


def _free_of(free: int | None, total: int | None) -> str:
    return f"{human_bytes(free)} free of {human_bytes(total)}"


def _row(fit: FitVerdict) -> tuple[str, ...]:
    longest = f"{fit.max_context:,}" if fit.max_context else "-"
    return (
        clean_name(fit.model, _NAME),
        fit.verdict.value,
        _need(fit.need_bytes, fit.sigma_bytes),
        f"{human_bytes(fit.free_bytes)} {fit.device}".strip(),
        longest,
        fit.method or "-",
    )


def _need(need: int | None, sigma: int | None) -> str:
    """`7.36 ± 0.05 GiB`, in MiB below one GiB."""
    if need is None or sigma is None:
        return "-"
    if need >= GIB:
        return f"{need / GIB:.2f} ± {sigma / GIB:.2f} GiB"
    return f"{need / MIB:.0f} ± {sigma / MIB:.0f} MiB"


def _lever_lines(levers: Sequence[Lever]) -> list[str]:
    """The first of them; they are sorted by what they cost."""
    return [
        f"  {clean_line(lever.what)}: {human_bytes(lever.saves_bytes)}{', and it fits' if lever.makes_it_fit else ''}"
        for lever in levers[:_LEVERS]
    ]


def _together_lines(found: dict[str, Any]) -> list[str]:
    lines = [f"Together: {_TOGETHER[TogetherVerdict(found['verdict'])]}."]
    if found["max_context"] and not found["fix"]:
        lines.append(f"  The longest context for all of them: {found['max_context']:,} tokens.")
    lines += [f"  {clean_name(model, 50)}: {place}" for model, place in found["placement"].items()]
    return [*lines, *([f"  {found['fix']}"] if found["fix"] else [])]


def _together_json(infos: Sequence[ModelInfo], found: Together) -> dict[str, Any]:
    models = [str(info) for info in infos]
    return {
        "models": models,
        "verdict": found.verdict.value,
        "max_context": found.max_context,
        "placement": dict(zip(models, found.placement, strict=False)),
        "fix": found.fix,
    }
