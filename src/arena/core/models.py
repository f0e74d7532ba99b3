"""Models and contestants: what can answer, and what counts as the same answerer."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from arena.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class ModelRef:
    """The address of a model: `ollama/qwen3:8b`, `demo/large`, `gguf/qwen3-4b-q4_k_m`."""

    endpoint: str
    """Where it answers: `demo`, `gguf`, `ollama`, or the name of a configured server."""
    name: str
    """Its name there. May hold slashes and colons."""
    digest: str = ""
    """Content digest, lower-case hex; empty when the endpoint gives none."""

    def __str__(self) -> str:
        """`ENDPOINT/NAME`."""
        return f"{self.endpoint}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> ModelRef:
        """Read `ENDPOINT/NAME`; a path that ends in .gguf is its own name at the endpoint `gguf`."""
        text = text.strip()
        if text.lower().endswith(".gguf") and not text.startswith("gguf/"):
            return cls("gguf", text)
        endpoint, slash, name = text.partition("/")
        if not (endpoint and slash and name):
            raise UsageError(
                f"'{text}' is no model name.",
                "Write ENDPOINT/NAME, such as demo/large, or the path of a .gguf file.",
            )
        return cls(endpoint, name)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn. Always sent explicitly, always stored: defaults of backends differ."""

    temperature: float = 0.7
    top_p: float = 0.95
    top_k: int = 40
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    seed: int = 0
    """The same for every seat of a round."""
    max_tokens: int = 1024
    """Tokens of answer and thinking together."""
    context: int = 4096
    """Tokens of prompt and answer together; a model trained for fewer gets its own limit."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is known of a model before it is loaded. None and '' mean: the endpoint does not say."""

    ref: ModelRef
    family: str = ""
    """Architecture or family, such as `llama`, `qwen3`."""
    parameters: int | None = None
    active_parameters: int | None = None
    """Parameters used per token (mixture of experts), where that differs."""
    quantization: str = ""
    size_bytes: int | None = None
    """Bytes of the weights on disk."""
    context: int | None = None
    """The longest context it was trained for, in tokens."""
    location: str = ""
    """Path or URL that the backend opens."""
    template_hash: str = ""
    """Hash of its chat template."""
    note: str = ""
    """A sentence for the picker, such as what is wrong with it."""


# What of the sampler decides which tokens come, and so belongs to the identity of a contestant.
# The seed is the round's, and max_tokens only cuts: an answer cut short is flagged instead.
_IDENTITY_SAMPLERS = ("temperature", "top_p", "top_k", "min_p", "repeat_penalty")


@dataclass(frozen=True, slots=True)
class Contestant:
    """What is rated: a model with everything that changes its answers, and nothing that does not."""

    ref: ModelRef
    quantization: str = ""
    context: int = 4096
    kv_type: str = "f16"
    template_hash: str = ""
    sampler: tuple[tuple[str, float], ...] = ()
    """(name, value) pairs of the samplers that change answers, sorted by name."""
    system: str = ""
    thinking: str = "default"
    """`default`, `on` or `off`."""
    fingerprint: str = field(default="", compare=False)
    """16 hex digits over all of the above; computed when left empty."""

    def __post_init__(self) -> None:
        """Compute the fingerprint."""
        if not self.fingerprint:
            facts: dict[str, Any] = asdict(self)
            del facts["fingerprint"]
            canonical = json.dumps(facts, sort_keys=True, ensure_ascii=False)
            digest = hashlib.sha256(canonical.encode("utf-8", "replace")).hexdigest()
            object.__setattr__(self, "fingerprint", digest[:16])

    @classmethod
    def of(cls, info: ModelInfo, sampling: Sampling, *, system: str = "") -> Contestant:
        """The contestant that this model is when it is sampled in this way."""
        sampler = tuple((name, float(getattr(sampling, name))) for name in sorted(_IDENTITY_SAMPLERS))
        return cls(
            ref=info.ref,
            quantization=info.quantization,
            context=min(sampling.context, info.context or sampling.context),
            template_hash=info.template_hash,
            sampler=sampler,
            system=system,
        )
