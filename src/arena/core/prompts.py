"""A prompt: what is asked of every seat of a round."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

_VARIABLE = re.compile(r"\{\{[ \t]*([^\W\d]\w{0,63})[ \t]*\}\}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question with its tags."""

    text: str
    slug: str = ""
    """Stable name inside its pack, such as `demo/capital-france`; empty for a typed prompt."""
    title: str = ""
    system: str = ""
    """System message sent with it, to every seat alike."""
    tags: tuple[str, ...] = ()
    """Tags of the leaderboard: general, coding, reasoning, writing, korean, demo."""
    language: str = ""
    """`en`, `ko`, ...; guessed from the text when empty."""
    stored: bool = True
    """Whether what is asked and answered may be written down. If not, only figures and the vote are."""

    @property
    def sha256(self) -> str:
        """Identity of what is asked: hex digest over system message and text."""
        payload = f"{self.system}\0{self.text}".encode("utf-8", "replace")
        return hashlib.sha256(payload).hexdigest()

    @property
    def guessed_language(self) -> str:
        """`language`, or `ko` when the text holds Hangul, else `en`."""
        if self.language:
            return self.language
        return "ko" if any("\uac00" <= char <= "\ud7a3" for char in self.text) else "en"

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of its `{{name}}` in their order. They mean something in a pack, and nothing in what was typed."""
        return tuple(dict.fromkeys(_VARIABLE.findall(f"{self.text}\n{self.system}")))

    def filled(self, values: Mapping[str, str]) -> Prompt:
        """The prompt with these in the place of its variables. What is filled in is never read as a variable."""

        def fill(text: str) -> str:
            return _VARIABLE.sub(lambda found: values.get(found[1], found[0]), text)

        return replace(self, text=fill(self.text), system=fill(self.system))


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation with one model, as it goes into the next request."""

    question: str
    answer: str
    """As the model wrote it, without its thinking."""


@dataclass(frozen=True, slots=True)
class Pack:
    """A named collection of prompts."""

    name: str
    title: str
    description: str
    prompts: tuple[Prompt, ...]
    source: str = ""
    """The file it was read from."""
