"""Sampling settings as somebody types them, and what is different about them."""

from __future__ import annotations

from dataclasses import asdict, replace

from arena.core.models import Sampling
from arena.core.variants import Variant, whole

_WHOLE = {"seed": 0, "max_tokens": 1}
"""The settings that no contestant can have for itself, and the least that each can be."""


def adjusted(sampling: Sampling, name: str, text: str) -> Sampling:
    """The same with one setting as it was typed. Raises UsageError."""
    text = text.strip()
    if name in _WHOLE:
        return replace(sampling, **{name: whole(name, text, _WHOLE[name])})
    variant = Variant().having(name, text)
    if variant.context is not None:
        return replace(sampling, context=variant.context)
    ((_, value),) = variant.samplers
    return replace(sampling, **{name: int(value) if name == "top_k" else value})  # type: ignore[arg-type]


def as_typed(value: float) -> str:
    """`0.7`, `1048576`: a setting as one would type it, with all of its digits."""
    return f"{value:.12g}"


def differing(sampling: Sampling, usual: Sampling) -> list[str]:
    """`temperature=0`, ...: what is not as usual."""
    before = asdict(usual)
    return [f"{name}={as_typed(value)}" for name, value in asdict(sampling).items() if value != before[name]]
