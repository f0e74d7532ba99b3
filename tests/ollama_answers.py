"""What the test server of Ollama's API says: models, and the frames of their answers."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from arena.core.gguf import GgufHeader
from arena.core.gguf_cursor import Skipped

TOKEN_NS = 20_000_000
"""What one token takes, as the server says: 50 tokens per second."""
PROMPT_TOKEN_NS = 1_000_000
LOAD_NS = 1_500_000_000
READY_NS = 12_000_000
"""A real server names some ms of loading for a model that is loaded already."""
_NAMELESS = ("IQ", "TQ", "I", "NVFP", "Q1_", "Q2_0")
"""Types of tensors that Ollama calls unknown."""
_WORDS = (
    "a",
    "the",
    "fox",
    "lantern",
    "river",
    "night",
    "stone",
    "went",
    "saw",
    "under",
    "over",
    "bright",
    "cold",
    "home",
)


@dataclass
class ServedModel:
    """One model, and what it does."""

    chunks: Sequence[str] | None = None
    """What it says, whatever it is asked; None: words that depend on name, prompt and seed."""
    thought: Sequence[str] = ()
    gap_s: float = 0.0
    """Time before each chunk."""
    load_s: float = 0.0
    fault: str = ""
    """`cut`, `garbage`, `silence`, `end`, `after`, or the text of an error frame."""
    fault_at: int = 0
    """How many chunks come before the fault."""
    faults_once: bool = False
    capabilities: Sequence[str] | None = ("completion",)
    family: str = "llama"
    parameter_size: str = "8.0B"
    parameter_count: int | None = 8_030_261_248
    quantization: str = "Q4_K_M"
    size: int = 4_920_753_328
    trained_context: int = 131_072
    template: str = "{{ .Prompt }}"
    modelfile: str = "# Modelfile"
    digest: str = ""
    needs_gib: float = 0.0
    """More than 8 is more than there is."""
    refusals: list[tuple[int, str, dict[str, str]]] = field(default_factory=list)
    """(status, body, headers) of the next answers to /api/chat and /api/generate, each given once."""
    show_fault: int = 0
    """The status of /api/show, if it fails."""
    header: GgufHeader | None = None
    """Of its file, which /api/show tells; without one it tells no more than the fields above."""
    old_arrays: bool = False
    """The short answer of /api/show has [] where it has null today."""


def full(name: str) -> str:
    """The name with its tag."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def digest_of(name: str, model: ServedModel) -> str:
    """The digest that the lists give."""
    return model.digest or hashlib.sha256(name.encode()).hexdigest()


def details_of(model: ServedModel) -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "gguf",
        "family": model.family,
        "families": [model.family],
        "parameter_size": model.parameter_size,
        "quantization_level": model.quantization,
    }


def shown_of(model: ServedModel, *, verbose: bool) -> dict[str, Any]:
    """What /api/show says: the arrays of the file only in the long answer, the table of its tensors always."""
    shown = {
        "license": "MIT",
        "modelfile": model.modelfile,
        "parameters": 'stop "<|eot_id|>"',
        "template": model.template,
        "details": details_of(model),
        "model_info": _info_of(model, verbose=verbose),
        "modified_at": "2026-09-01T10:00:00Z",
    }
    if model.header is not None:
        shown["tensors"] = [
            {
                "name": tensor.name,
                "type": "unknown" if tensor.type.startswith(_NAMELESS) else tensor.type,
                "shape": list(tensor.dims),
            }
            for tensor in model.header.tensors
        ]
    return shown if model.capabilities is None else {**shown, "capabilities": list(model.capabilities)}


def _info_of(model: ServedModel, *, verbose: bool) -> dict[str, Any]:
    """The keys of the file but the name and the template, which Ollama takes out, and the parameters counted."""
    if model.header is None:
        info = {"general.architecture": model.family, f"{model.family}.context_length": model.trained_context}
        if model.parameter_count is not None:
            info["general.parameter_count"] = model.parameter_count
        return info | {"tokenizer.ggml.tokens": None}
    kept_back = [] if model.old_arrays else None
    info = {"general.parameter_count": model.header.parameters}
    for key, value in model.header.metadata.items():
        if isinstance(value, tuple | Skipped):
            items = ["x"] * value.length if isinstance(value, Skipped) else list(value)
            info[key] = items if verbose else kept_back
        elif key not in ("general.name", "tokenizer.chat_template"):
            info[key] = value
    return info


def refusal_of(body: dict[str, Any], model: ServedModel, way: str) -> tuple[int, dict[str, str]] | None:
    """Status and error of what this model can't do."""
    name, able = body["model"], model.capabilities or ("completion",)
    if "completion" not in able:
        return 400, {"error": f'"{name}" does not support {way}'}
    if body.get("think") not in (None, False) and "thinking" not in able:
        return 400, {"error": f'"{name}" does not support thinking'}
    if model.needs_gib > 8:
        text = f"model requires more system memory ({model.needs_gib} GiB) than is available (8.0 GiB)"
        return 500, {"error": text}
    return None


def frame(body: dict[str, Any], way: str, text: str, thinking: str = "", **more: Any) -> dict[str, Any]:
    head = {"model": body["model"], "created_at": "2026-10-01T12:00:00.5Z", "done": False}
    if way == "generate":
        said: dict[str, Any] = {"response": text, **({"thinking": thinking} if thinking else {})}
    else:
        said = {"message": {"role": "assistant", "content": text, **({"thinking": thinking} if thinking else {})}}
    return {**head, **said, **more}


def frames_of(
    body: dict[str, Any], model: ServedModel, messages: list[dict[str, str]], way: str, load_ns: int
) -> Iterator[dict[str, Any]]:
    """Thinking, answer and the last frame. Cut after `num_predict` chunks, each of which counts as a token."""
    options = body.get("options") or {}
    limit, count = int(options.get("num_predict", -1)), 0
    thought = model.thought if body.get("think") is not False else ()
    pieces = [("", piece) for piece in thought] + [(piece, "") for piece in _said(body, model, messages)]
    for text, thinking in pieces if limit < 0 else pieces[:limit]:
        count += 1
        yield frame(body, way, text, thinking)
    prompt_tokens = 10 + sum(len(message["content"].split()) for message in messages)
    prompt_ns, eval_ns = prompt_tokens * PROMPT_TOKEN_NS, count * TOKEN_NS
    yield frame(
        body,
        way,
        "",
        done=True,
        done_reason="length" if count < len(pieces) else "stop",
        total_duration=load_ns + prompt_ns + eval_ns,
        load_duration=load_ns,
        prompt_eval_count=prompt_tokens,
        prompt_eval_duration=prompt_ns,
        eval_count=count,
        eval_duration=eval_ns,
    )


def _said(body: dict[str, Any], model: ServedModel, messages: list[dict[str, str]]) -> Sequence[str]:
    if model.chunks is not None:
        return model.chunks
    seed = (body.get("options") or {}).get("seed", 0)
    rng = random.Random(f"{body['model']} {messages} {seed}")
    return [f"{rng.choice(_WORDS)} " for _ in range(30)]
