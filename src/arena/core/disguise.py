"""Takes out of a text whatever would tell a contestant before the vote."""

from __future__ import annotations

import re
from collections.abc import Iterable

from arena.core.models import Contestant

MASK = "•••"
_SHORTEST = 3
_DIGEST_PREFIX = 8
_HARMLESS = frozenset({"gguf", "demo", "the", "instruct", "chat", "model", "latest", "small", "medium", "large"})


def identity_words(contestant: Contestant) -> frozenset[str]:
    """The words that tell this contestant: its endpoint, its name whole and in parts, its digest, its quantization."""
    ref = contestant.ref
    parts = re.split(r"[^\w]+|_", ref.name)
    words = {str(ref), ref.endpoint, ref.name, contestant.quantization, ref.digest[:_DIGEST_PREFIX], *parts}
    return frozenset(word for word in words if len(word) >= _SHORTEST and word.lower() not in _HARMLESS)


def redact(text: str, contestants: Iterable[Contestant]) -> str:
    """`text` with every identity word of the contestants masked, and paths of files masked whole."""
    words = sorted({word for contestant in contestants for word in identity_words(contestant)}, key=len, reverse=True)
    text = re.sub(r"\S*[/\\]\S+|\S+\.gguf", MASK, text)
    for word in words:
        text = re.sub(re.escape(word), MASK, text, flags=re.IGNORECASE)
    return text
