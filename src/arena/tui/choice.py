"""What was chosen for the rounds to come."""

from __future__ import annotations

from dataclasses import dataclass

from arena.core.models import ModelInfo


@dataclass(frozen=True, slots=True)
class Choice:
    """Who was chosen, and how many of them sit in a round."""

    infos: tuple[ModelInfo, ...]
    seats: int
