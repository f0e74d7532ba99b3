"""What an example is, and small helpers for writing questions in English and Korean."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

Rng = random.Random


@dataclass(frozen=True)
class Example:
    """One question with its answer, and how an answer to it is scored."""

    kind: str
    language: str
    key: str
    prompt: str
    answer: str
    rule: str = ""
    """``exact``, ``number``, ``contains`` or ``bullets``; empty: not scored."""
    expected: str = ""


class Noun(str):
    """A Korean noun or a number that takes its particle from the format: ``{noun:은/는}``."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        """Write the noun with the particle that is asked for."""
        return particle(str(self), spec) if spec else str(self)


def particle(word: str, pair: str) -> str:
    """Append the Korean particle that fits the last sound of a word.

    The pair names both forms, the one after a final consonant first: ``은/는``.
    """
    after_consonant, after_vowel = pair.split("/")
    last = ord(word[-1])
    has_final = 0xAC00 <= last <= 0xD7A3 and (last - 0xAC00) % 28 != 0
    has_final = has_final or word[-1] in "013678"  # as these digits are read in Korean
    return word + (after_consonant if has_final else after_vowel)


def with_article(noun: str) -> str:
    """Put ``a`` or ``an`` before a noun."""
    return ("an " if noun[0].lower() in "aeiou" else "a ") + noun


def plural(noun: str, count: int = 2) -> str:
    """The plural of a regular English noun, or the noun itself for one."""
    if count == 1:
        return noun
    irregular = {"mouse": "mice", "fish": "fish", "sheep": "sheep", "wolf": "wolves"}
    if noun in irregular:
        return irregular[noun]
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


def dashed(word: str) -> str:
    """Write a word letter by letter: ``c-a-t``."""
    return "-".join(word)


def pick(r: Rng, options: Sequence[str]) -> tuple[int, str]:
    """Choose one phrasing; its number becomes part of the key."""
    index = r.randrange(len(options))
    return index, options[index]
