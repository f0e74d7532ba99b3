"""Models and contestants: what can answer, and what counts as the same answerer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from arena.core.errors import UsageError
from arena.core.gguf import GgufHeader
from arena.core.variants import SAMPLERS, Variant


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
    """0: always the likeliest token."""
    top_p: float = 0.95
    """Only the likeliest tokens that together have this probability."""
    top_k: int = 40
    """Only so many of the likeliest tokens; 0: all."""
    min_p: float = 0.05
    """Only tokens at least so likely as this share of the likeliest."""
    repeat_penalty: float = 1.0
    """How much less likely what was said lately becomes; 1: not at all."""
    seed: int = 0
    """The same for every seat of a round."""
    max_tokens: int = 1024
    """Tokens of answer and thinking together."""
    context: int = 4096
    """Tokens of prompt and answer together; a model trained for fewer gets its own limit."""


ADJUSTABLE = frozenset({"context", "system", *SAMPLERS})
"""What every endpoint of one's own can set; some also `kv_type` and `thinking`, others less."""


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
    """A sentence for the picker, such as what is wrong with it; such a model can't play."""
    projector_bytes: int = 0
    """Of the part that looks at images (mmproj), where that is a file of its own and loaded with the model."""
    runtime: str = ""
    """What loads it, where that has a mind of its own about memory: `ollama`; '' elsewhere."""
    local: bool = True
    """Whether it takes the memory of this machine; one behind a server elsewhere does not."""
    resident_bytes: int | None = None
    """What it holds of GPU memory now, as its server says; None: not loaded, or the server does not say."""
    adjustable: frozenset[str] = ADJUSTABLE
    """What a contestant may have different: names out of `Variant.parse`. What is not in it is the server's matter."""
    header: GgufHeader | None = field(default=None, compare=False, repr=False)
    """Its GGUF header, where its server tells that and the file is not at hand; its path is no file."""
    variant: Variant = field(default_factory=Variant)
    """What was asked to be different for this contestant."""

    def __str__(self) -> str:
        """`ENDPOINT/NAME`, and what was asked to be different."""
        return ",".join(filter(None, (str(self.ref), str(self.variant))))

    def with_variant(self, variant: Variant) -> ModelInfo:
        """This model with something different. Raises UsageError for what its endpoint can't set."""
        for key, _ in variant.set:
            if key not in self.adjustable:
                can = ", ".join(sorted(self.adjustable)) or "nothing"
                raise UsageError(f"{key} of {self.ref} can't be set from here.", f"Its endpoint lets arena set: {can}.")
        if variant.context and self.context and variant.context > self.context:
            raise UsageError(
                f"{self.ref} was trained for a context of {self.context} tokens, not {variant.context}.",
                "Ask for less, or leave it out.",
            )
        return replace(self, variant=variant)


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
        """Compute the fingerprint.

        What its digest says is the model, whatever it is called and wherever it runs: the machine changes the speed,
        not the answers. A model without a digest is known by its address.
        """
        if not self.fingerprint:
            facts: dict[str, Any] = asdict(self)
            del facts["fingerprint"]
            facts["ref"] = self.ref.digest or str(self.ref)
            canonical = json.dumps(facts, sort_keys=True, ensure_ascii=False)
            digest = hashlib.sha256(canonical.encode("utf-8", "replace")).hexdigest()
            object.__setattr__(self, "fingerprint", digest[:16])

    @classmethod
    def of(cls, info: ModelInfo, sampling: Sampling) -> Contestant:
        """The contestant that this model is when it is sampled in this way, with what was asked to be different."""
        variant = info.variant
        values = {name: float(getattr(sampling, name)) for name in SAMPLERS if name in info.adjustable}
        values |= dict(variant.samplers)
        context = info.context or 0
        if "context" in info.adjustable:
            wanted = variant.context or sampling.context
            context = min(wanted, info.context or wanted)
        return cls(
            ref=info.ref,
            quantization=info.quantization,
            context=context,
            kv_type=variant.kv_type or ("f16" if "kv_type" in info.adjustable else ""),
            template_hash=info.template_hash,
            sampler=tuple(sorted(values.items())),
            system=variant.system or "",
            thinking=variant.thinking or "default",
        )

    @property
    def variant(self) -> Variant:
        """What makes its model this contestant again: everything that can be said, whatever a round has by itself."""
        return Variant(
            context=self.context or None,
            kv_type=self.kv_type or None,
            thinking=None if self.thinking == "default" else self.thinking,
            system=self.system or None,
            samplers=self.sampler,
        )

    def sampling(self, base: Sampling) -> Sampling:
        """How this contestant is sampled in a round that samples by `base`."""
        values: dict[str, Any] = {name: value for name, value in self.sampler if name in SAMPLERS}
        if "top_k" in values:
            values["top_k"] = int(values["top_k"])
        return replace(base, **values, context=self.context or base.context)


def distinct_names(contestants: Iterable[Contestant]) -> dict[str, str]:
    """A name to show for each fingerprint: the address, and what tells it from others of the same address."""
    known = {contestant.fingerprint: contestant for contestant in contestants}
    by_ref: dict[str, list[Contestant]] = {}
    for contestant in known.values():
        by_ref.setdefault(str(contestant.ref), []).append(contestant)
    names: dict[str, str] = {}
    for ref, same in by_ref.items():
        facts = [_facts(contestant) for contestant in same]
        differing = [
            key for key in dict.fromkeys(key for fact in facts for key in fact) if len({f.get(key) for f in facts}) > 1
        ]
        for contestant, fact in zip(same, facts, strict=True):
            names[contestant.fingerprint] = " ".join([ref, *(fact[key] for key in differing if fact.get(key))])
    return names


def _facts(contestant: Contestant) -> dict[str, str]:
    """What may tell two contestants of one address apart, in a few characters each."""
    system = hashlib.sha256(contestant.system.encode("utf-8", "replace")).hexdigest()[:4]
    return {
        "quantization": contestant.quantization,
        "context": f"context={contestant.context}",
        "kv_type": f"kv_type={contestant.kv_type}" if contestant.kv_type else "",
        "thinking": "" if contestant.thinking == "default" else f"thinking={contestant.thinking}",
        **{name: f"{name}={value:g}" for name, value in contestant.sampler},
        "system": f"system#{system}" if contestant.system else "",
        "template": f"template#{contestant.template_hash[:4]}" if contestant.template_hash else "",
        "digest": f"#{contestant.ref.digest[:6]}" if contestant.ref.digest else "",
    }
