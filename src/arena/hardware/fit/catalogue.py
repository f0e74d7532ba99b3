"""What is known of a model before it is here: well-known models by name, and by size where nothing else is known.

`catalogue.toml` holds the shape of well-known models; with a quantization it becomes a header, and the header is asked
as any other. What llama.cpp itself quantizes is that to the byte; what others publish under the same name varies.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from arena.core.errors import ArenaError
from arena.core.gguf import FILE_TYPES
from arena.core.machine import GIB, MIB, FitParts
from arena.core.models import ModelInfo
from arena.core.text import clean_line
from arena.hardware.fit.estimate import PROCESS_BYTES, Estimate, Need, Setting, gpu_overhead
from arena.hardware.fit.header import HeaderEstimate
from arena.hardware.fit.skeleton import GgufSpec, header_of
from arena.hardware.fit.vision import WithVision

COMPUTE_BYTES = 3 * GIB // 10
"""The scratch memory of a usual model with flash attention."""

SIGMA_SHARE = 0.08
"""Recipes of the same name differ by 3 to 8 % between publishers; the cache is a guess on top."""
_SIGMA_OVERHEAD = 100 * MIB

USES = frozenset({"general", "coding", "reasoning", "quick", "cpu", "production", "korean", "vision"})

# One standard deviation of the weights, as a share of them. Where each tensor has the same type there is not much that
# a publisher could do otherwise; in MXFP4 what is no expert is 8 or 16 bits wide.
_WEIGHTS_DOUBT = {**dict.fromkeys(("F32", "F16", "BF16", "Q8_0"), 0.005), "Q4_0": 0.02, "Q6_K": 0.01, "MXFP4": 0.06}
_MIXED_DOUBT = 0.03

# Bits per parameter of Llama 3.1 8B: llama.cpp, tools/quantize/README.md; MXFP4 by its block of 32 in 17 bytes.
_BITS = {
    "F32": 32.0, "F16": 16.0, "BF16": 16.0, "Q8_0": 8.5, "Q6_K": 6.56, "Q5_K_M": 5.7, "Q5_K_S": 5.57,
    "Q5_1": 6.0, "Q5_0": 5.5, "Q4_K_M": 4.89, "Q4_K_S": 4.67, "Q4_1": 5.0, "Q4_0": 4.65, "IQ4_NL": 4.68,
    "IQ4_XS": 4.46, "MXFP4": 4.25, "Q3_K_L": 4.3, "Q3_K_M": 4.0, "Q3_K_S": 3.64, "IQ3_M": 3.76, "IQ3_S": 3.66,
    "IQ3_XS": 3.5, "IQ3_XXS": 3.25, "Q2_K": 3.16, "Q2_K_S": 2.97, "IQ2_M": 2.93, "IQ2_S": 2.74, "IQ2_XS": 2.59,
    "IQ2_XXS": 2.38, "IQ1_M": 2.15, "IQ1_S": 2.0,
}  # fmt: skip

# Numbers in the cache per token of a model of 8 billion parameters: 32 layers x 8 heads x 128, once for K, once for V.
# It grows about as the root of the size: Llama 3.1 70B has 2.5 times as many, Qwen 2.5 32B twice as many.
_CACHED_NUMBERS, _CACHED_AT = 2 * 32 * 8 * 128, 8e9

_TABLE = "token_embd.weight"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How weights are stored: a quantization of llama.cpp, and where what is published differs from it."""

    quantization: str
    """Upper case."""
    doubt: float = 0.0
    """One standard deviation of the weights on top of the usual one, as a share of them."""
    tables: str = ""
    """The type of the token table, where that is another one; ''."""


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """One well-known model."""

    name: str
    maker: str
    pull: str
    """What `ollama pull` calls it; '' where it is not in that library."""
    licence: str
    released: str
    """`2024-07`."""
    uses: tuple[str, ...]
    """Out of USES."""
    quants: tuple[str, ...]
    """The first is the one that one gets without asking."""
    parameters: int
    source: str
    """Where its numbers are published."""
    gguf: Mapping[str, Any]
    """`architecture`, `vocab_size`, `tied`, and keys of a GGUF header without the architecture."""
    active_parameters: int | None = None
    """Parameters used per token, of a mixture of experts."""
    note: str = ""
    hf: str = ""
    """Its repository of GGUF files at Hugging Face, where it is not in the library of `ollama pull`."""
    latest: bool = False
    """Whether it is the one that its family's name means without a tag; of a family of one it need not be said."""
    aliases: tuple[str, ...] = ()
    """Other names that `ollama pull` has for it."""
    chat: bool = True
    """False for one that completes text and does not answer."""
    vision_bytes: int | None = None
    """Of its part that looks at images, which is loaded with it: a file of its own; None: none, or unknown."""
    spec: GgufSpec = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read its shape. Raises ArenaError when that can't be."""
        object.__setattr__(self, "spec", GgufSpec.of(self.gguf))

    @property
    def context_length(self) -> int | None:
        """The context it was trained for, in tokens."""
        value = self.gguf.get("context_length")
        return value if isinstance(value, int) else None

    @property
    def names(self) -> tuple[str, ...]:
        """What `ollama pull` calls it; () where it is not in that library."""
        return (self.pull, *self.aliases) if self.pull else ()

    @property
    def note_on_vision(self) -> str:
        """What its figures leave out; '' where that is nothing."""
        if "vision" not in self.uses or self.vision_bytes is not None:
            return ""
        return "Its part that looks at images is not counted: 0.5 to 1.5 GiB on top."


@cache
def catalogue() -> tuple[CatalogueModel, ...]:
    """All of them, in the order of the file. Raises ArenaError that names the entry when one is wrong."""
    raw = resources.files(__package__ or "").joinpath("catalogue.toml").read_text("utf-8")
    return parse(raw)


def parse(raw: str) -> tuple[CatalogueModel, ...]:
    """A catalogue in TOML. Raises ArenaError that names the entry when one is wrong."""
    try:
        tables = tomllib.loads(raw).get("model", [])
    except tomllib.TOMLDecodeError as fault:
        raise ArenaError(f"The catalogue is no TOML: {clean_line(str(fault))}.", "Correct it there.") from fault
    found = tuple(_entry(number, table) for number, table in enumerate(tables, start=1))
    pulls = [name for model in found for name in model.names]
    for which, names in (("name", [model.name for model in found]), ("pull", pulls)):
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ArenaError(f"The catalogue has the {which} '{clean_line(twice[0])}' twice.", "Each needs its own.")
    latest = [family_of(model) for model in found if model.latest]
    if twice := sorted({family for family in latest if latest.count(family) > 1}):
        raise ArenaError(f"The catalogue has two latest of '{clean_line(twice[0])}'.", "There is one of each family.")
    return found


def family_of(model: CatalogueModel) -> str:
    """`llama3.1`; '' where it is not in the library of `ollama pull`."""
    return model.pull.partition(":")[0]


def _entry(number: int, table: dict[str, Any]) -> CatalogueModel:
    shown = f"'{clean_line(str(table.get('name', '')))}'" if table.get("name") else f"number {number}"
    kinds = {each.name: each for each in fields(CatalogueModel) if each.init}
    wrong = [key for key in table if key not in kinds]
    missing = [key for key, kind in kinds.items() if key not in table and kind.default is MISSING]
    if wrong or missing:
        what = f"does not know the key {wrong[0]}" if wrong else f"lacks the key {missing[0]}"
        raise ArenaError(f"Entry {shown} of the catalogue {what}.", f"Keys: {', '.join(kinds)}.")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    values["quants"] = tuple(quant.upper() for quant in values["quants"])
    unknown = [*(set(values["uses"]) - USES), *(set(values["quants"]) - set(FILE_TYPES.values()))]
    if unknown or not values["quants"]:
        raise ArenaError(f"Entry {shown} of the catalogue names '{''.join(unknown[:1])}'.", "See its other entries.")
    try:
        return CatalogueModel(**values)
    except ArenaError as fault:
        raise ArenaError(f"Entry {shown} of the catalogue: {fault.sentence}", fault.hint) from fault


@lru_cache(maxsize=512)
def _estimate(name: str, recipe: Recipe) -> HeaderEstimate:
    model = next(model for model in catalogue() if model.name == name)
    found = estimate_of(model.spec, recipe.quantization, tables=recipe.tables)
    return replace(found, weights_doubt=math.hypot(found.weights_doubt, recipe.doubt))


def estimate(model: CatalogueModel, quantization: str | Recipe, *, vision: bool = True) -> Estimate:
    """What that model takes in that quantization. Raises UsageError for a quantization that there is not.

    `vision`: with its part that looks at images, where the size of that is known.
    """
    recipe = quantization if isinstance(quantization, Recipe) else Recipe(quantization.upper())
    found = _estimate(model.name, recipe)
    return WithVision(found, model.vision_bytes) if vision and model.vision_bytes else found


def estimate_of(spec: GgufSpec, quantization: str, *, tables: str = "") -> HeaderEstimate:
    """What a model of that shape takes, quantized by llama.cpp. Raises ArenaError when numbers are missing.

    `tables`: the type of the token table where that is another one.
    """
    header = header_of(spec, quantization)
    if tables:
        kept = [replace(each, type=tables) if each.name == _TABLE else each for each in header.tensors]
        header = replace(header, tensors=tuple(kept))
    found = HeaderEstimate.of(header)
    return HeaderEstimate(found.shape, "catalogue", _WEIGHTS_DOUBT.get(quantization.upper(), _MIXED_DOUBT))


@dataclass(frozen=True, slots=True)
class CatalogueEstimate:
    """The needs of a model of that size, of which nothing else is known."""

    weights: int
    """Bytes."""
    active_parameters: float
    trained: int | None = None
    """The longest context that the model was trained for, in tokens."""
    layers: int | None = None
    """Unknown here."""
    method: str = "catalogue"

    @classmethod
    def of(cls, info: ModelInfo) -> CatalogueEstimate | None:
        """From what an endpoint says of a model; None when it says neither a size nor parameters and quantization."""
        bits = _BITS.get(info.quantization.upper())
        weights = info.size_bytes
        if not weights and info.parameters and bits:
            weights = round(info.parameters * bits / 8)
        if not weights or weights < 0:
            return None
        parameters = info.active_parameters or info.parameters or weights * 8 / (bits or _BITS["Q4_K_M"])
        return cls(weights, max(1.0, parameters), info.context)

    def in_ram(self, setting: Setting, *, gpu_layers: int = 0) -> Need:
        """What it takes in RAM; what a GPU takes over is not known layer by layer."""
        del gpu_layers
        return self._need(setting, PROCESS_BYTES)

    def on_gpu(self, setting: Setting, *, gpu_layers: int | None = None, multiprocessors: int | None = None) -> Need:
        """What it takes on one GPU, as a whole."""
        del gpu_layers
        return self._need(setting, gpu_overhead(multiprocessors))

    def _need(self, setting: Setting, overhead: int) -> Need:
        numbers = _CACHED_NUMBERS * math.sqrt(self.active_parameters / _CACHED_AT)
        parts = FitParts(
            weights=self.weights,
            kv=setting.kv_bytes(round(numbers * setting.cells * setting.slots)),
            compute=COMPUTE_BYTES,
            overhead=overhead,
        )
        return Need(parts, round(math.hypot(SIGMA_SHARE * parts.total, _SIGMA_OVERHEAD)))
