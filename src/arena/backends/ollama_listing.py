"""What an Ollama server says of its models, in the words of arena."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING

from arena.core.endpoints import Endpoint
from arena.core.models import ADJUSTABLE, ModelInfo, ModelRef

if TYPE_CHECKING:
    from ollama import ListResponse, ShowResponse

_SCALES = {"": 1, "K": 1_000, "M": 1_000_000, "B": 1_000_000_000, "T": 1_000_000_000_000}


def model_info(endpoint: Endpoint, model: ListResponse.Model, told: ShowResponse | None) -> ModelInfo:
    """A model as /api/tags lists it, with what /api/show adds."""
    name, details = model.model or "", model.details
    facts = (told.modelinfo if told else None) or {}
    capabilities = (told.capabilities if told else None) or []
    family = (details.family if details else None) or ""
    quantization = (details.quantization_level if details else None) or ""
    count, context = (
        facts.get("general.parameter_count"),
        facts.get(f"{facts.get('general.architecture')}.context_length"),
    )
    mute = "completion" not in capabilities if capabilities else "bert" in family  # an old server names none
    return ModelInfo(
        ModelRef(endpoint.name, name, (model.digest or "").removeprefix("sha256:")),
        runtime="ollama",
        family=family,
        parameters=count if isinstance(count, int) else _parameters(details.parameter_size if details else None),
        quantization="" if quantization == "unknown" else quantization,
        size_bytes=None if model.size is None else int(model.size),
        context=context if isinstance(context, int) else None,
        template_hash=hashlib.sha256(told.template.encode("utf-8", "replace")).hexdigest()[:16]
        if told and told.template
        else "",
        note="It only makes embeddings." if mute else "",
        local=endpoint.local and not re.search(r"[:-]cloud$", name),  # those are answered at ollama.com
        adjustable=ADJUSTABLE | {"thinking"} if "thinking" in capabilities else ADJUSTABLE,
    )


def blob_named_by(told: ShowResponse | None) -> str:
    """The file that the Modelfile names, if it can be read: the server may keep its models anywhere."""
    found = re.search(r"^FROM (/[^\0\n]+)$", (told.modelfile if told else None) or "", re.MULTILINE)
    return found[1] if found and os.access(found[1], os.R_OK) else ""


def _parameters(shown: str | None) -> int | None:
    """`8.0B`, `494.03M`: a number of parameters."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMBT]?)", (shown or "").strip())
    return round(float(found[1]) * _SCALES[found[2]]) if found else None


def full_name(name: str) -> str:
    """The name with its tag."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"
