"""A small Llama-style transformer, laid out as llama.cpp expects it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

NORM_EPSILON = 1e-5
ROPE_BASE = 10_000.0


@dataclass(frozen=True)
class Shape:
    """The size of one model."""

    name: str
    width: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    context: int = 512

    @property
    def head_width(self) -> int:
        """The width of one attention head."""
        return self.width // self.heads


class Block(nn.Module):
    """Attention with rotary positions, then a SwiGLU feed-forward layer."""

    def __init__(self, shape: Shape) -> None:
        """Make the matrices of the block."""
        super().__init__()
        self.heads = shape.heads
        width, wide = shape.width, shape.feed_forward
        self.attn_norm = nn.RMSNorm(width, NORM_EPSILON)
        self.attn_q = nn.Linear(width, width, bias=False)
        self.attn_k = nn.Linear(width, width, bias=False)
        self.attn_v = nn.Linear(width, width, bias=False)
        self.attn_output = nn.Linear(width, width, bias=False)
        self.ffn_norm = nn.RMSNorm(width, NORM_EPSILON)
        self.ffn_gate = nn.Linear(width, wide, bias=False)
        self.ffn_up = nn.Linear(width, wide, bias=False)
        self.ffn_down = nn.Linear(wide, width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        """Run the block; ``mask`` is added to the attention scores."""
        batch, length, width = x.shape

        def heads(t: Tensor) -> Tensor:
            return t.view(batch, length, self.heads, width // self.heads).transpose(1, 2)

        h = self.attn_norm(x)
        q, k, v = heads(self.attn_q(h)), heads(self.attn_k(h)), heads(self.attn_v(h))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.attn_output(mixed.transpose(1, 2).reshape(batch, length, width))
        h = self.ffn_norm(x)
        return x + self.ffn_down(functional.silu(self.ffn_gate(h)) * self.ffn_up(h))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions over neighbouring pairs, as llama.cpp does for Llama."""
    even, odd = x[..., ::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)


class Llama(nn.Module):
    """The language model; input and output embeddings are shared."""

    cos: Tensor
    sin: Tensor

    def __init__(self, shape: Shape) -> None:
        """Make the model with random weights."""
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocabulary, shape.width)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = nn.RMSNorm(shape.width, NORM_EPSILON)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                residual = name.endswith(("attn_output.weight", "ffn_down.weight"))
                nn.init.normal_(parameter, 0.0, 0.02 / (2 * shape.layers) ** 0.5 if residual else 0.02)
        half = torch.arange(0, shape.head_width, 2) / shape.head_width
        angles = torch.outer(torch.arange(shape.context), ROPE_BASE**-half)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def hidden(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """The last hidden states of a batch of token rows."""
        x = self.token_embd(tokens)
        length = tokens.shape[1]
        for block in self.blk:
            x = block(x, self.cos[:length], self.sin[:length], mask)
        return self.output_norm(x)

    def loss(self, inputs: Tensor, targets: Tensor, mask: Tensor, learn: Tensor) -> Tensor:
        """Mean cross entropy over those targets that are to be learnt."""
        hidden = self.hidden(inputs, mask)[learn]
        logits = functional.linear(hidden, self.token_embd.weight)
        return functional.cross_entropy(logits.float(), targets[learn])

    def parameter_count(self) -> int:
        """The number of trained numbers."""
        return sum(p.numel() for p in self.parameters())
