"""Which model to use here: what it is wanted for, and the answer with its reasons."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from arena.core.errors import UsageError
from arena.core.machine import FitVerdict
from arena.core.ratings import Standing
from arena.core.text import clean_line


class Use(StrEnum):
    """What a model is wanted for."""

    GENERAL = "general"
    CODING = "coding"
    REASONING = "reasoning"
    QUICK = "quick"
    """Short answers, soon."""
    CPU = "cpu"
    """Without a GPU, whether there is one or not."""
    PRODUCTION = "production"
    """A service for others: its licence has to allow that."""
    KOREAN = "korean"
    VISION = "vision"

    @property
    def board_tag(self) -> str:
        """The tag of the prompts whose votes count for it; '' for all votes.

        Votes say who answers better: a machine without a GPU, a service or a hurry is in no prompt.
        """
        of_prompts = (Use.CODING, Use.REASONING, Use.KOREAN, Use.VISION)
        return self.value if self in of_prompts else ""


_KOREAN = {
    "범용": Use.GENERAL, "코딩": Use.CODING, "추론": Use.REASONING, "빠른": Use.QUICK, "경량": Use.CPU,
    "프로덕션": Use.PRODUCTION, "서비스": Use.PRODUCTION, "한국어": Use.KOREAN, "비전": Use.VISION,
    "챗봇": Use.GENERAL, "개발": Use.CODING, "개발/학습": Use.CODING, "코드 생성": Use.CODING, "빠른 응답": Use.QUICK,
    "cpu 환경": Use.CPU,
}  # fmt: skip


def use_of(text: str) -> Use:
    """The use that a word names, in English or Korean. Raises UsageError with the list."""
    word = " ".join(unicodedata.normalize("NFC", text).lower().split())  # macOS takes syllables apart
    if word in _KOREAN:
        return _KOREAN[word]
    try:
        return Use(word)
    except ValueError:
        known = ", ".join([*Use, *_KOREAN])
        raise UsageError(f"'{clean_line(text, 40)}' is no use of a model.", f"There are: {known}.") from None


class Basis(StrEnum):
    """Why a model was picked."""

    VOTES = "votes"
    LARGEST = "largest"
    """Of those that can be reached."""
    CATALOGUE = "catalogue"
    """It is not here yet."""


@dataclass(frozen=True, slots=True)
class Pick:
    """One model to use."""

    model: str
    """`ENDPOINT/NAME`; of the catalogue, what `ollama pull` calls it."""
    basis: Basis
    why: str
    """Sentences, with the figures."""
    fit: FitVerdict | None
    """FITS or CPU, with two standard deviations to spare; None: it takes the memory of another machine."""
    standing: Standing | None = None
    """On the user's own board."""
    title: str = ""
    """Its full name, where the catalogue knows it; likewise all below."""
    maker: str = ""
    quantization: str = ""
    parameters: int | None = None
    active_parameters: int | None = None
    """Parameters used per token; None where that is all of them."""
    licence: str = ""
    released: str = ""
    """`2024-07`."""


@dataclass(frozen=True, slots=True)
class Step:
    """One fork on the way to the answer."""

    question: str
    answer: str
    guide: str = ""
    """What the guides' flow chart says here, with the exact figure; '' where it says nothing."""


@dataclass(frozen=True, slots=True)
class Advice:
    """Which model to use here."""

    use: Use
    context: int
    """Tokens that there has to be room for."""
    path: tuple[Step, ...]
    now: str
    """The model to use, of those that can be reached; '' when there is none but toys."""
    fetch: str
    """The model to fetch, as `arena pull` takes it; '' when none would surely fit."""
    by_votes: Pick | None
    votes_note: str
    """Why there is none, or who stands above it; '' when there is nothing to say. Likewise below."""
    largest: Pick | None
    largest_note: str
    catalogue: tuple[Pick, ...]
    """Up to three, the best first, each of another maker."""
    catalogue_note: str
    too_large: tuple[FitVerdict, ...] = ()
    """The first of the catalogue that would have gone before, but for their size: less than twice the room."""
    too_large_notes: tuple[str, ...] = ()
    """For each of `too_large`: the smaller quantization in which it would fit, as a phrase; ''."""
