"""Variants: what one contestant may have different from the others, such as `temperature=0,thinking=off`."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import Any

from arena.core.errors import UsageError
from arena.core.text import clean_line

# What of the sampler decides which tokens come, and so belongs to the identity of a contestant.
# The seed is the round's, and max_tokens only cuts: an answer cut short is flagged instead.
SAMPLERS = ("temperature", "top_p", "top_k", "min_p", "repeat_penalty")
KV_TYPES = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")
THINKING = ("default", "on", "off", "low", "medium", "high")
MOST_WHOLE = 2**31 - 1
"""The most that a whole number of a setting can be: engines hold them in 32 bits."""


@dataclass(frozen=True, slots=True)
class Variant:
    """What one contestant has different from the others of a round. None: as the round has it."""

    context: int | None = None
    kv_type: str | None = None
    """One of KV_TYPES."""
    thinking: str | None = None
    """One of THINKING."""
    system: str | None = None
    samplers: tuple[tuple[str, float], ...] = ()
    """(name, value) pairs, names out of SAMPLERS, sorted."""

    def __str__(self) -> str:
        """As `parse` reads it: `context=8192,thinking=off`; empty when nothing is different."""
        return ",".join(f"{key}={_shown(value)}" for key, value in self.set)

    @property
    def set(self) -> tuple[tuple[str, Any], ...]:
        """(key, value) of everything that is different."""
        own = (("context", self.context), ("kv_type", self.kv_type), ("thinking", self.thinking))
        system = (("system", self.system),)
        return tuple((key, value) for key, value in (*own, *self.samplers, *system) if value is not None)

    @classmethod
    def parse(cls, text: str) -> Variant:
        """Read `temperature=0,thinking=off`. Raises UsageError.

        The keys are context, kv_type, thinking, system and the names of the samplers. A value of `system` can hold
        no comma that is followed by KEY=.
        """
        variant = cls()
        for part in _parts(text):
            key, _, value = part.partition("=")
            variant = variant.having(key.strip(), value.strip())
        return variant

    def having(self, key: str, value: str) -> Variant:
        """The same with one more thing different. Raises UsageError for what there is not."""
        key = _SHORT.get(key, key)
        if key not in _KEYS:
            close = difflib.get_close_matches(key, _KEYS, 1)
            hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(_KEYS)}."
            raise UsageError(f"A contestant has no setting '{key}'.", hint)
        if key == "system":
            return replace(self, system=value)
        choices = {"kv_type": KV_TYPES, "thinking": THINKING}.get(key)
        if choices:
            if value not in choices:
                raise UsageError(f"{key} can't be '{value}'.", f"It is one of: {', '.join(choices)}.")
            return replace(self, **{key: value})  # type: ignore[arg-type]
        if key == "context":
            return replace(self, context=whole(key, value, _LEAST_CONTEXT))
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        least, most = _RANGES.get(key, (0.0, _MOST))
        if not least <= number <= most or (key == "top_k" and number != int(number)):
            kind = "a whole number" if key == "top_k" else "a number"
            span = f"from {least:g} to {most:g}" if most < _MOST else f"{least:g} or more"
            raise UsageError(f"{key} can't be '{value}'.", f"It is {kind}, {span}.")
        others = {**dict(self.samplers), key: number}
        return replace(self, samplers=tuple(sorted(others.items())))


def whole(key: str, text: str, least: int) -> int:
    """The whole number that a setting was given, from `least` to MOST_WHOLE. Raises UsageError."""
    digits = len(str(MOST_WHOLE))
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= digits else -1
    if not least <= number <= MOST_WHOLE:
        raise UsageError(f"{key} can't be '{clean_line(text, 40)}'.", f"It is a whole number, {least} or more.")
    return number


_KEYS = ("context", "kv_type", "thinking", "system", *SAMPLERS)
_SHORT = {"ctx": "context", "num_ctx": "context", "kv": "kv_type", "think": "thinking", "temp": "temperature"}
_LEAST_CONTEXT = 16
_MOST = 1e9
_RANGES = {"top_p": (0.0, 1.0), "min_p": (0.0, 1.0), "repeat_penalty": (0.1, _MOST)}


def _shown(value: object) -> str:
    """A number without the `.0` of whole ones, and with all its digits."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def split_variant(text: str) -> tuple[str, Variant]:
    """`demo/large,temperature=0` is a name and what is different. A comma that no KEY= follows is part of the name."""
    name, *parts = _parts(text)
    return name.strip(), Variant.parse(",".join(parts)) if parts else Variant()


def _parts(text: str) -> list[str]:
    """Cut at each comma that a known KEY= follows."""
    parts: list[str] = []
    for piece in text.split(","):
        key = piece.partition("=")[0].strip()
        if parts and not ("=" in piece and key.isidentifier()):
            parts[-1] += f",{piece}"
        else:
            parts.append(piece)
    return parts
