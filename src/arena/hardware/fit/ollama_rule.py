"""Ollama's own rule for what stays loaded: coarser than what physically fits, and what decides all the same.

Source: Ollama at fb30760, server/sched.go (`load`, `selectLlamaServerPlacement`, `automaticGenerationBatch`) and
llm/llama_server.go (`PredictServerVRAM`). It knows the file's size and a 16-bit cache of the whole context in every
layer; sliding windows, quantized caches and compute buffers it does not know. Later releases keep a reserve on each
GPU instead of 20 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from arena.core.errors import ArenaError
from arena.core.gguf import GgufHeader
from arena.core.machine import GIB, MIB
from arena.core.text import clean_line

MODELS_PER_GPU = 3
"""How many models it keeps per GPU unless OLLAMA_MAX_LOADED_MODELS says otherwise; as many without a GPU."""

_USED_PERCENT = 80
# context above which a batch is chosen, what it adds to the prediction, the share of free memory under which it is
_BATCHES = ((32_768, 2 * GIB, 60), (4_096, 768 * MIB, 75))
_CACHE_BYTES = 2


@dataclass(frozen=True, slots=True)
class OllamaFacts:
    """All that Ollama's prediction asks of a model."""

    file_bytes: int
    layers: int
    """As the header says, those that only guess ahead included."""
    least_kv_heads: int
    """The smallest number in any layer. A layer without attention has 0, and Ollama then takes 1 for all of them."""
    embedding: int
    most_heads: int
    """The largest number in any layer."""
    trained: int | None = None
    """The longest context that the model was trained for, in tokens: longer ones are cut before the prediction."""

    def predicted_bytes(self, context: int, slots: int = 1) -> int:
        """What Ollama believes the model takes. `context` is in tokens per slot."""
        tokens = min(context, self.trained or context) * slots
        width = self.embedding // self.most_heads if self.most_heads else 0
        return self.file_bytes + 2 * self.layers * (self.least_kv_heads or 1) * width * tokens * _CACHE_BYTES


@dataclass(frozen=True, slots=True)
class Load:
    """One model in the order in which they are loaded."""

    facts: OllamaFacts | None
    """None: it is not run by Ollama."""
    context: int
    """Tokens per slot."""
    taken: tuple[int, ...]
    """What it really takes of each GPU where this program would put it, in bytes."""
    slots: int = 1
    resident: bool = False
    """It is loaded already, and what it takes is missing from what is free."""


@dataclass(frozen=True, slots=True)
class Eviction:
    """Ollama would unload a model to load another, though there may be room."""

    index: int
    """Of the model that is to be loaded."""
    predicted_bytes: int
    limit_bytes: int
    """What it would have had to be below; 0 where the number of loaded models is the limit."""


def facts_of(header: GgufHeader) -> OllamaFacts:
    """What Ollama reads from a header. Raises ArenaError for one without layers or a width."""
    layers, embedding = header.field("block_count"), header.field("embedding_length")
    if not isinstance(layers, int) or not isinstance(embedding, int):
        name = clean_line(header.path.name)
        raise ArenaError(f"The header of '{name}' gives no layers or no width.", "Without that nobody can predict it.")
    return OllamaFacts(
        file_bytes=header.file_bytes,
        layers=layers,
        least_kv_heads=min(_numbers(header, "attention.head_count_kv")),
        embedding=embedding,
        most_heads=max(_numbers(header, "attention.head_count")),
        trained=header.context_length,
    )


def _numbers(header: GgufHeader, key: str) -> tuple[int, ...]:
    """One number, or one for each layer; 1 where there is none, as in Ollama."""
    value = header.field(key)
    values = value if isinstance(value, tuple) else (value,)
    return tuple(item for item in values if isinstance(item, int)) or (1,)


def eviction(loads: Sequence[Load], free: Sequence[int], *, max_loaded: int | None = None) -> Eviction | None:
    """The first load for which Ollama would unload another of its models; None when all of them stay.

    `free`: bytes free on each GPU before the first load; without a GPU nothing is predicted. `max_loaded`: what
    OLLAMA_MAX_LOADED_MODELS says, where it says something.
    """
    left = list(free)
    most = max_loaded or MODELS_PER_GPU * max(1, len(free))
    count = sum(load.facts is not None and load.resident for load in loads)
    for index, load in enumerate(loads):
        if load.resident:
            continue
        if load.facts is None:
            left = [room - taken for room, taken in zip(left, load.taken, strict=True)]
            continue
        if count >= most:
            return Eviction(index, load.facts.predicted_bytes(load.context, load.slots), 0)
        if free:
            chosen, predicted = _placed(load, load.facts, left)
            limit = sum(left[gpu] for gpu in chosen) * _USED_PERCENT // 100
            if count and predicted > limit:
                return Eviction(index, predicted, limit)
            left = _taken_from(left, chosen, sum(load.taken))
        count += 1
    return None


def _placed(load: Load, facts: OllamaFacts, left: Sequence[int]) -> tuple[tuple[int, ...], int]:
    """Which GPUs Ollama gives the model, and what it predicts there with the batch that it chooses.

    One GPU where the model takes less than 80 % of what is free, the emptiest of those, else all of them.
    """
    room = [max(0, each) for each in left]
    predicted = facts.predicted_bytes(load.context, load.slots)
    roomy = [gpu for gpu, each in enumerate(room) if predicted <= each * _USED_PERCENT // 100]
    chosen = (max(roomy, key=lambda gpu: room[gpu]),) if roomy else tuple(range(len(room)))
    tokens = min(load.context, facts.trained or load.context) * load.slots
    return chosen, predicted + _batch_bytes(tokens, predicted, sum(room[gpu] for gpu in chosen))


def _batch_bytes(tokens: int, predicted: int, free: int) -> int:
    """What Ollama adds for the batch: a larger one for a long context, as far as there is room for it."""
    for above, added, percent in _BATCHES:
        fits = predicted + added <= free * _USED_PERCENT // 100
        if tokens > above and fits and predicted <= free * percent // 100:
            return added
    return 0


def _taken_from(left: Sequence[int], chosen: Sequence[int], taken: int) -> list[int]:
    """What is left when a model lies on those GPUs; over several it goes by what is free, as llama.cpp does it."""
    room = sum(max(0, left[gpu]) for gpu in chosen)
    shares = {gpu: max(0, left[gpu]) / room if room else 1 / len(chosen) for gpu in chosen}
    return [each - round(taken * shares.get(gpu, 0)) for gpu, each in enumerate(left)]
