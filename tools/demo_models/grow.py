"""Grow a trained model into a wider and deeper one that at first computes the same.

Old weights keep their places. New rows of the residual stream start at zero
and nothing that is new writes into it yet, so the grown model answers exactly
as the old one did, and training goes on from there. Both must have heads of
the same width, because the rotary positions depend on it.
"""

from __future__ import annotations

from math import sqrt

import torch
from model import Llama, Shape
from torch import Tensor

_WRITES_TO_STREAM = ("attn_output.weight", "ffn_down.weight", "token_embd.weight")


def grow(old: dict[str, Tensor], old_shape: Shape, model: Llama) -> None:
    """Load the weights of a smaller model into a new, larger one."""
    if old_shape.head_width != model.shape.head_width:
        raise ValueError("the heads of the two models differ in width")
    # The norm divides by the mean square over all of the stream, of which some is zero now.
    norm_scale = sqrt(old_shape.width / model.shape.width)
    with torch.no_grad():
        for name, weights in model.state_dict().items():
            if name.endswith(_WRITES_TO_STREAM):
                weights.zero_()
            if name not in old:
                continue
            corner = tuple(slice(0, size) for size in old[name].shape)
            weights[corner] = old[name] * (norm_scale if weights.dim() == 1 else 1.0)
