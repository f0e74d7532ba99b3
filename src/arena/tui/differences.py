"""How two answers differ: sentence beside sentence, and in a pair of similar ones, word by word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest

MOST_CHARACTERS = 16_000
"""Of each answer; a model that has gone round in circles for a megabyte is not worth the wait."""
_MOST_SENTENCES = 300
_LONGEST_SENTENCE = 1_000
_ALIKE = 0.4
"""From here on two sentences are told apart by their words."""
_SENTENCE_ENDS = re.compile(r"(?<=[^\W\d][.!?…。])\s+(?=\S)")
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")

Words = tuple[tuple[str, bool], ...]
"""A sentence in pieces, and whether the other answer lacks the piece."""


@dataclass(frozen=True, slots=True)
class Row:
    """A sentence of one answer beside its counterpart in the other."""

    one: Words | None
    other: Words | None
    """None: it has no counterpart."""
    same: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two answers beside each other."""

    rows: tuple[Row, ...]
    cut: bool
    """Whether the answers go on behind the last row."""

    @property
    def in_common(self) -> int:
        """How many sentences both have."""
        return sum(row.same for row in self.rows)


def compare(one: str, other: str) -> Comparison:
    """Compare two clean texts as far as MOST_CHARACTERS. Takes a tenth of a second where it takes long."""
    cut = max(len(one), len(other)) > MOST_CHARACTERS
    left, right = list(_sentences(one[:MOST_CHARACTERS])), list(_sentences(other[:MOST_CHARACTERS]))
    cut = cut or max(len(left), len(right)) > _MOST_SENTENCES
    rows = tuple(_rows(left[:_MOST_SENTENCES], right[:_MOST_SENTENCES]))
    return Comparison(rows, cut)


def _sentences(text: str) -> Iterator[str]:
    """The sentences of a text and the lines of its code, none of them blank."""
    for line in text.split("\n"):
        for sentence in _SENTENCE_ENDS.split(line.rstrip().expandtabs(4)):
            for at in range(0, len(sentence), _LONGEST_SENTENCE):
                if sentence.strip():
                    yield sentence[at : at + _LONGEST_SENTENCE]


def _rows(left: Sequence[str], right: Sequence[str]) -> Iterator[Row]:
    for kind, begin, end, begins, ends in SequenceMatcher(None, left, right).get_opcodes():
        for one, other in zip_longest(left[begin:end], right[begins:ends]):
            if kind == "equal":
                yield Row(((one, False),), ((other, False),), same=True)
            elif one is not None and other is not None:
                yield _pair(one, other)
            else:
                yield Row(
                    ((one, False),) if one is not None else None, ((other, False),) if other is not None else None
                )


def _pair(one: str, other: str) -> Row:
    """Two sentences beside each other. Where they have little in common, no word is pointed at."""
    left, right = _WORDS.findall(one), _WORDS.findall(other)
    matcher = SequenceMatcher(None, left, right)
    if matcher.ratio() < _ALIKE:
        return Row(((one, False),), ((other, False),))
    pieces: list[tuple[str, bool]] = []
    counterparts: list[tuple[str, bool]] = []
    for kind, begin, end, begins, ends in matcher.get_opcodes():
        pieces.append(("".join(left[begin:end]), kind != "equal"))
        counterparts.append(("".join(right[begins:ends]), kind != "equal"))
    return Row(_said(pieces), _said(counterparts))


def _said(pieces: Sequence[tuple[str, bool]]) -> Words:
    return tuple(piece for piece in pieces if piece[0])
