"""One key goes through several choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def after(choices: Sequence[T], chosen: T) -> T:
    """The next one, round and round; the first where the chosen one is not among them any more."""
    return choices[(choices.index(chosen) + 1) % len(choices)] if chosen in choices else choices[0]
