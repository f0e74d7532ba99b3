"""What differs between servers that speak the OpenAI wire: how they are recognised, and how they spell their settings.

Pure data and functions: nothing here asks anybody.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from arena.backends import http
from arena.core.endpoints import Endpoint
from arena.core.models import ModelInfo, ModelRef
from arena.core.ports import Request

_COMMON = {"temperature": "temperature", "top_p": "top_p"}
_LLAMA = {**_COMMON, "top_k": "top_k", "min_p": "min_p", "repeat_penalty": "repeat_penalty"}
_TORCH = {**_COMMON, "top_k": "top_k", "min_p": "min_p", "repeat_penalty": "repetition_penalty"}


@dataclass(frozen=True, slots=True)
class Flavour:
    """One kind of server."""

    name: str
    samplers: Mapping[str, str] = field(default_factory=lambda: _COMMON)
    """This program's name of each sampler that can be set -> the server's."""
    extras: Mapping[str, Any] = field(default_factory=dict)
    """What goes along with every request."""
    never: frozenset[str] = frozenset()
    """What it refuses, so that it is not sent."""
    thinks: bool = False
    """Whether thinking can be switched from here."""
    one_at_a_time: bool = False
    """Whether any other question, even for the list, breaks off an answer."""


GENERIC = Flavour("openai")
LLAMA_SERVER = Flavour("llama-server", _LLAMA, {"cache_prompt": False}, thinks=True)
LLAMA_CPP_PYTHON = Flavour("llama-cpp-python", _LLAMA, one_at_a_time=True)
LM_STUDIO = Flavour("lmstudio", {name: name for name in _LLAMA if name != "min_p"})  # its manual does not list min_p
TRANSFORMERS = Flavour("transformers", _TORCH, thinks=True)
GPT4ALL = Flavour("gpt4all", {**_COMMON, "min_p": "min_p"}, never=frozenset({"stream", "stream_options", "seed"}))
LOCALAI = Flavour("localai", {**_COMMON, "top_k": "top_k", "repeat_penalty": "repeat_penalty"})
_BY_OWNER = {
    "vllm": Flavour("vllm", _TORCH, thinks=True),
    "sglang": Flavour("sglang", _TORCH, thinks=True),
    "llamacpp": LLAMA_SERVER,
    "me": LLAMA_CPP_PYTHON,
    "humanity": GPT4ALL,
}
_EMBEDS = re.compile(r"(^|[-_/.:])embed(ding)?s?([-_/.:]|$)", re.IGNORECASE)
_NO_CHAT = "It only makes embeddings."
_EFFORTS = ("low", "medium", "high")
_SPARABLE = ("stream_options", "seed", "cache_prompt", "stream")
"""What an answer is the same without. A refused sampler is a fault: the contestant would be another one."""
_UNKNOWN = re.compile(
    r"un(known|supported|expected|recogni[sz]ed)|not (supported|permitted|allowed|implemented)|extra |additional prop",
    re.IGNORECASE,
)
_TOO_LONG = (
    re.compile(r"maximum context length is (\d+) tokens.*?\((\d+) in the messages"),
    re.compile(r"maximum context length is (\d+) tokens.*? (\d+) input tokens"),
)


def by_owner(entries: Iterable[Mapping[str, Any]]) -> Flavour | None:
    """The flavour that a list of models tells by who owns them; None: it does not."""
    owners = (_text(entry.get("owned_by")) for entry in entries)
    return next((_BY_OWNER[owner] for owner in owners if owner in _BY_OWNER), None)


def is_lm_studio(found: object) -> bool:
    """Whether /api/v0/models answers as LM Studio does. Others answer anything with a page or an empty list."""
    entries = listed(found)
    return bool(entries) and all("state" in entry and "type" in entry for entry in entries)


def by_paths(found: object, endpoint: Endpoint, entries: Sequence[Mapping[str, Any]]) -> Flavour:
    """The flavour of a server that no owner tells. `found`: its /openapi.json, or anything else."""
    paths = found.get("paths") if isinstance(found, dict) else None
    if isinstance(paths, dict) and "/load_model" in paths and "/v1/chat/completions" in paths:
        return TRANSFORMERS
    if LOCALAI.name in (endpoint.name, *endpoint.aliases) and entries and "owned_by" not in entries[0]:
        return LOCALAI
    return GENERIC


def listed(found: object) -> list[dict[str, Any]]:
    """The models in an answer: {"data": [{"id": ...}]}, or the bare list. What has no id is left out."""
    entries = found.get("data") if isinstance(found, dict) else found
    if not isinstance(entries, list):
        return []
    return [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str) and entry["id"]]


def named(entries: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The models by the names to show: a path becomes the name of its file, and `.gguf` goes, as it marks paths."""
    found: dict[str, Mapping[str, Any]] = {}
    for entry in entries:
        name = _short(entry["id"])
        found.setdefault(name if found.get(name, entry)["id"] == entry["id"] else entry["id"].lstrip("/"), entry)
    return found


def called(name: str, ids: Mapping[str, str]) -> str:
    """The name under which a model is shown that somebody calls so. `ids`: the shown names -> the server's own.

    The folder of a file may be left out or be another one, as may the owner of a model, where that leaves no doubt.
    """
    if name in ids:
        return name
    if by_id := next((shown for shown, model in ids.items() if model == name), ""):
        return by_id
    if not (_is_bare(name) or _is_path(name)):
        return name  # another owner's model is another model
    may_be = [shown for shown in ids if _last_part(shown) == _last_part(name)]
    if _is_path(name):
        may_be = [shown for shown in may_be if _is_bare(ids[shown]) or _is_path(ids[shown])]
    return may_be[0] if len(may_be) == 1 else name


def described(
    name: str, entry: Mapping[str, Any], flavour: Flavour, endpoint: Endpoint, props: Mapping[str, Any]
) -> ModelInfo:
    """What is known of a listed model. `props`: what llama-server says of the only model that it has, else empty."""
    meta = _mapping(entry.get("meta"))
    settings = _mapping(props.get("default_generation_settings"))
    # A server of many models knows more of those that are loaded just now. A context or a quantization that comes and
    # goes would make another contestant of the same model, so there they are left open.
    loadable = "status" in entry
    contexts = () if loadable else (meta.get("n_ctx"), settings.get("n_ctx"))
    trained = () if loadable else (entry.get("max_model_len"), entry.get("max_context_length"), meta.get("n_ctx_train"))
    embeds = entry.get("type") == "embeddings" or bool(_EMBEDS.search(name))
    path = _text(props.get("model_path")) or entry["id"]
    template = _text(props.get("chat_template")).encode("utf-8", "replace")
    return ModelInfo(
        ModelRef(endpoint.name, name),
        family=_text(entry.get("arch")),
        parameters=count_in(meta.get("n_params")),
        quantization=_text(entry.get("quantization") or ("" if loadable else meta.get("ftype"))),
        size_bytes=count_in(meta.get("size")),
        context=next((count for each in (*contexts, *trained) if (count := count_in(each))), None),
        location=path if endpoint.local and _is_absolute(path) else endpoint.shown_url,
        template_hash=hashlib.sha256(template).hexdigest()[:16] if template else "",
        note=_NO_CHAT if embeds and entry.get("type", "embeddings") == "embeddings" else "",
        local=endpoint.local,
        adjustable=adjustable(flavour),
    )


def adjustable(flavour: Flavour) -> frozenset[str]:
    """What a contestant on such a server may have different; its context is the server's matter."""
    return frozenset({"system", *flavour.samplers} | ({"thinking"} if flavour.thinks else set()))


def body_of(request: Request, flavour: Flavour, model: str, without: Iterable[str] = ()) -> dict[str, Any]:
    """The request as that flavour reads it. `model`: the server's own name; `without`: what it refused before."""
    sampling, contestant = request.sampling, request.contestant
    body: dict[str, Any] = {
        "model": model,
        "messages": request.messages,
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
        **flavour.extras,
        **_thinking(contestant.thinking, flavour),
    }
    wanted = dict.fromkeys([*_COMMON, *dict(contestant.sampler)])
    samplers = {flavour.samplers[name]: getattr(sampling, name) for name in wanted if name in flavour.samplers}
    if flavour is TRANSFORMERS:
        # it takes the first two only, and heeds them only where the model's own settings say `do_sample`
        rest = {"do_sample": sampling.temperature > 0, **samplers}
        body["generation_config"] = json.dumps({key: value for key, value in rest.items() if key not in _COMMON})
        samplers = {key: value for key, value in samplers.items() if key in _COMMON}
    elif samplers.get("top_k") == 0 and flavour.samplers is _TORCH:
        samplers["top_k"] = -1  # how vLLM says: all of them
    body |= samplers
    return {key: value for key, value in body.items() if key not in {*flavour.never, *without}}


def warm_up_of(flavour: Flavour, model: str) -> dict[str, Any]:
    """The smallest question that makes a server load that model."""
    return {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1, **flavour.extras}


def refused(message: str, body: Mapping[str, Any]) -> str:
    """Which setting a refusal says that it does not know and that can be left out; '' when there is none."""
    if not _UNKNOWN.search(message):
        return ""
    return next((key for key in _SPARABLE if key in body and re.search(rf"\b{key}\b", message)), "")


def complaint(text: str) -> str:
    """What a refusal says, with the places that FastAPI names: {"detail": [{"loc": ["body", "seed"], "msg": ...}]}."""
    with suppress(ValueError, RecursionError):
        detail = _mapping(json.loads(text)).get("detail")
        if isinstance(detail, list):
            return " ".join(f"{part.get('loc')} {part.get('msg')}" for part in detail if isinstance(part, dict))
    return http.message_of(text, 2000)


def room_left(message: str) -> int:
    """How many tokens still fit behind a prompt, as a refusal tells; 0: it does not tell, or none do."""
    for pattern in _TOO_LONG:
        if found := pattern.search(message):
            return max(0, int(found[1]) - int(found[2]))
    return 0


def pinned_to(message: str) -> str:
    """The only model that `transformers serve MODEL` answers for, as its refusal of another one tells; '' for none."""
    found = re.search(r"pinned to '(.+?)'; requested", message)
    return found[1] if found else ""


def count_in(value: object) -> int | None:
    """A count out of JSON; None when it is none, or none that a database could hold."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


def _thinking(wish: str, flavour: Flavour) -> dict[str, Any]:
    if wish == "default" or not flavour.thinks:
        return {}
    told: dict[str, Any] = {"enable_thinking": wish != "off"}
    if wish not in _EFFORTS:
        return {"chat_template_kwargs": told}
    if flavour is TRANSFORMERS:
        return {"chat_template_kwargs": {**told, "reasoning_effort": wish}}
    return {"chat_template_kwargs": told, "reasoning_effort": wish}


def _short(name: str) -> str:
    return _last_part(name) if _is_path(name) else _without_suffix(name)


def _last_part(name: str) -> str:
    return _without_suffix(PureWindowsPath(name).name if "\\" in name else PurePosixPath(name).name)


def _without_suffix(name: str) -> str:
    return name[:-5] if name.lower().endswith(".gguf") and len(name) > 5 else name


def _is_path(name: str) -> bool:
    """Whether it names a file or a folder, and not a model by its owner, such as org/one."""
    if not name.strip("/\\.~"):
        return False
    is_rooted = re.match(r"(/|~|\.{1,2}[/\\]|[A-Za-z]:[/\\]|\\\\)", name)
    return bool(is_rooted) or (not _is_bare(name) and name.lower().endswith(".gguf"))


def _is_bare(name: str) -> bool:
    return "/" not in name and "\\" not in name


def _is_absolute(name: str) -> bool:
    """Whether it names the same file in whichever folder it is read."""
    return PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute()


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
