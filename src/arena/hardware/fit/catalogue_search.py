"""Which models of the catalogue to fetch: for a use, newest and largest first, out of those that surely fit."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from arena.core.advice import Basis, Pick, Use
from arena.core.machine import GIB, Fits, FitVerdict, Machine, human_bytes
from arena.core.models import ModelInfo
from arena.hardware.fit.catalogue import CatalogueModel, estimate
from arena.hardware.fit.catalogue_names import known_as
from arena.hardware.fit.devices import Device, gpus_of, ram
from arena.hardware.fit.estimate import CELL_STEP, Setting
from arena.hardware.fit.rules_of_thumb import need_words
from arena.hardware.fit.verdict import judge

READ_PER_TOKEN_BYTES = 3 * GIB
"""The most that a model for the CPU may read from RAM for each token."""
RAM_BYTES_PER_S = 51.2e9
"""Two channels of DDR4-3200, at best."""

_SHOWN = 3
_NEAR = 2
"""What needs that many times the room and more was never in question."""
_WITH_ROOM = 0.8
_LEAST_BYTES_PER_PARAMETER = 0.25
"""On a GPU none takes less, tables that stay in RAM left out: what is larger already need not be estimated."""
_NO_SERVICE = re.compile(r"\bNC\b|non.?commercial|non.?production|research", re.IGNORECASE)
"""Licences that allow no service."""
_QUOTED = 2
"""How many of those that had to be passed over are named."""


def without_gpus(machine: Machine) -> Machine:
    """The machine for what runs on the CPU: a GPU that shares the RAM keeps its headroom there, and is not used."""
    return replace(machine, gpus=tuple(replace(gpu, free_bytes=None) for gpu in machine.gpus if gpu.shares_ram))


def surely(fit: FitVerdict) -> bool:
    """Whether it fits with two standard deviations to spare: on the GPUs, or in RAM."""
    if fit.verdict not in (Fits.FITS, Fits.CPU) or fit.need_bytes is None or fit.free_bytes is None:
        return False
    return fit.need_bytes + 2 * (fit.sigma_bytes or 0) <= fit.free_bytes


def room_words(fit: FitVerdict) -> str:
    """What it needs, of what, and how long a conversation may become."""
    where = "RAM" if fit.device == "ram" else fit.device
    shorter = f"; the longest that surely fits is {fit.max_context}" if fit.max_context else ""
    return (
        f"Needs {need_words(fit)} ({fit.method}) with {fit.context} tokens of context, of "
        f"{human_bytes(fit.free_bytes)} free on {where}{shorter}."
    )


@dataclass(frozen=True, slots=True)
class Found:
    """What the search found."""

    picks: tuple[Pick, ...]
    note: str
    too_large: tuple[FitVerdict, ...] = ()
    too_large_notes: tuple[str, ...] = ()
    """For each of `too_large`: the smaller quantization in which it would fit, as a phrase; ''."""


@dataclass(frozen=True, slots=True)
class Search:
    """The catalogue, on a machine, for a use."""

    known: Sequence[CatalogueModel]
    on: Machine
    use: Use
    context: int

    def best(self, installed: Sequence[tuple[ModelInfo, FitVerdict]]) -> Found:
        """Up to three of different makers that surely fit and are not here yet."""
        here = {model.name for info, _ in installed for model in known_as(info, self.known)}
        fetchable = [model for model in self.known if self._can_be_used(model) and model.name not in here]
        wanted = self._in_order(self._for_use(fetchable))
        if gpus_of(self.on):
            found = self._try(wanted, self.on)
            if found.picks:
                return replace(found, note=f"{_the(self.use)}, newer and larger first; one of each maker.")
        beside = without_gpus(self.on)
        light = self._try(wanted, beside, _is_light)
        why = f"those that read at most {human_bytes(READ_PER_TOKEN_BYTES)} of weights a token, so that a CPU keeps up."
        if light.picks:
            return replace(light, note=f"{_the(self.use)}, {why}{self._no_gpu()}")
        small = [model for model in fetchable if {Use.CPU, Use.QUICK} & set(model.uses)]
        light = self._try(self._in_order(small), beside, _is_light)
        if not light.picks:
            return replace(light, note=f"Nothing of the catalogue surely fits with {self.context} tokens.")
        return replace(light, note=f"None for {self.use} surely fits; of those for cpu or quick, {why}{self._no_gpu()}")

    def _no_gpu(self) -> str:
        return " On the GPU nothing for it surely fits." if gpus_of(self.on) else ""

    def _for_use(self, models: Sequence[CatalogueModel]) -> list[CatalogueModel]:
        uses = {Use.CPU, Use.QUICK} if self.use is Use.CPU else {self.use}
        return [model for model in models if uses & set(model.uses)]

    def _can_be_used(self, model: CatalogueModel) -> bool:
        allowed = self.use is not Use.PRODUCTION or not _NO_SERVICE.search(model.licence)
        return allowed and model.chat and bool(model.pull or model.hf)

    def _in_order(self, models: Sequence[CatalogueModel]) -> list[CatalogueModel]:
        """Newer and larger ones first: a year more counts as half the size. Those with too short a context are out."""
        newest = max((_months(model) for model in self.known), default=0)

        def worth(model: CatalogueModel) -> float:
            return (model.active_parameters or model.parameters) * math.exp2((_months(model) - newest) / 12)

        roomy = [model for model in models if (model.context_length or self.context) >= self.context]
        return sorted(roomy, key=worth, reverse=True)

    def _try(
        self, models: Sequence[CatalogueModel], on: Machine, usable: Callable[[CatalogueModel], bool] = lambda _: True
    ) -> Found:
        """The first that surely fit, and the first that would have gone before them."""
        gpus = gpus_of(on)
        room = sum(device.usable_bytes for device in gpus) if gpus else ram(on).usable_bytes
        picks: list[Pick] = []
        passed: list[tuple[FitVerdict, str]] = []
        for model in models:
            too_large = model.parameters * _LEAST_BYTES_PER_PARAMETER > room
            if len(picks) == _SHOWN:
                break
            if model.maker in [pick.maker for pick in picks] or (too_large and len(passed) >= _QUOTED):
                continue
            if not usable(model):
                continue
            fit = self.judged(model, on)
            if _is_good(fit, gpus):
                picks.append(_fetched(model, fit, self._larger(model, on) if gpus else ""))
            elif len(passed) < _QUOTED and (fit.need_bytes or 0) < _NEAR * room:
                passed.append((fit, self._smaller(model, on)))
        return Found(tuple(picks), "", *(tuple(each) for each in zip(*passed, strict=True)))

    def judged(self, model: CatalogueModel, on: Machine, quantization: str = "") -> FitVerdict:
        """As Ollama runs it; '' is the quantization that one gets without asking."""
        # for images room is kept free beforehand, whatever the model
        known = estimate(model, quantization or model.quants[0], vision=self.use is not Use.VISION)
        return judge(model.pull or model.hf, known, on, Setting(self.context))

    def _smaller(self, model: CatalogueModel, on: Machine) -> str:
        """The largest published quantization of at least 3 bits in which it surely fits after all."""
        for quantization in _by_bits(model, below=True):
            fit = self.judged(model, on, quantization)
            if _is_good(fit, gpus_of(on)):
                return f"in {quantization} it fits, with {need_words(fit)}"
        return ""

    def _larger(self, model: CatalogueModel, on: Machine) -> str:
        """The largest published quantization that leaves a fifth of the room free."""
        for quantization in _by_bits(model, below=False):
            fit = self.judged(model, on, quantization)
            sure = (fit.need_bytes or 0) + 2 * (fit.sigma_bytes or 0)
            if surely(fit) and fit.verdict is Fits.FITS and sure <= _WITH_ROOM * (fit.free_bytes or 0):
                return f" There is room for it in {quantization} as well: {need_words(fit)}."
        return ""


def _is_good(fit: FitVerdict, gpus: Sequence[Device]) -> bool:
    """It surely fits where it is wanted."""
    return surely(fit) and (fit.verdict is Fits.FITS or not gpus)


def _by_bits(model: CatalogueModel, *, below: bool) -> list[str]:
    """The published quantizations below the usual one, or above it, the largest first; none of 2 or of 16 bits."""
    sized = {each: _weights(model, each) for each in model.quants if not each.startswith(("Q2", "IQ2", "F", "BF"))}
    usual = _weights(model, model.quants[0])
    found = [each for each, size in sized.items() if (size < usual if below else size > usual)]
    return sorted(found, key=lambda each: sized[each], reverse=True)


def _weights(model: CatalogueModel, quantization: str) -> int:
    return estimate(model, quantization, vision=False).in_ram(Setting(CELL_STEP)).parts.weights


def _the(use: Use) -> str:
    return f"Of the catalogue's models for {'cpu or quick' if use is Use.CPU else use}"


def _months(model: CatalogueModel) -> int:
    """Since the year 0."""
    year, _, month = model.released.partition("-")
    return 12 * int(year) + int(month or 1)


def _read_per_token(model: CatalogueModel) -> float:
    """Bytes of weights that each token is met by; of a mixture of experts, a share of them."""
    return _weights(model, model.quants[0]) * (model.active_parameters or model.parameters) / model.parameters


def _is_light(model: CatalogueModel) -> bool:
    at_four_bits = (model.active_parameters or model.parameters) / 2  # what one pulls unasked never has fewer
    return at_four_bits <= READ_PER_TOKEN_BYTES and _read_per_token(model) <= READ_PER_TOKEN_BYTES


def _fetched(model: CatalogueModel, fit: FitVerdict, larger: str) -> Pick:
    why = room_words(fit) + larger
    if fit.verdict is Fits.CPU:
        read = _read_per_token(model)
        why += (
            f" Each token reads {human_bytes(int(read))} of weights: at most {RAM_BYTES_PER_S / read:.0f} tokens/s "
            "on two channels of DDR4-3200."
        )
    return Pick(
        model=model.pull or model.hf,
        basis=Basis.CATALOGUE,
        why=why,
        fit=fit,
        title=model.name,
        maker=model.maker,
        quantization=model.quants[0],
        parameters=model.parameters,
        active_parameters=model.active_parameters,
        licence=model.licence,
        released=model.released,
    )
