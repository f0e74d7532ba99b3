"""What fits together, and what would make a model fit."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict

from arena.core.machine import Fits


class Terms(TypedDict, total=False):
    """How models would be loaded, where that is not as usual: what a verdict asks besides the machine."""

    context: int | None
    """Tokens for each slot; None: as the settings have it."""
    kv_type: str
    """Usually f16."""
    slots: int
    """Conversations at once, usually one."""


class TogetherVerdict(StrEnum):
    """The answer to 'do they fit at once?'."""

    FITS = "fits"
    SWAPS = "swaps"
    """They do, but Ollama's own rule would unload one for the other."""
    CONTEXT = "context"
    """Only with a shorter context."""
    NO = "no"
    UNKNOWN = "unknown"
    """Of one of them nothing is known."""


@dataclass(frozen=True, slots=True)
class Together:
    """Whether several models can be loaded at once."""

    verdict: TogetherVerdict
    need_bytes: int | None
    """Of all of them together, less what they hold already."""
    free_bytes: int | None
    """Of the devices that `device` names."""
    max_context: int | None
    """The longest context that all of them can have at once, in tokens; 0 when there is none.

    One that was trained for less keeps what it was trained for.
    """
    placement: tuple[str, ...] = ()
    """Where each goes, in their order: `gpu 0`, `gpu 0+1`, `ram`. For CONTEXT at `max_context`; () if nowhere."""
    device: str = ""
    """All devices of the placement as one: `gpu 0+1`; what was tried, if there is no placement."""
    fix: str = ""
    """What would help, as a sentence; '' where nothing has to."""


class LeverKind(StrEnum):
    """What is given up, in the order of what it costs: from nothing of the answers to most of the speed."""

    UNLOAD = "unload"
    SLOTS = "slots"
    KV = "kv"
    CONTEXT = "context"
    QUANTIZATION = "quantization"
    COMBINATION = "combination"
    LAYERS = "layers"
    """Some layers stay in RAM."""


@dataclass(frozen=True, slots=True)
class Lever:
    """One thing that can be done."""

    kind: LeverKind
    what: str
    """A short phrase, such as `context 8192 instead of 32768`."""
    saves_bytes: int
    """Less that the model needs on the device that it is wanted on; of UNLOAD, more that is free there."""
    makes_it_fit: bool
    """With two standard deviations to spare; of LAYERS, both of the parts."""
    verdict: Fits
    """With this lever alone; of LAYERS, PARTIAL."""
