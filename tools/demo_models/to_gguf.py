"""Write a trained demo model as a GGUF file for llama.cpp."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import tokenizer as tokens
import torch
from model import NORM_EPSILON, ROPE_BASE, Shape

AUTHOR = "the arena contributors"
LICENCE = "MIT"
DESCRIPTION = (
    "A toy language model for a first round of arena without a download. "
    "Trained on generated templates only; not useful as an assistant."
)


def write_gguf(checkpoint_path: Path, tokenizer_path: Path, out: Path) -> None:
    """Convert a checkpoint and the tokenizer to one GGUF file.

    What the training took goes into the file as well, from where the model
    card takes it.
    """
    checkpoint = torch.load(checkpoint_path, weights_only=True)
    shape, figures = Shape(**checkpoint["shape"]), checkpoint["figures"]
    writer = gguf.GGUFWriter(str(out), "llama")
    _write_description(writer, shape)
    writer.add_uint32("arena.training.parameters", int(figures["parameters"]))
    writer.add_float32("arena.training.million_tokens", figures["million_tokens"])
    writer.add_float32("arena.training.minutes", figures["minutes"])
    _write_tokenizer(writer, json.loads(tokenizer_path.read_text(encoding="utf-8")))
    for name, tensor in checkpoint["state"].items():
        values = tensor.float().numpy()
        if values.ndim == 1:
            writer.add_tensor(name, values.astype(np.float32))
        else:
            quantized = gguf.quantize(values, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(name, quantized, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_description(writer: gguf.GGUFWriter, shape: Shape) -> None:
    writer.add_name(f"arena demo {shape.name}")
    writer.add_author(AUTHOR)
    writer.add_license(LICENCE)
    writer.add_description(DESCRIPTION)
    writer.add_languages(["en", "ko"])
    writer.add_tags(["toy", "demo", "text-generation"])
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(NORM_EPSILON)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)


def _write_tokenizer(writer: gguf.GGUFWriter, saved: dict[str, Any]) -> None:
    vocabulary: dict[str, int] = saved["model"]["vocab"]
    merges = [m if isinstance(m, str) else " ".join(m) for m in saved["model"]["merges"]]
    token_list = sorted(vocabulary, key=vocabulary.__getitem__)
    special = set(tokens.SPECIAL_TOKENS)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(tokens.PRE_TOKENIZER_NAME)
    writer.add_token_list(token_list)
    writer.add_token_types(
        [gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in token_list]
    )
    writer.add_token_merges(merges)
    writer.add_bos_token_id(vocabulary[tokens.PAD])
    writer.add_eos_token_id(vocabulary[tokens.END])
    writer.add_eot_token_id(vocabulary[tokens.END])
    writer.add_pad_token_id(vocabulary[tokens.PAD])
    writer.add_add_bos_token(value=False)
    writer.add_add_eos_token(value=False)
    writer.add_chat_template(tokens.CHAT_TEMPLATE)
