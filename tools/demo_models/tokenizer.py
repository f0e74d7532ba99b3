"""The byte-level BPE tokenizer that the three demo models share."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import corpus
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

VOCABULARY = 1536
PAD, END, SYSTEM, USER, ASSISTANT = SPECIAL_TOKENS = [
    "<|endoftext|>",
    "<|end|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
]

PRE_TOKENIZER_NAME = "qwen2"
"""What ``tokenizer.ggml.pre`` says; the expression below is llama.cpp's for it."""

PRE_TOKENIZER_EXPRESSION = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
    r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ '<|system|>\\n' + message['content'] + '<|end|>\\n' }}"
    "{% elif message['role'] == 'assistant' %}"
    "{{ '<|assistant|>\\n' + message['content'] + '<|end|>\\n' }}"
    "{% else %}{{ '<|user|>\\n' + message['content'] + '<|end|>\\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)


def render(turns: list[tuple[str, str]], system: str = "") -> list[tuple[str, bool]]:
    """Write a conversation as the template does; the flag marks what is to be learnt."""
    parts: list[tuple[str, bool]] = []
    if system:
        parts.append((f"{SYSTEM}\n{system}{END}\n", False))
    for question, answer in turns:
        parts.append((f"{USER}\n{question}{END}\n{ASSISTANT}\n", False))
        parts.append((f"{answer}{END}", True))
        parts.append(("\n", False))
    return parts


def train_tokenizer(examples: int = 60_000, seed: int = 7) -> Tokenizer:
    """Train the tokenizer on a sample of the corpus."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRE_TOKENIZER_EXPRESSION), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    r = random.Random(seed)
    texts = (
        text
        for _ in range(examples)
        for example in [corpus.training_example(r)]
        for text in (example.prompt, example.answer)
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def sample_texts(count: int, seed: int = 3) -> list[str]:
    """Texts from the corpus, to compare this tokenizer with llama.cpp's."""
    r = random.Random(seed)
    drawn = (corpus.training_example(r) for _ in itertools.count())
    return [f"{e.prompt}\n{e.answer}" for e in itertools.islice(drawn, count)]


def load(path: Path) -> Tokenizer:
    """Read a saved tokenizer."""
    return Tokenizer.from_file(str(path))
