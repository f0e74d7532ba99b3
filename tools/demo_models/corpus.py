"""Generate the questions and answers on which the demo models are trained.

Only the standard library is used and everything is drawn from a seeded
generator, so that the same seed always gives the same corpus.

Each example has a *key*, its canonical question: the numbers of a sum, a
country together with the phrasing that asks for its capital, and so on.
A hash of the key decides whether the example is held out, so that no held-out
question, however it is phrased casually, is ever seen in training.

Run ``python corpus.py`` to look at a few examples of each kind.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from examples import Example, Rng
from fact_questions import animal, calendar, capital, colour, opposite, translation
from letter_questions import spelling
from number_questions import arithmetic, comparison, counting, sort_numbers, sort_words, word_problem
from talk_questions import fallback, identity, small_talk
from writing_questions import listing, python_function, story

HELD_OUT_SHARE = 0.06
"""The part of all canonical questions that is never shown in training."""


@dataclass(frozen=True)
class Conversation:
    """What one training document holds: an optional system text and some turns."""

    system: str = ""
    turns: list[tuple[str, str]] = field(default_factory=list)


def is_held_out(key: str) -> bool:
    """Decide by the hash of the canonical question whether it is held out."""
    digest = hashlib.sha256(key.encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 < HELD_OUT_SHARE


KINDS: dict[Callable[[Rng, str], Example], float] = {
    arithmetic: 20,
    word_problem: 6,
    comparison: 4,
    sort_numbers: 7,
    sort_words: 4,
    counting: 6,
    spelling: 11,
    capital: 8,
    animal: 6,
    opposite: 4,
    colour: 3,
    calendar: 4,
    translation: 12,
    listing: 4,
    python_function: 5,
    story: 5,
    identity: 2,
    small_talk: 3,
    fallback: 6,
}
"""How often each kind of example is drawn."""

KOREAN_SHARE = 0.42

_ENGLISH_PREFIXES = [
    "Please tell me: ", "Can you tell me: ", "Can you tell me ", "Hi! ", "Hello, ", "Hey, ",
    "Quick question: ", "I want to know: ", "Question: ", "Please ", "Could you please ",
    "Can you ", "So, ", "Now ", "Answer this: ",
]  # fmt: skip
_KOREAN_PREFIXES = ["안녕하세요. ", "안녕! ", "질문이 있어요. ", "음, ", "그럼 ", "혹시 ", "질문: "]
_BEFORE_COMMANDS = ("Please ", "Could you please ", "Can you ")
_QUESTION = re.compile(r"(What|Which|How|Who|Where|Why) ")
_COMMAND = re.compile(
    r"^(Sort|Count|Write|Spell|Name|List|Give|Tell|Add|Subtract|Multiply|Calculate|Translate|"
    r"Put|Order|Explain|Describe|Reverse)\b"
)


def casual(r: Rng, prompt: str, language: str) -> str:
    """Vary a question the way people do: case, punctuation, politeness."""
    if r.random() < 0.55:
        return prompt
    return (_casual_english if language == "en" else _casual_korean)(r, prompt) or prompt


def _casual_english(r: Rng, prompt: str) -> str:
    text = prompt
    roll = r.random()
    if roll < 0.35:
        prefix = r.choice(_ENGLISH_PREFIXES)
        if (prefix in _BEFORE_COMMANDS) != bool(_COMMAND.match(text)):
            prefix = r.choice(["Hi! ", "Hey, ", "Question: "])
        if not prefix.endswith("! ") and (_COMMAND.match(text) or _QUESTION.match(text)):
            text = text[0].lower() + text[1:]
        text = prefix + text
    elif roll < 0.5 and text[-1] in ".?":
        text = text[:-1] + r.choice([", please?", " please", ", please.", " please?"])
    if r.random() < 0.5:
        text = text.rstrip("?.!")
    return text.lower() if r.random() < 0.4 else text


def _casual_korean(r: Rng, prompt: str) -> str:
    text = prompt
    roll = r.random()
    if roll < 0.3:
        text = r.choice(_KOREAN_PREFIXES) + text
    elif roll < 0.4 and text.endswith("?"):
        text += r.choice([" 알려 주세요.", " 알려줘"])
    return text.rstrip("?.!") if r.random() < 0.6 else text


def draw(r: Rng) -> Example:
    """Draw one example of any kind, held out or not, with its plain phrasing."""
    kind = r.choices(list(KINDS), list(KINDS.values()))[0]
    language = "ko" if r.random() < KOREAN_SHARE else "en"
    return kind(r, language)


def training_example(r: Rng) -> Example:
    """Draw one example that is not held out, casually varied."""
    while True:
        example = draw(r)
        if not (example.key and is_held_out(example.key)):
            return replace(example, prompt=casual(r, example.prompt, example.language))


_SYSTEM_TEXTS = [
    "You are a helpful assistant.", "You are a helpful, honest assistant.", "Be brief.",
    "Answer in one sentence.", "You are a friendly teacher.", "Answer shortly and correctly.",
    "You are arena.", "Be kind and clear.", "You are an expert in everything.",
    "당신은 친절한 도우미입니다.", "짧게 대답하세요.", "당신은 좋은 선생님입니다.",
]  # fmt: skip


def conversation(r: Rng, *, long: bool = False) -> Conversation:
    """One training document: mostly one turn, sometimes several, at times a system text.

    A long conversation goes on for several turns, so that the whole context is used.
    """
    count = r.randint(3, 11) if long else r.choices([1, 2, 3, 5], [88, 7, 4, 1])[0]
    turns = []
    for _ in range(count):
        example = training_example(r)
        turns.append((example.prompt, example.answer))
    return Conversation(r.choice(_SYSTEM_TEXTS) if r.random() < 0.06 else "", turns)


def conversations(seed: int, *, long: bool = False) -> Iterator[Conversation]:
    """An endless stream of training documents."""
    r = random.Random(seed)
    while True:
        yield conversation(r, long=long)


SCORED: dict[str, int] = {
    "arithmetic": 28,
    "word problem": 16,
    "comparison": 12,
    "sorting": 20,
    "counting": 16,
    "spelling": 24,
    "capitals": 18,
    "animals": 12,
    "opposites": 10,
    "colours": 8,
    "calendar": 8,
    "translation": 16,
    "lists": 4,
    "python": 4,
    "unknown": 4,
}
"""How many held-out questions of each kind there are, half in each language."""


def held_out_questions(seed: int = 20) -> list[Example]:
    """200 held-out questions with their plain phrasing, balanced over kinds and languages."""
    r = random.Random(seed)
    wanted = {(kind, lang): n // 2 for kind, n in SCORED.items() for lang in ("en", "ko")}
    found: list[Example] = []
    seen: set[str] = set()
    while any(wanted.values()):
        generator = r.choice(list(KINDS))
        example = generator(r, r.choice(["en", "ko"]))
        slot = (example.kind, example.language)
        if wanted.get(slot, 0) and example.rule and is_held_out(example.key) and example.prompt not in seen:
            wanted[slot] -= 1
            seen.add(example.prompt)
            found.append(example)
    order = list(SCORED)
    return sorted(found, key=lambda e: (order.index(e.kind), e.language))


def is_right(reply: str, rule: str, expected: str) -> bool:
    """Score a reply by the rule of its question.

    ``exact``: the whole reply, but for surrounding space and a final full stop.
    ``number``: the last number in the reply.
    ``contains``: the expected text occurs, not as a part of a longer word or number.
    ``bullets``: exactly that many lines, all of them different Markdown bullets.
    """
    reply = reply.strip()
    if rule == "exact":
        return reply.rstrip(".") == expected.strip().rstrip(".")
    if rule == "number":
        numbers = re.findall(r"\d+", reply)
        return bool(numbers) and numbers[-1] == expected
    if rule == "contains":
        pattern = r"(?<![A-Za-z0-9\-])" + re.escape(expected) + r"(?![A-Za-z0-9\-])"
        return re.search(pattern, reply, re.IGNORECASE) is not None
    if rule == "bullets":
        lines = reply.splitlines()
        bullets = {line for line in lines if line.startswith("- ") and len(line) > 2}
        return len(lines) == len(bullets) == int(expected)
    raise ValueError(f"unknown rule: {rule}")


def main() -> None:
    """Print a few examples of each kind."""
    r = random.Random(1)
    for kind in KINDS:
        for language in ("en", "en", "ko", "ko"):
            example = kind(r, language)
            prompt = casual(r, example.prompt, language)
            print(f"[{example.kind}/{language}] {prompt}\n    -> {example.answer}")


if __name__ == "__main__":
    main()
