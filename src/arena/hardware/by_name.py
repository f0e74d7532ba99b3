"""What is known of models by their names and sizes: the catalogue, asked about models that others describe."""

from __future__ import annotations

from arena.core.models import ModelInfo, ModelRef
from arena.hardware.fit.catalogue import CatalogueEstimate, catalogue, estimate
from arena.hardware.fit.catalogue_names import Named, find, known_as, lookup, quantization_in, recipe_of
from arena.hardware.fit.estimate import Estimate

CATALOGUE = "catalogue"
"""The endpoint of models that are nowhere here yet."""


def catalogued(name: str) -> ModelInfo | None:
    """A well-known model that need not be here, by the name that `ollama pull` knows; None for an unknown one.

    Raises UsageError for a size or a quantization that a known family does not have.
    """
    named = find(name)
    return None if named is None else info_of(named, name.strip().removeprefix(f"{CATALOGUE}/"))


def info_of(named: Named, name: str) -> ModelInfo:
    """That model as others are described, under the name that it was asked for by."""
    model = named.model
    return ModelInfo(
        ModelRef(CATALOGUE, name),
        family=str(model.gguf.get("architecture", "")),
        parameters=model.parameters,
        active_parameters=model.active_parameters,
        quantization=named.label,
        context=model.context_length,
        note=" ".join(filter(None, (named.note, model.note_on_vision))),
    )


def estimated(info: ModelInfo) -> Estimate | None:
    """The needs of that model: from the catalogue, else from its size alone; None where that is not known either."""
    return _listed(info) or CatalogueEstimate.of(info)


def quantized(info: ModelInfo, size: int, *, vision: bool) -> list[tuple[str, Estimate]]:
    """Every published quantization of that model, by name; () for one that is not well known.

    `size` in parameters, 0 where it is not known; `vision`: with the part that looks at images.
    """
    alike = (model for model in known_as(info, catalogue()) if not size or _about(size, model.parameters))
    model = next(alike, None)
    return [(name, estimate(model, name, vision=vision)) for name in model.quants] if model else []


def _listed(info: ModelInfo) -> Estimate | None:
    """From the catalogue, where the model is known there by its name and size; None elsewhere."""
    if info.ref.endpoint == CATALOGUE:
        named = find(info.ref.name)
        return estimate(named.model, named.recipe) if named else None
    model = lookup(info.ref.name)
    if model is None or (info.parameters and not _about(info.parameters, model.parameters)):
        return None
    recipe = recipe_of(info.quantization or quantization_in(info.ref.name) or model.quants[0])
    return estimate(model, recipe) if recipe else None  # None: a quantization that nobody knows


def _about(one: int, other: int) -> bool:
    """The same size, as servers round it."""
    return abs(one - other) <= 0.1 * other
