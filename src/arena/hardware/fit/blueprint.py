"""Which tensors a model of an architecture has, and their shapes: a GGUF's tensor table from its header's numbers.

A group is some rows, a row is a tensor: its name and its dimensions in words, fastest first, as llama.cpp's
src/models/*.cpp ask for them (the version that llama-cpp-python 0.3.36 ships). A tensor with a dimension of 0 is not
there: a layer without attention is `q` = `k` = `v` = 0, a dense one has `expert` = 0. Optional tensors of a few KiB,
such as the frequencies of a stretched rope, are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from arena.core.gguf import GgufHeader
from arena.hardware.fit.shape import Fields, recurrent_layers, windowed_layers

Row = tuple[str, tuple[int, ...]]
"""Name and dimensions of a tensor, fastest first."""

_GROUPS = {
    "norm": "attn_norm embd",
    "norm_bias": "attn_norm.bias embd",
    "norm_2": "attn_norm_2 parallel; attn_norm_2.bias parallel",
    "qkv": "attn_q embd q; attn_k embd k; attn_v embd v; attn_output q embd",
    "qkv_bias": "attn_q.bias q; attn_k.bias k; attn_v.bias v",
    "fused_qkv": "attn_qkv embd qkv; attn_output q embd",
    "fused_bias": "attn_qkv.bias qkv",
    "gated_qkv": "attn_q embd q2; attn_k embd k; attn_v embd v; attn_output q embd",
    "out_bias": "attn_output.bias embd",
    "head_norms": "attn_q_norm head; attn_k_norm head",
    "wide_norms": "attn_q_norm q; attn_k_norm k",
    "norm_per_head": "attn_q_norm head normed_heads; attn_k_norm head normed_kv_heads",
    "attn_gate": "attn_gate embd q",
    "sinks": "attn_sinks sinks",
    "latent": "attn_q_a_norm q_rank; attn_kv_a_norm kv_rank; attn_q_a embd q_rank; attn_q_b q_rank q_latent;"
    "attn_q embd q_direct; attn_kv_a_mqa embd kv_rank_rope; attn_k_b nope kv_rank heads;"
    "attn_v_b kv_rank v_latent heads; attn_output v_heads embd",
    "post": "post_attention_norm embd",
    "ffn_norm": "ffn_norm embd",
    "ffn_norm_bare": "ffn_norm= embd",
    "ffn_norm_bias": "ffn_norm.bias embd",
    "gated": "ffn_gate embd ff; ffn_up embd ff; ffn_down ff embd",
    "plain": "ffn_up embd ff; ffn_down ff embd",
    "plain_bias": "ffn_up.bias ff; ffn_down.bias ff_embd",
    "doubled": "ffn_up embd ff2; ffn_down ff embd",
    "post_ffn": "post_ffw_norm embd",
    "experts": "ffn_gate_inp embd expert; ffn_gate_exps embd expert_ff expert; ffn_up_exps embd expert_ff expert;"
    "ffn_down_exps expert_ff embd expert",
    "ungated_experts": "ffn_gate_inp embd expert; ffn_up_exps embd expert_ff expert;"
    "ffn_down_exps expert_ff embd expert; ffn_up_shexp embd shared_ff; ffn_down_shexp shared_ff embd",
    "probs": "exp_probs_b.bias expert",
    "shared": "ffn_gate_shexp embd shared_ff; ffn_up_shexp embd shared_ff; ffn_down_shexp shared_ff embd",
    "shared_gate": "ffn_gate_inp_shexp shared_embd",
    "expert_bias": "ffn_gate_inp.bias expert; ffn_gate_exps.bias expert_ff expert; ffn_up_exps.bias expert_ff expert;"
    "ffn_down_exps.bias embd expert",
    "mixed": "ffn_gate_inp embd expert; ffn_gate_inp.scale expert_embd; ffn_gate_up_exps embd expert_ff2 expert;"
    "ffn_down_exps expert_ff embd expert; ffn_down_exps.scale expert;"
    "pre_ffw_norm_2 expert_embd; post_ffw_norm_1 expert_embd; post_ffw_norm_2 expert_embd",
    "scale": "layer_output_scale one",
    "per_layer": "inp_gate embd per_layer; proj per_layer embd; post_norm per_layer_embd",
    "altup": "altup_correct_coef altup altup; altup_correct_scale embd; altup_predict_coef altup altup_square;"
    "altup_router embd altup; altup_router_norm embd; laurel_l embd laurel; laurel_r laurel embd;"
    "laurel_post_norm embd",
    "mamba": "ssm_in embd inner2; ssm_conv1d conv inner; ssm_conv1d.bias inner; ssm_x inner dt_state; ssm_dt dt inner;"
    "ssm_dt.bias inner; ssm_a= state inner; ssm_d= inner; ssm_out inner embd",
    "mamba2": "ssm_in embd projected; ssm_conv1d conv convolved; ssm_conv1d.bias convolved; ssm_dt.bias dt;"
    "ssm_a= one dt; ssm_d= one dt; ssm_norm inner_group groups; ssm_out inner embd",
    "delta": "attn_qkv embd convolved; attn_gate embd inner; ssm_conv1d conv convolved; ssm_dt.bias dt; ssm_a= dt;"
    "ssm_norm state; ssm_out inner embd",
    "delta_split": "ssm_beta embd dt; ssm_alpha embd dt",
    "delta_joined": "ssm_ba embd dt2",
    "shortconv": "shortconv.conv short embd; shortconv.in_proj embd short_embd3; shortconv.out_proj short_embd embd",
}  # fmt: skip

_LLAMA = "norm qkv ffn_norm gated experts shared"
_BLOCKS = {
    **dict.fromkeys(
        ("llama", "mistral3", "internlm2", "smollm3", "ernie4_5", "granite", "granitemoe", "exaone", "gemma",
         "minicpm", "deepseek", "llama4"), _LLAMA,
    ),
    "ernie4_5-moe": _LLAMA + " probs",
    **dict.fromkeys(("qwen2", "qwen2vl"), "norm qkv qkv_bias ffn_norm gated"),
    "qwen2moe": "norm qkv qkv_bias ffn_norm experts shared shared_gate",
    **dict.fromkeys(
        ("qwen3", "qwen3moe", "qwen3vl", "qwen3vlmoe", "hunyuan-dense", "hunyuan-moe"), _LLAMA + " head_norms"
    ),
    **dict.fromkeys(("dots1", "exaone-moe"), _LLAMA + " head_norms probs"),
    "bailingmoe2": "norm fused_qkv head_norms ffn_norm gated experts shared probs",
    "glm4moe": "norm qkv qkv_bias post gated experts shared probs",
    "minimax-m2": "norm qkv wide_norms ffn_norm experts probs",
    "afmoe": _LLAMA + " head_norms attn_gate post post_ffn probs",
    "qwen35": "norm post gated_qkv head_norms delta delta_split gated",
    "qwen35moe": "norm post gated_qkv head_norms delta delta_split experts shared shared_gate",
    "qwen3next": "norm post gated_qkv head_norms delta delta_joined experts shared shared_gate",
    "gemma2": "norm qkv post ffn_norm gated post_ffn",
    "gemma3": "norm qkv head_norms post ffn_norm gated post_ffn",
    "gemma3n": "norm qkv head_norms post ffn_norm gated post_ffn per_layer altup",
    "gemma4": "norm qkv head_norms post ffn_norm gated post_ffn mixed scale per_layer",
    "phi2": "norm norm_bias qkv qkv_bias out_bias plain plain_bias",
    "phi3": "norm fused_qkv ffn_norm doubled",
    "phimoe": "norm norm_bias qkv qkv_bias out_bias ffn_norm ffn_norm_bias experts",
    "falcon": "norm norm_bias norm_2 fused_qkv plain",
    "gpt-oss": "norm post qkv qkv_bias out_bias sinks experts expert_bias",
    **dict.fromkeys(("deepseek2", "mistral4"), "norm latent ffn_norm gated experts probs shared"),
    "command-r": "norm norm_per_head qkv gated",
    "cohere2": "norm qkv gated",
    "olmo2": "qkv wide_norms post gated post_ffn",
    "olmoe": "norm qkv wide_norms ffn_norm experts",
    "exaone4": "qkv head_norms post gated post_ffn",
    "glm4": "norm qkv post ffn_norm doubled post_ffn",
    "chatglm": "norm fused_qkv fused_bias ffn_norm doubled",
    "seed_oss": "norm qkv qkv_bias post gated",
    "starcoder2": "norm norm_bias qkv qkv_bias out_bias ffn_norm ffn_norm_bias plain plain_bias",
    "nemotron": "norm norm_bias qkv ffn_norm ffn_norm_bias plain",
    "arcee": "norm qkv ffn_norm plain",
    "apertus": "norm qkv head_norms ffn_norm plain",
    "stablelm": "norm norm_bias qkv qkv_bias ffn_norm ffn_norm_bias gated",
    "mamba": "norm mamba",
    "mamba2": "norm mamba2",
    "falcon-h1": "norm mamba2 qkv ffn_norm_bare gated",
    **dict.fromkeys(("nemotron_h", "nemotron_h_moe"), "norm mamba2 qkv plain ungated_experts probs"),
    "granitehybrid": "norm mamba2 qkv ffn_norm gated experts shared",
    **dict.fromkeys(("lfm2", "lfm2moe"), "norm qkv head_norms shortconv ffn_norm gated experts probs"),
}  # fmt: skip

_TABLES = "token_embd embd vocab; output_norm embd; output embd untied"
_WHOLE = {
    **dict.fromkeys(("starcoder2", "falcon", "stablelm", "nemotron"), _TABLES + "; output_norm.bias embd"),
    **dict.fromkeys(("phi2", "phimoe"), _TABLES + "; output_norm.bias embd; output.bias vocab"),
    **dict.fromkeys(("lfm2", "lfm2moe"), "token_embd embd vocab; token_embd_norm embd; output embd untied"),
    **dict.fromkeys(
        ("gemma3n", "gemma4"),
        _TABLES + "; per_layer_token_embd per_layers vocab; per_layer_model_proj embd per_layers;"
        "per_layer_proj_norm per_layer; rope_freqs half_head;"
        "altup_proj embd embd altup_less; altup_unembd_proj embd embd altup_less",
    ),
}
ARCHITECTURES = frozenset(_BLOCKS)
"""Those whose tensors are known here."""

_ALWAYS_TIED = ("gemma", "gemma2", "command-r", "cohere2")
_DENSE_BESIDE_EXPERTS = ("gemma4",)
_EXPERTS_AS_WIDE_AS_DENSE = (
    "llama", "mistral3", "granite", "granitemoe", "granitehybrid", "olmoe", "phimoe", "hunyuan-moe", "minimax-m2",
    "minicpm",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Layer:
    """What layers differ by; those that don't have the same tensors."""

    heads: int
    kv_heads: int
    feed_forward: int
    routed: bool
    """Has experts."""
    windowed: bool
    recurrent: bool


def rows(header: GgufHeader, *, tied: bool) -> Iterator[Row]:
    """Every tensor of the model whose numbers `header` holds; its own tensor table is not looked at.

    `tied`: the token table is the output table, too; some architectures are so whatever is said. Raises KeyError for
    an architecture that is not in ARCHITECTURES, ArenaError for a header that lacks a number.
    """
    fields, arch = Fields(header), header.architecture
    whole = _whole_sizes(fields, arch, tied=tied)
    yield from _expand(_WHOLE.get(arch, _TABLES), whole)
    block = ";".join(_GROUPS[group] for group in _BLOCKS[arch].split())
    known: dict[_Layer, list[Row]] = {}
    for i, layer in enumerate(_layers(header, fields)):
        if layer not in known:
            known[layer] = list(_expand(block, whole | _layer_sizes(fields, arch, layer)))
        for name, dims in known[layer]:
            yield f"blk.{i}.{name}", dims


def _expand(text: str, sizes: Mapping[str, int]) -> Iterator[Row]:
    for row in text.split(";"):
        name, *words = row.split()
        dims = tuple(sizes[word] for word in words)
        if all(dims):
            bare = name.endswith("=") or "." in name.removeprefix("shortconv.")
            yield (name.rstrip("=") if bare else name + ".weight"), dims


def _layers(header: GgufHeader, fields: Fields) -> Iterator[_Layer]:
    arch, count = header.architecture, fields.number("block_count")
    heads = fields.per_layer("attention.head_count", count, 0)
    kv_heads = fields.per_layer("attention.head_count_kv", count, max(heads))
    feed_forward = fields.per_layer("feed_forward_length", count, 0)
    windowed, recurrent = windowed_layers(header, fields, count), recurrent_layers(header, fields, count)
    step = max(1, fields.number("interleave_moe_layer_step", 1)) if arch == "llama4" else 1
    dense = fields.number("leading_dense_block_count", 0) if fields.number("expert_count", 0) else count
    for i in range(count):
        routed = i >= dense and (i + 1) % step == 0
        yield _Layer(heads[i], kv_heads[i], feed_forward[i], routed, windowed[i], recurrent[i])


def _whole_sizes(fields: Fields, arch: str, *, tied: bool) -> dict[str, int]:
    """What all layers have in common."""
    embd, vocab = fields.number("embedding_length"), fields.number("vocab_size")
    altup = 4 if arch == "gemma3n" else 0
    per_layer = 256 if arch == "gemma3n" else fields.number("embedding_length_per_layer_input", 0)
    stretched = fields.number("attention.key_length", 0) if arch == "gemma4" else 0
    return {
        "one": 1, "embd": embd, "vocab": vocab, "untied": 0 if tied or arch in _ALWAYS_TIED else vocab,
        "altup": altup, "altup_less": max(0, altup - 1), "altup_square": altup * altup, "laurel": 64 if altup else 0,
        "per_layer": per_layer, "per_layers": per_layer * fields.number("block_count"),
        "per_layer_embd": embd if per_layer else 0, "half_head": stretched // 2,
    }  # fmt: skip


def _layer_sizes(fields: Fields, arch: str, layer: _Layer) -> dict[str, int]:
    """What a layer has of its own."""
    state = _state_space(fields, arch)
    return {
        **_feed_forward(fields, arch, layer),
        **_attention(fields, arch, layer),
        **_latent(fields, layer),
        **(state if layer.recurrent else dict.fromkeys(state, 0)),
    }


def _attention(fields: Fields, arch: str, layer: _Layer) -> dict[str, int]:
    embd, heads, kv_heads = fields.number("embedding_length"), layer.heads, layer.kv_heads
    usual = embd // heads if heads else 0
    key, value = fields.number("attention.key_length", usual), fields.number("attention.value_length", usual)
    if layer.windowed:
        key = fields.number("attention.key_length_swa", key)
        value = fields.number("attention.value_length_swa", value)
    # one of Nemotron-H's layers is attention, a state, or a feed-forward network
    elsewhere = layer.recurrent and arch != "falcon-h1"
    if elsewhere or (arch.startswith("nemotron_h") and layer.feed_forward):
        heads = kv_heads = key = 0
    q, k, v = heads * key, kv_heads * key, kv_heads * value
    if arch == "gemma4":
        small = fields.number("embedding_length_per_layer_input", 0) > 0
        # the larger ones have no V where a layer sees everything: it is K again
        v *= layer.windowed or small
    normed = arch != "command-r" or fields.number("block_count") >= 64
    return {
        "heads": heads, "head": key, "q": q, "k": k, "v": v, "q2": 2 * q, "qkv": q + k + v, "sinks": heads,
        "normed_heads": heads * normed, "normed_kv_heads": kv_heads * normed, "parallel": embd if kv_heads > 1 else 0,
    }  # fmt: skip


def _latent(fields: Fields, layer: _Layer) -> dict[str, int]:
    """Multi-head latent attention: Q, K and V pass through narrow matrices."""
    rank, kv_rank = fields.number("attention.q_lora_rank", 0), fields.number("attention.kv_lora_rank", 0)
    key, value = fields.number("attention.key_length_mla", 0), fields.number("attention.value_length_mla", 0)
    rope, heads = fields.number("rope.dimension_count", 0), layer.heads
    return {
        "q_rank": rank, "q_latent": heads * key, "q_direct": 0 if rank else heads * key, "kv_rank": kv_rank,
        "kv_rank_rope": kv_rank + rope, "nope": key - rope, "v_latent": value, "v_heads": heads * value,
    }  # fmt: skip


def _feed_forward(fields: Fields, arch: str, layer: _Layer) -> dict[str, int]:
    embd, ff = fields.number("embedding_length"), layer.feed_forward
    routed = layer.routed and (not arch.startswith("nemotron_h") or ff > 0)
    expert = fields.number("expert_count", 0) if routed else 0
    expert_ff = fields.number("expert_feed_forward_length", 0)
    if arch in _EXPERTS_AS_WIDE_AS_DENSE or not expert_ff:
        expert_ff = ff
    shared = _shared(fields, arch, expert_ff) if routed else 0
    if routed and arch not in _DENSE_BESIDE_EXPERTS:
        ff = 0
    return {
        "ff": ff, "ff2": 2 * ff, "ff_embd": embd if ff else 0, "expert": expert, "expert_ff": expert_ff,
        "expert_ff2": 2 * expert_ff, "expert_embd": embd if expert else 0, "shared_ff": shared,
        "shared_embd": embd if shared else 0,
    }  # fmt: skip


def _shared(fields: Fields, arch: str, expert_ff: int) -> int:
    """The width of the expert that every token meets."""
    width, number = fields.number("expert_shared_feed_forward_length", 0), fields.number("expert_shared_count", 0)
    if arch == "llama4":
        return expert_ff
    if arch == "bailingmoe2":
        return (width or expert_ff) * number
    return width or number * expert_ff


def _state_space(fields: Fields, arch: str) -> dict[str, int]:
    embd = fields.number("embedding_length")
    inner, state, conv = (fields.number(f"ssm.{key}", 0) for key in ("inner_size", "state_size", "conv_kernel"))
    groups, dt = fields.number("ssm.group_count", 0), fields.number("ssm.time_step_rank", 0)
    convolved = inner + 2 * groups * state
    short = fields.number("shortconv.l_cache", 0)
    return {
        "inner": inner, "inner2": 2 * inner, "state": state, "conv": conv,
        "groups": 0 if arch == "falcon-h1" else groups,
        "dt": dt, "dt2": 2 * dt, "dt_state": dt + 2 * state, "convolved": convolved,
        "projected": inner + convolved + dt, "inner_group": inner // groups if groups else 0,
        "short": short, "short_embd": embd if short else 0, "short_embd3": 3 * embd,
    }  # fmt: skip
