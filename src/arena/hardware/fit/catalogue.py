"""What is known of a model before it is here: well-known models by name, and by size where nothing else is known.

`catalogue.toml` holds the shape of well-known models; with a quantization it becomes a header, and the header is asked
as any other. What llama.cpp itself quantizes is that to the byte; what others publish under the same name varies.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
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

_QUANTIZATION = re.compile(r"(?:^|-)(i?q\d\w*|t?q\d_\w+|b?f16|fp16|f32|mxfp4)$", re.IGNORECASE)


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
    spec: GgufSpec = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read its shape. Raises ArenaError when that can't be."""
        object.__setattr__(self, "spec", GgufSpec.of(self.gguf))

    @property
    def context_length(self) -> int | None:
        """The context it was trained for, in tokens."""
        value = self.gguf.get("context_length")
        return value if isinstance(value, int) else None


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
    for which in ("name", "pull"):
        names = [getattr(model, which) for model in found if getattr(model, which)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ArenaError(f"The catalogue has the {which} '{clean_line(twice[0])}' twice.", "Each needs its own.")
    return found


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


def lookup(name: str) -> CatalogueModel | None:
    """The model of that name as `ollama pull` knows it: `llama3:8b`, `llama3.1:8b-instruct-q8_0`, `phi4`.

    None for one that is not in the catalogue, and for a name without a size where there are several.
    """
    family, tag = _split(name)
    for model in catalogue():
        if model.hf and _split(model.hf)[0] == family:
            return model
    same = [(model, _split(model.pull)[1]) for model in catalogue() if model.pull and _split(model.pull)[0] == family]
    if tag in ("", "latest"):
        return same[0][0] if len(same) == 1 else None
    longer = [(len(known), model) for model, known in same if tag == known or tag.startswith(f"{known}-")]
    if longer:
        return max(longer, key=lambda each: each[0])[1]
    shorter = sorted((known, model.name) for model, known in same if known.startswith(f"{tag}-"))
    # of variants of one model the first published has the shortest name
    if not shorter or not all(known.startswith(shorter[0][0]) for known, _ in shorter):
        return None
    return next(model for model in catalogue() if model.name == shorter[0][1])


def quantization_in(name: str) -> str:
    """The quantization that a name ends with, such as Q8_0 for `llama3.1:8b-instruct-q8_0`; '' without one."""
    found = _QUANTIZATION.search(name.rpartition(":")[2])
    told = found[1].upper().replace("FP16", "F16") if found else ""
    return told if told in FILE_TYPES.values() else ""


def _split(name: str) -> tuple[str, str]:
    """Family and tag, without the library it is from and without the quantization."""
    family, _, tag = name.strip().lower().rpartition("/")[2].partition(":")
    return family, _QUANTIZATION.sub("", tag)


@lru_cache(maxsize=512)
def _estimate(spec_of: str, quantization: str) -> HeaderEstimate:
    model = next(model for model in catalogue() if model.name == spec_of)
    return estimate_of(model.spec, quantization)


def estimate(model: CatalogueModel, quantization: str) -> Estimate:
    """What that model takes in that quantization. Raises UsageError for a quantization that there is not."""
    return _estimate(model.name, quantization.upper())


def estimate_of(spec: GgufSpec, quantization: str) -> HeaderEstimate:
    """What a model of that shape takes, quantized by llama.cpp. Raises ArenaError when numbers are missing."""
    found = HeaderEstimate.of(header_of(spec, quantization))
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
