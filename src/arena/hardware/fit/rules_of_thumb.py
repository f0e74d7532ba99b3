"""The rules of thumb that guides print, each held against the exact figures of the models that they name.

The rules are those of two Korean guides to local models: a flow chart by VRAM and use, "size x 4 bytes x 1.2", the
least VRAM by size, 4 bits as a third of FP16, RAM for a CPU, and the VRAM that single models want. A card's GB are GiB.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from arena.core.advice import Use
from arena.core.machine import GIB, Fits, FitVerdict, Machine
from arena.hardware.fit.catalogue import CatalogueModel, catalogue, estimate
from arena.hardware.fit.estimate import Setting
from arena.hardware.fit.verdict import judge
from arena.hardware.whatif import parse_gpus

CONTEXTS = (4096, 8192)
"""Tokens."""
RULE_BYTES, RULE_FACTORS = 4, (1.2, 1.5)
"""Bytes per parameter, and what that is multiplied by."""
FOUR_BITS = 3.5
"""How many times smaller a model of 4 bits is than one of 16."""

_CARD_SHARE = 0.9
"""A card of 24 GB that keeps checksums says 22.5 GiB."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A leaf of the flow chart: what to run, by the memory of the GPU."""

    least_gb: int
    model: str
    judged: str
    """The model that is judged in its place: of Llama 3 there is none of 13B."""


BY_VRAM = (
    Branch(24, "llama3:70b", "llama3:70b"),
    Branch(16, "llama3:13b", "llama2:13b"),
    Branch(8, "llama3:8b", "llama3:8b"),
)
WITHOUT_GPU = Branch(0, "phi3:mini", "phi3:mini")
BY_USE = {
    Use.GENERAL: "llama3:8b",
    Use.CODING: "mistral:7b",
    Use.QUICK: "gemma:7b",
    Use.CPU: "phi3:mini",
    Use.PRODUCTION: "llama3:70b",
}
"""Names that `ollama pull` knows."""


def branch(total_bytes: int) -> Branch | None:
    """The flow chart's leaf for GPUs of so much memory; None below its smallest."""
    return next((leaf for leaf in BY_VRAM if total_bytes >= _CARD_SHARE * leaf.least_gb * GIB), None)


@dataclass(frozen=True, slots=True)
class Guide:
    """What the guides' flow chart says, with the exact figures on that machine."""

    known: Sequence[CatalogueModel]
    machine: Machine
    context: int

    def at(self, leaf: Branch) -> str:
        """What it says at a leaf of its first half."""
        begin = f"{leaf.least_gb} GB{' and more' if leaf.least_gb == 24 else ''}: " if leaf.least_gb else "no GPU: "
        if leaf.model == leaf.judged:
            return self.says(leaf.model, begin)
        return self.says(leaf.judged, f"{begin}{leaf.model}, which there is not; ")

    def says(self, pull: str, begin: str = "") -> str:
        """That model, and what it takes here; '' for one that is not in the catalogue."""
        model = named(pull, self.known)
        if model is None:
            return ""
        fit = judge(pull, estimate(model, model.quants[0]), self.machine, Setting(self.context))
        layers = f", {fit.gpu_layers} layers on the GPU" if fit.verdict is Fits.PARTIAL else ""
        need = f"needs {need_words(fit)} ({model.quants[0]}, {fit.context} tokens)"
        return f"the guide, {begin}{pull} {need}: {fit.verdict}{layers}"


def need_words(fit: FitVerdict) -> str:
    """`5.46 ± 0.14 GiB`."""
    return f"{(fit.need_bytes or 0) / GIB:.2f} ± {(fit.sigma_bytes or 0) / GIB:.2f} GiB"


@dataclass(frozen=True, slots=True)
class Figure:
    """What one model takes in one quantization and context, and how that stands on an empty card."""

    quantization: str
    context: int
    """Tokens."""
    need_bytes: int
    sigma_bytes: int
    weights_bytes: int
    """Of all of it, wherever it lies."""
    verdict: Fits
    """FITS, TIGHT or NO: on an empty card of the size that is asked about."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A rule's figure for one model, beside the exact ones."""

    model: CatalogueModel
    rule: str
    """What it is for, in the words of the guide: `7B-13B`, `24 GB card`."""
    says_gb: int
    """GB of VRAM, or of RAM."""
    usual: tuple[Figure | None, ...]
    """In the quantization that one gets without asking, for each of CONTEXTS, the first of them or what it was trained
    for; None: it was trained for less."""
    half: Figure
    """In FP16, at the longest of CONTEXTS that it was trained for."""


# (size class, GB, models of the catalogue at its two ends)
_CLASSES = (
    ("3B-7B", 8, ("llama3.2:3b", "llama2:7b")),
    ("7B-13B", 16, ("mistral:7b", "llama2:13b")),
    ("13B-30B", 24, ("phi4:14b", "gemma3:27b")),
    ("70B+", 40, ("llama2:70b", "qwen2.5:72b")),
)
_SMALLEST_CLASS = 2.5
"""Billions of parameters that still count as 3B."""
# (GB, model, where the guides say so)
_CLAIMS = (
    (8, "llama2:7b", "second guide"),
    (16, "llama2:13b", "second guide"),
    (80, "llama2:70b", "second guide"),
    (8, "mistral:7b", "both guides"),
    (24, "mixtral:8x7b", "second guide"),
    (16, "falcon:7b", "second guide"),
    (48, "falcon:40b", "second guide"),
    (8, "llama3:8b", "flow chart"),
    (24, "llama3:70b", "flow chart"),
    (40, "llama3:70b", "first guide"),
    (6, "gemma:7b", "first guide"),
)
_ON_CPU = ((8, "phi3:mini", "3B"), (8, "llama3.2:3b", "3B"), (16, "mistral:7b", "7B"), (16, "llama2:7b", "7B"))


def named(pull: str, known: Sequence[CatalogueModel]) -> CatalogueModel | None:
    """The model of exactly that name at `ollama pull`."""
    return next((model for model in known if pull and model.pull == pull), None)


def by_class() -> list[Checked]:
    """'The least VRAM by size', at both ends of each class."""
    return [check(model, rule, gb) for rule, gb, pulls in _CLASSES for model in _there(pulls)]


def by_model() -> list[Checked]:
    """'The VRAM that it wants', model by model."""
    return [check(model, where, gb) for gb, pull, where in _CLAIMS for model in _there((pull,))]


def in_ram() -> list[Checked]:
    """'RAM for a CPU'."""
    return [check(model, rule, gb, on_gpu=False) for gb, pull, rule in _ON_CPU for model in _there((pull,))]


def compressed() -> list[tuple[CatalogueModel, Figure, Figure]]:
    """'4 bits are a third': models of 4 bits, and the same in FP16."""
    pulls = ("llama3:70b", "llama3:8b", "mistral:7b", "gemma:2b", "llama3.2:3b")
    return [(model, _figure(model, model.quants[0]), _figure(model, "F16")) for model in _there(pulls)]


def by_size() -> list[tuple[CatalogueModel, float, tuple[Figure, Figure, Figure]]]:
    """'Size x 4 bytes x 1.2': models, the GiB that the rule gives, and what they take in F32, F16 and as pulled."""
    pulls = ("phi3:mini", "mistral:7b", "llama3:8b", "llama2:13b", "llama3:70b")
    return [(model, rule_bytes(model) / GIB, _usual_forms(model)) for model in _there(pulls)]


def rule_bytes(model: CatalogueModel, factor: float = RULE_FACTORS[0]) -> float:
    """What 'size x 4 bytes x 1.2' gives."""
    return model.parameters * RULE_BYTES * factor


def class_of(model: CatalogueModel) -> tuple[str, int] | None:
    """The class of the guide's table that a model belongs to, and its GB; the next larger one in a gap of the table.

    None for one that is smaller than all of them.
    """
    billions = model.parameters / 1e9
    if billions < _SMALLEST_CLASS:
        return None
    for (rule, gb, _), most in zip(_CLASSES, (7.5, 13.5, 30.5, float("inf")), strict=True):
        if billions <= most:
            return rule, gb
    raise AssertionError(rule)


def check(model: CatalogueModel, rule: str, says_gb: int, *, on_gpu: bool = True) -> Checked:
    """That model on an empty card (or in so much RAM) of `says_gb`, in the usual quantization and in FP16."""
    trained = model.context_length or CONTEXTS[-1]
    usual = tuple(
        _figure(model, model.quants[0], context, says_gb, on_gpu=on_gpu)
        if context <= max(trained, CONTEXTS[0])
        else None
        for context in CONTEXTS
    )
    longest = max([context for context in CONTEXTS if context <= trained], default=trained)
    return Checked(model, rule, says_gb, usual, _figure(model, "F16", longest, says_gb, on_gpu=on_gpu))


def _usual_forms(model: CatalogueModel) -> tuple[Figure, Figure, Figure]:
    return _figure(model, "F32"), _figure(model, "F16"), _figure(model, model.quants[0])


def _figure(
    model: CatalogueModel, quantization: str, context: int = CONTEXTS[0], gb: int = 1, *, on_gpu: bool = True
) -> Figure:
    """Without a size of a card the verdict is to no purpose."""
    found = estimate(model, quantization)
    total = gb * GIB
    bench = Machine(gpus=parse_gpus(str(gb))) if on_gpu else Machine(ram_total_bytes=total, ram_free_bytes=total)
    setting = Setting(min(context, model.context_length or context))
    judged = judge(model.name, found, bench, setting)
    need = found.on_gpu(setting) if on_gpu else found.in_ram(setting)
    verdict = Fits.FITS if judged.verdict is Fits.CPU else judged.verdict
    weights = found.in_ram(setting).parts.weights
    return Figure(quantization, setting.context, need.parts.total, need.sigma_bytes, weights, verdict)


def _there(pulls: Sequence[str]) -> Iterator[CatalogueModel]:
    """Those of the models that the catalogue has."""
    for pull in pulls:
        model = named(pull, catalogue())
        if model is not None:
            yield model
