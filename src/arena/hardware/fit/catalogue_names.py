"""Which model of the catalogue a name means, and in which quantization: names of `ollama pull`, of hf.co, of files.

Nothing is guessed in silence: a tail that nobody knows is refused, and what may differ from the catalogue is said.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from arena.core.errors import UsageError
from arena.core.gguf import FILE_TYPES
from arena.core.models import ModelInfo
from arena.core.text import clean_line
from arena.hardware.fit.catalogue import CatalogueModel, Recipe, catalogue, family_of

_LARGER_DOUBT = 0.1
"""Of recipes with larger tables, or with some layers larger: 0 to 18 % more than the type that stands for them."""
_STRANGER_DOUBT = 0.1
"""Of what somebody else publishes under a known name."""
_FILE_DOUBT = 0.04
"""Of a file that is called like a known model."""

_OWN_PATHS = frozenset({"", "library", "ollama", "catalogue", "ollama.com/library", "registry.ollama.ai/library"})
_HUB = ("hf.co/", "huggingface.co/")

_SAME = {"FP16": "F16", "FP32": "F32", "Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M"}
# Not of llama.cpp itself: tables in 8 bits (L), or some layers larger (XL). Each beside the nearest type that is not
# much smaller: of Llama 3.1 8B, Q2_K_L has 3.69 GB and Q3_K_S 3.66, Q3_K_XL 4.78 and Q4_K_S 4.69, Q6_K_L 6.85 and Q6_K
# 6.60.
_LARGER = {"2": "Q3_K_S", "3": "Q4_K_S", "4": "Q4_K_M", "5": "Q5_K_M", "6": "Q6_K", "8": "Q8_0"}
_LARGER_TYPE = re.compile(r"Q([234568])_K_X?L")
# Trained for 4 bits; its table is published in 16: gemma-3-27b-it-qat-q4_0.gguf has 17.2 GB.
_TRAINED_FOR_IT = Recipe("Q4_0", 0.01, "F16")
_VARIANT = re.compile(
    r"instruct|chat|text|it|base|code|python|mini|medium|small|latest|thinking|preview|distill|llama|qwen\d*|dpo|sft"
    r"|beta|alpha|qat|\d+k|v\d+(\.\d+)*|\d{4}|[ae]\d+b|"
)
_FILE_TAIL = re.compile(r"[-._](ud-)?(i?q\d\w*|tq\d\w*|b?f16|fp16|f32|fp32|mxfp4|nvfp4|qat)$", re.IGNORECASE)
_DRESS = re.compile(r"instruct|chat|it$|^meta|^google|^mistralai|gguf$")
"""What names of files have more or less of than the catalogue's."""


@dataclass(frozen=True, slots=True)
class Named:
    """What a name means."""

    model: CatalogueModel
    recipe: Recipe
    label: str
    """The quantization, as its publisher calls it."""
    note: str = ""
    """What may differ from what is published; ''."""


def recipe_of(text: str) -> Recipe | None:
    """A quantization by its name, such as q4_K_M, UD-Q8_K_XL or qat; None for one that nobody knows."""
    told = text.strip().upper()
    mixed, told = told.startswith("UD-"), told.removeprefix("UD-")
    told = _SAME.get(told, told)
    if told == "QAT":
        return _TRAINED_FOR_IT
    if told in FILE_TYPES.values():
        return Recipe(told, _LARGER_DOUBT if mixed else 0.0)
    larger = _LARGER_TYPE.fullmatch(told)
    # Q3_K_L is one of llama.cpp's own and was found above
    return Recipe(_LARGER[larger[1]], _LARGER_DOUBT) if larger else None


def find(name: str) -> Named | None:
    """What a name means; None for a family that is not in the catalogue.

    Raises UsageError that names what there is, for a size or a quantization of a known family that there is not.
    """
    lower = name.strip().lower()
    if lower.startswith(_HUB):
        return _at_hub(lower)
    path, family, tag = _split(lower)
    rest, told = _cut(tag)
    found = _of_family(family, tag, rest, quantized=bool(told))
    if found is None:
        if sizes := _sizes(family):
            raise UsageError(f"The catalogue has no '{clean_line(name, 60)}'.", f"Of {family} it has: {sizes}.")
        return None
    model, left = found
    unknown = [word for word in left if not _VARIANT.fullmatch(word)]
    if unknown:
        raise _refusal(name, unknown[0], model)
    meant = _meant(model, told)
    if path in _OWN_PATHS:
        return meant
    note = f"Judged as {model.pull} of Ollama's own library: what '{clean_line(path, 30)}' has may differ."
    return _doubted(meant, _STRANGER_DOUBT, note)


def lookup(name: str) -> CatalogueModel | None:
    """The model of that name, as `ollama pull` or hf.co knows it, whatever its tail says; None for an unknown one."""
    lower = name.strip().lower()
    _, family, tag = _split(lower)
    for model in catalogue():
        if model.hf and _split(model.hf.lower())[1] == family:
            return model
    rest, told = _cut(tag)
    found = _of_family(family, tag, rest, quantized=bool(told))
    return found[0] if found else None


def quantization_in(name: str) -> str:
    """The quantization that a name ends with, such as Q8_0 for `llama3.1:8b-instruct-q8_0`; '' without one."""
    told = _cut(name.rpartition(":")[2].lower())[1]
    recipe = recipe_of(told)
    return recipe.quantization if recipe else ""


def known_as(info: ModelInfo, known: Sequence[CatalogueModel]) -> Iterator[CatalogueModel]:
    """The catalogue's entries that this may be: by the name that Ollama has for it, else by how a file is called."""
    name = info.ref.name.removeprefix("ollama:")
    found = lookup(name)
    if found is not None:
        yield found
    bare = _plain(_letters_of_file(name))
    yield from (model for model in known if bare in (_plain(_letters(model.name)), _letters(model.pull)))


def _meant(model: CatalogueModel, told: str) -> Named:
    """That model in the quantization of that name, '' being the one that one gets without asking."""
    label = told.upper() or model.quants[0]
    recipe = recipe_of(label) or Recipe(model.quants[0])
    odd = recipe.doubt and not recipe.tables
    note = f"{label} is no type of llama.cpp's own: judged as {recipe.quantization}, roughly." if odd else ""
    return Named(model, recipe, label, note)


def _at_hub(name: str) -> Named | None:
    path, _, tag = name.partition(":")
    told = "" if tag in ("", "latest") else tag
    same = next((model for model in catalogue() if model.hf.lower() == path), None)
    bare = _plain(_letters_of_file(path))
    model = same or next((model for model in catalogue() if _plain(_letters(model.name)) == bare), None)
    if model is None:
        return None
    if told and recipe_of(told) is None:
        raise _refusal(name, told, model)
    meant = _meant(model, told)
    if same:
        return meant
    note = f"Judged as {model.name}, after which it is called."
    return _doubted(meant, _FILE_DOUBT, note)


def _doubted(meant: Named, doubt: float, why: str) -> Named:
    recipe = replace(meant.recipe, doubt=math.hypot(meant.recipe.doubt, doubt))
    return replace(meant, recipe=recipe, note=f"{why} {meant.note}".strip())


def _refusal(name: str, word: str, model: CatalogueModel) -> UsageError:
    sizes = f" Sizes of {family_of(model)}: {_sizes(family_of(model))}." if model.pull else ""
    return UsageError(
        f"'{clean_line(word, 40)}' in '{clean_line(name, 60)}' is no quantization that is known.",
        f"Quantizations: {', '.join(model.quants)}, and llama.cpp's others.{sizes}",
    )


def _sizes(family: str) -> str:
    """The tags that the catalogue has of that family, with commas; '' of an unknown one."""
    return ", ".join(model.pull.partition(":")[2] for model in catalogue() if model.pull and family_of(model) == family)


def _split(name: str) -> tuple[str, str, str]:
    """Where it is published, its family, its tag."""
    path, _, last = name.rpartition("/")
    family, _, tag = last.partition(":")
    return path, family, tag


def _cut(tag: str) -> tuple[str, str]:
    """A tag without its quantization, and that."""
    words = tag.split("-")
    if recipe_of(words[-1]) is None:
        return tag, ""
    mixed = words[-2:-1] == ["ud"]
    kept = words[: -2 if mixed else -1]
    return "-".join(kept), "-".join(words[len(kept) :])


def _of_family(family: str, tag: str, rest: str, *, quantized: bool) -> tuple[CatalogueModel, list[str]] | None:
    """The model, and the words of the tag that did not tell it; `rest` is the tag without a quantization."""
    models = [model for model in catalogue() if model.pull and family_of(model) == family]
    known = [(model, *_cut(name.partition(":")[2].lower())) for model in models for name in model.names]
    if exact := [model for model in models if f"{family}:{tag}" in (name.lower() for name in model.names)]:
        return exact[0], []
    if rest in ("", "latest"):
        latest = [model for model in models if model.latest] or (models if len(models) == 1 else [])
        return (latest[0], []) if latest else None
    # a name with a quantization goes before one without, if there is one in what was asked
    longer = [
        (len(own), bool(told) == quantized, model)
        for model, own, told in known
        if own and (rest == own or rest.startswith(f"{own}-"))
    ]
    if longer:
        length, _, model = max(longer, key=lambda each: each[:2])
        return model, rest[length:].removeprefix("-").split("-")
    shorter = sorted((own, model.name) for model, own, _ in known if own.startswith(f"{rest}-"))
    # of variants of one model the first published has the shortest name
    if not shorter or not all(own.startswith(shorter[0][0]) for own, _ in shorter):
        return None
    return next(model for model in models if model.name == shorter[0][1]), []


def _letters_of_file(name: str) -> str:
    """The letters and digits of a file's name or a repository's, without its quantization."""
    file = re.sub(r"[-.]gguf$", "", name.rpartition("/")[2].lower())
    return _letters(_FILE_TAIL.sub("", file))


def _plain(letters: str) -> str:
    return _DRESS.sub("", letters)


def _letters(text: str) -> str:
    return re.sub(r"[^0-9a-z]", "", text.lower())
