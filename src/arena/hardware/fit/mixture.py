"""Which type llama.cpp gives each tensor when it quantizes a model to `Q4_K_M` and the like.

A port of src/llama-quant.cpp (`tensor_allows_quantization`, `llama_tensor_get_type_impl`, `tensor_type_fallback`) as
llama-cpp-python 0.3.36 ships it, without overrides and without an importance matrix, except for the types that need
one. The tests hold it against `llama_model_quantize(dry_run=True)`, tensor by tensor. What others publish under the
same name may be mixed otherwise: 3 to 8 % of the weights have been seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from arena.core.errors import UsageError
from arena.core.gguf import BLOCKS, FILE_TYPES

Row = tuple[str, tuple[int, ...]]

_BASE = {
    "Q2_K_S": "Q2_K", "Q3_K_S": "Q3_K", "Q3_K_M": "Q3_K", "Q3_K_L": "Q3_K", "Q4_K_S": "Q4_K", "Q4_K_M": "Q4_K",
    "Q5_K_S": "Q5_K", "Q5_K_M": "Q5_K", "IQ2_S": "IQ2_XS", "IQ2_M": "IQ2_S", "IQ3_XS": "IQ3_S", "IQ3_M": "IQ3_S",
}  # fmt: skip
_PLAIN = ("F32", "F16", "BF16")
_TINY = frozenset({"IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ1_S", "IQ1_M"})
_NEEDS_MATRIX = _TINY | {"IQ3_XXS"}
_KEPT = re.compile(
    r"_norm\.weight|ffn_gate_inp\.weight|altup|laurel|per_layer_model_proj|ssm_conv1d|shortconv\.conv\.weight"
    r"|^position_embd|^token_types|(?<!weight)$"
)
_KEPT_F32 = re.compile(
    r"_norm\.weight|ffn_gate_inp(_shexp)?\.weight|ssm_conv1d|shortconv\.conv\.weight|altup_(correct|predict)_coef"
    r"|^position_embd|^token_types|(?<!weight)$"
)
_KINDS = re.compile(
    r"^(output)\.weight|^((?:per_layer_)?token_embd)\.weight|(attn_qkv|attn_kv_b|attn_v|attn_k|attn_q|attn_output)\.weight"
    r"|(ffn_up|ffn_gate|ffn_down)"
)
_V_LIKE = ("attn_v", "attn_qkv", "attn_kv_b")
_SMALLER_BLOCKS = {
    **dict.fromkeys(("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_XS"), "IQ4_NL"),
    **dict.fromkeys(("Q2_K", "Q3_K", "TQ1_0", "TQ2_0", "Q2_0"), "Q4_0"),
    "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0",
}  # fmt: skip
_SEVENTY = (("llama", 80), ("qwen2", 80), ("deci", 80))


@dataclass(frozen=True, slots=True)
class Facts:
    """What the choice looks at besides names and shapes."""

    architecture: str
    layers: int
    experts: int
    """0 for a dense model."""
    grouped: int
    """Query heads that share a pair of K and V in the first layer; 0 where it has none."""


def type_names(rows: Sequence[Row], facts: Facts, quantization: str) -> list[str]:
    """The type of each tensor, in the order of `rows`. Raises UsageError for a quantization that there is not."""
    quantization = quantization.upper()
    if quantization not in FILE_TYPES.values():
        raise UsageError(f"'{quantization}' is no quantization of llama.cpp.", "Such as Q4_K_M, Q8_0, F16.")
    if quantization in _PLAIN:
        return [_unquantized(row, quantization) for row in rows]
    chooser = _Chooser(rows, facts, quantization)
    return [chooser.choose(row) for row in rows]


def _unquantized(row: Row, wanted: str) -> str:
    """What the converter writes."""
    name, dims = row
    return "F32" if len(dims) < 2 or _kept_f32(_bare(name)) else wanted


@cache
def _kind_of(name: str) -> str:
    """`attn_v`, `ffn_down`, `output`, ...; '' for others. The name is without its layer."""
    found = _KINDS.search(name)
    kind = next(filter(None, found.groups()), "") if found else ""
    return "token_embd" if kind == "per_layer_token_embd" else kind


@cache
def _kept(name: str) -> bool:
    """It is not quantized. The name is without its layer."""
    return _KEPT.search(name) is not None


@cache
def _kept_f32(name: str) -> bool:
    """It stays in 32 bits. The name is without its layer."""
    return _KEPT_F32.search(name) is not None


def _bare(name: str) -> str:
    """The name without its layer."""
    return name.split(".", 2)[2] if name.startswith("blk.") else name


class _Chooser:
    """Walks the tensors once, and counts those of a kind: some choices go by how many came before."""

    def __init__(self, rows: Sequence[Row], facts: Facts, quantization: str) -> None:
        self.facts, self.wanted, self.base = facts, quantization, _BASE.get(quantization, quantization)
        kinds = [_kind_of(_bare(name)) for name, _ in rows]
        self.tied = "output" not in kinds
        self.v_count = sum(kind in _V_LIKE for kind in kinds)
        self.seen = dict.fromkeys(("v", "ffn_down", "ffn_gate", "ffn_up"), 0)
        self.matrix = quantization in _NEEDS_MATRIX
        self.falcon, self.eight = facts.architecture == "falcon", facts.experts == 8

    def choose(self, row: Row) -> str:
        """The type of that tensor."""
        name, dims = row
        if len(dims) < 2 or _kept(_bare(name)):
            return _unquantized(row, "F16")
        return _fitting(self._wanted_for(name, dims, _kind_of(_bare(name))), dims[0])

    def _wanted_for(self, name: str, dims: tuple[int, ...], kind: str) -> str:
        if kind == "output" or (self.tied and kind == "token_embd"):
            return self._output(dims[0])
        if self.wanted == "MXFP4":
            return "MXFP4" if len(dims) > 2 else "Q8_0"
        if kind == "token_embd":
            return self._token_table()
        counted = "v" if kind in _V_LIKE else kind
        choose: dict[str, Callable[[], str]] = {
            "v": self._tiny_v if self.wanted in _TINY else self._v,
            **dict.fromkeys(("ffn_down", "ffn_gate", "ffn_up"), lambda: self._feed_forward(kind, name)),
            "attn_k": self._k, "attn_q": self._q, "attn_output": self._attention_output,
        }  # fmt: skip
        found = choose.get(counted, lambda: self.base)()
        if counted in self.seen:
            self.seen[counted] += 1
        return found

    def _place(self, name: str, kind: str) -> int:
        """The layer of a mixture of experts, else how many of that kind came before."""
        return int(name.split(".", 2)[1]) if self.facts.experts > 1 else self.seen[kind]

    def _output(self, columns: int) -> str:
        if self.wanted == "MXFP4" or self.falcon or columns % BLOCKS[self.base][0]:
            return "Q8_0"
        if self.wanted in _NEEDS_MATRIX:
            return "Q5_K"
        return self.base if self.base == "Q8_0" else "Q6_K"

    def _token_table(self) -> str:
        if self.wanted in ("IQ2_XXS", "IQ2_XS", "IQ1_S", "IQ1_M"):
            return "Q2_K"
        if self.wanted in ("IQ2_S", "IQ2_M", "IQ3_XXS"):
            return "IQ3_S"
        return "Q4_K" if self.wanted in ("TQ1_0", "TQ2_0", "Q2_0") else self.base

    def _v(self) -> str:
        found, many = self._v_by_name(), self.facts.grouped >= 4
        if self.wanted in ("IQ3_XS", "IQ3_S", "Q2_K_S", "IQ3_XXS") and many:
            found = "Q4_K"
        elif self.wanted in ("IQ4_NL", "IQ4_XS") and many:
            found = "Q5_K"
        if (self.facts.architecture, self.facts.layers) in _SEVENTY and many and found in ("Q3_K", "Q4_K"):
            found = "Q5_K"
        return "Q8_0" if self.eight else found

    def _v_by_name(self) -> str:
        before = self.seen["v"]
        if self.wanted in ("Q4_K_M", "Q5_K_M"):
            return "Q6_K" if _more(before, self.v_count) else self.base
        if self.wanted == "Q4_K_S":
            return "Q5_K" if before < 4 else self.base
        if self.wanted == "Q3_K_M":
            return "Q5_K" if before < 2 else "Q4_K"
        if self.wanted == "Q2_K":
            return "Q4_K" if self.facts.grouped >= 4 else "Q3_K"
        return {"Q3_K_L": "Q5_K", "IQ3_M": "Q4_K"}.get(self.wanted, self.base)

    def _tiny_v(self) -> str:
        if self.facts.grouped >= 4 or self.facts.experts >= 4:
            return "Q4_K"
        return "IQ3_S" if self.wanted in ("IQ2_S", "IQ2_M") else "Q2_K"

    def _tiny_attention_output(self) -> str:
        if self.eight:
            return "Q5_K"
        if self.wanted in ("IQ1_S", "IQ1_M"):
            return "IQ2_XXS"
        return "IQ3_S" if self.wanted in ("IQ2_S", "IQ2_M") else self.base

    def _k(self) -> str:
        if self.eight:
            return "Q4_K" if self.wanted in _TINY else "Q8_0"
        return self._q()

    def _q(self) -> str:
        return {"IQ3_XS": "IQ3_XXS", "IQ3_XXS": "IQ2_S"}.get(self.wanted, self.base)

    def _attention_output(self) -> str:
        if self.wanted in _TINY:
            return self._tiny_attention_output()
        if self.falcon:
            return "Q4_K" if self.wanted == "Q3_K_L" else self.base
        if self.eight:
            some = ("Q2_K", "IQ3_XS", "IQ3_XXS", "Q3_K_S", "Q3_K_M", "IQ4_NL", "Q4_K_S", "Q4_K_M", "IQ3_S", "IQ3_M")
            return "Q5_K" if self.wanted in (*some, "IQ4_XS") else self.base
        more = {"Q2_K": "Q3_K", "IQ3_XXS": "IQ3_S", "Q3_K_M": "Q4_K", "Q3_K_L": "Q5_K", "IQ3_M": "Q4_K"}
        return more.get(self.wanted, self.base)

    def _feed_forward(self, kind: str, name: str) -> str:
        layers, place = self.facts.layers, self._place(name, kind)
        if kind != "ffn_down":
            middle = layers // 8 <= place < 7 * layers // 8
            return "IQ3_XXS" if self.wanted == "IQ3_XS" and middle else self.base
        if self.wanted in _TINY:
            early = "IQ3_S" if self.wanted in ("IQ2_S", "IQ2_M") else "Q2_K"
            return early if self.seen[kind] < layers // 8 else self.base
        return self._down(place, layers)

    def _down(self, place: int, layers: int) -> str:
        early, more = place < layers // 8, _more(place, layers)
        if self.falcon and (found := self._down_of_falcon(place, layers)):
            return found
        if self.wanted == "Q3_K_M" and place < layers // 16:
            return "Q5_K"
        better = {
            "Q4_K_M": ("Q6_K", more), "Q5_K_M": ("Q6_K", more), "IQ4_NL": ("Q5_K", early), "IQ4_XS": ("Q5_K", early),
            "Q4_K_S": ("Q5_K", early), "Q2_K_S": ("Q4_K", early), "IQ3_M": ("Q4_K", early or (self.eight and more)),
            "Q3_K_M": ("Q4_K", True), "Q2_K": ("Q3_K", True), "Q3_K_L": ("Q5_K", True),
        }  # fmt: skip
        found, there = better.get(self.wanted, ("", False))
        return found if there else self.base

    def _down_of_falcon(self, place: int, layers: int) -> str:
        """'' where Falcon is as the others."""
        more, first = _more(place, layers), place < layers // 16
        if self.wanted == "Q3_K_M":
            return "Q5_K" if first else "Q4_K" if more else "Q3_K"
        if self.wanted == "Q4_K_M":
            return "Q6_K" if first else "Q5_K" if more else "Q4_K"
        return {"Q3_K_L": "Q4_K", "Q4_K_S": "Q4_K"}.get(self.wanted, "")


def _more(place: int, count: int) -> bool:
    """The layers at both ends, and every third between them."""
    return place < count // 8 or place >= 7 * count // 8 or (place - count // 8) % 3 == 2


def _fitting(wanted: str, columns: int) -> str:
    """A type with smaller blocks where rows are no whole number of blocks."""
    if columns % BLOCKS[wanted][0] == 0:
        return wanted
    wanted = _SMALLER_BLOCKS.get(wanted, wanted)
    return wanted if columns % BLOCKS[wanted][0] == 0 else "F16"
