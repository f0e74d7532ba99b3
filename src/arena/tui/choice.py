"""What was chosen for the rounds to come."""

from __future__ import annotations

from dataclasses import dataclass

from arena.core.models import ModelInfo
from arena.core.prompts import Prompt


@dataclass(frozen=True, slots=True)
class Choice:
    """Who was chosen, and how many of them sit in a round."""

    infos: tuple[ModelInfo, ...]
    seats: int


@dataclass(frozen=True, slots=True)
class FromPast:
    """A prompt that is wanted again."""

    prompt: Prompt
    others: bool = False
    """At once, with models that are to be chosen; else it only goes into the box."""
