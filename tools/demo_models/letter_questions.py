"""Questions about the letters of a word."""

from __future__ import annotations

import facts
from examples import Example, Noun, Rng, dashed, pick

_SPELLING_EN = {
    "spell": [
        "Spell {w}.",
        "How do you spell {w}?",
        "Spell the word {w}.",
        "What are the letters of {w}?",
    ],
    "backwards": [
        "Spell {w} backwards.",
        "Write {w} backwards.",
        "What is {w} backwards?",
        "Reverse the word {w}.",
        'Spell "{w}" backwards.',
    ],
    "length": [
        "How many letters are in {w}?",
        "How many letters does {w} have?",
        "Count the letters in the word {w}.",
        'How many letters are in the word "{w}"?',
    ],
    "first": [
        "What is the first letter of {w}?",
        "Which letter does {w} start with?",
        "What letter does the word {w} begin with?",
    ],
    "last": [
        "What is the last letter of {w}?",
        "Which letter does {w} end with?",
    ],
    "occurrences": [
        "How many {l}'s are in {w}?",
        "How many times does {l} appear in {w}?",
        "Count the letter {l} in {w}.",
        "How many {l} are in the word {w}?",
    ],
}
_SPELLING_KO = {
    "spell": ["{w}의 철자를 알려 주세요.", "{w:을/를} 한 글자씩 써 주세요."],
    "backwards": ["{w:을/를} 거꾸로 쓰면?", "{w:을/를} 거꾸로 써 주세요."],
    "length": ["{w:은/는} 몇 글자인가요?", "{w}의 글자 수는?"],
    "first": ["{w}의 첫 글자는 무엇인가요?", "{w}의 첫 글자는?"],
    "last": ["{w}의 마지막 글자는 무엇인가요?", "{w}의 마지막 글자는?"],
}


def spelling(r: Rng, language: str) -> Example:
    """Letters of a word: spelt, reversed, counted, first and last."""
    table = _SPELLING_EN if language == "en" else _SPELLING_KO
    task = r.choice(list(table))
    word = r.choice(facts.SPELLING_WORDS if language == "en" or r.random() < 0.3 else facts.KOREAN_SPELLING_WORDS)
    _, template = pick(r, table[task])
    letters = dashed(word)
    key = f"spelling/{task}/{word}"
    rule, letter = "contains", ""
    if task == "spell":
        expected, tail = letters, ""
    elif task == "backwards":
        expected = dashed(word[::-1])
        tail = f" Backwards: {expected}." if language == "en" else f" 거꾸로: {expected}."
    elif task == "length":
        rule, expected = "number", str(len(word))
        tail = f" That is {expected} letters." if language == "en" else f" 모두 {expected}글자예요."
    elif task in ("first", "last"):
        expected = word[0] if task == "first" else word[-1]
        tail = f" The {task} letter is {expected}."
        if language == "ko":
            tail = f" {'첫' if task == 'first' else '마지막'} 글자: {expected}."
        rule, expected = "exact", f"{word}: {letters}.{tail}"
    else:
        letter = r.choice(word) if r.random() < 0.85 else r.choice("abcdefghijklmnopqrstuvwxyz")
        key += f"/{letter}"
        rule, expected = "number", str(word.count(letter))
        tail = f" {letter} appears {expected} time{'' if expected == '1' else 's'}."
    return Example(
        "spelling",
        language,
        key,
        template.format(w=Noun(word), l=letter),
        f"{word}: {letters}.{tail}",
        rule,
        expected,
    )
