"""Which model to use on a machine: by the user's votes, by size, by the catalogue; and the way there.

Nothing is called fitting here that does not fit with two standard deviations to spare. The way has the forks of the
guides' flow chart (a GPU? how much of it? what for?), each with what the chart says there and what that really takes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from arena.core.advice import Advice, Basis, Pick, Step, Use
from arena.core.machine import GIB, Fits, FitVerdict, Machine, human_bytes
from arena.core.models import ModelInfo
from arena.core.ratings import Board, Standing, Status
from arena.core.text import clean_line, counted
from arena.hardware.fit.catalogue import CatalogueModel, estimate, lookup, quantization_in
from arena.hardware.fit.devices import gpus_of, ram, roomiest
from arena.hardware.fit.estimate import Setting
from arena.hardware.fit.rules_of_thumb import BY_USE, WITHOUT_GPU, Guide, branch, need_words
from arena.hardware.fit.verdict import judge

USUAL_CONTEXT = 8192
"""Tokens: a few pages of text and the answer."""
IMAGE_BYTES = 2 * GIB
"""Kept free for what looks at images: it lies in a file of its own, which the catalogue does not hold. Those of today's
models are of 0.6 to 1.5 GB, and compute in 0.3 to 1 GiB."""
READ_PER_TOKEN_BYTES = 3 * GIB
"""The most that a model for the CPU may read from RAM for each token."""
RAM_BYTES_PER_S = 51.2e9
"""Two channels of DDR4-3200, at best."""

_SHOWN = 3
_LEAST_BYTES_PER_PARAMETER = 0.25
"""On a GPU none takes less, tables that stay in RAM left out: what is larger already need not be estimated."""
_NO_SERVICE = re.compile(r"\bNC\b|non.?commercial|non.?production|research", re.IGNORECASE)
"""Licences that allow no service."""
_TOYS = "demo/"
_QUOTED = 2
"""How many of those that had to be passed over are named."""

Installed = Sequence[tuple[ModelInfo, FitVerdict]]
"""The models that can be reached, each with how it fits on the bench of the use."""


def usual_use(machine: Machine) -> Use:
    """What a model is wanted for where nobody says it."""
    return Use.GENERAL if gpus_of(machine) else Use.CPU


def bench(machine: Machine, use: Use) -> Machine:
    """The machine as models of that use see it: without GPUs for the CPU, with less of it for images."""
    if use is Use.CPU:
        return replace(machine, gpus=())
    if use is not Use.VISION:
        return machine
    gpus = tuple(
        gpu if gpu.free_bytes is None else replace(gpu, free_bytes=gpu.free_bytes - IMAGE_BYTES) for gpu in machine.gpus
    )
    return replace(machine, gpus=gpus, ram_free_bytes=machine.ram_free_bytes - IMAGE_BYTES)


def advise(
    machine: Machine,
    installed: Installed,
    board: Board | None,
    known: Sequence[CatalogueModel],
    use: Use,
    context: int = USUAL_CONTEXT,
) -> Advice:
    """What to use on that machine, with `context` tokens in one conversation.

    The fits of `installed` are those on `bench(machine, use)`. `board` is that of `use.board_tag`, None where nobody
    has voted yet.
    """
    on = bench(machine, use)
    by_votes, votes_note = _by_votes(installed, board, use)
    largest, largest_note = _largest(installed)
    found = _Search(known, on, use, context).best(installed)
    own = [pick.model for pick in (by_votes, largest) if pick and (pick is by_votes or not _is_toy(pick.model))]
    now, fetch = next(iter(own), ""), found.picks[0].model if found.picks else ""
    return Advice(
        use=use,
        context=context,
        path=_path(machine, known, use, context, now, fetch),
        now=now,
        fetch=fetch,
        by_votes=by_votes,
        votes_note=votes_note,
        largest=largest,
        largest_note=largest_note,
        catalogue=found.picks,
        catalogue_note=found.note,
        too_large=found.too_large,
    )


def surely(fit: FitVerdict) -> bool:
    """Whether it fits with two standard deviations to spare: on the GPUs, or in RAM."""
    if fit.verdict not in (Fits.FITS, Fits.CPU) or fit.need_bytes is None or fit.free_bytes is None:
        return False
    return fit.need_bytes + 2 * (fit.sigma_bytes or 0) <= fit.free_bytes


# The user's own votes


def _by_votes(installed: Installed, board: Board | None, use: Use) -> tuple[Pick | None, str]:
    """The best on the board that can be played here, and who had to be passed over."""
    where = f" on prompts tagged {use.board_tag}" if use.board_tag else ""
    if board is None or not board.votes:
        return None, f"You have not voted{where} yet."
    sure = [line for line in board.standings if line.status in (Status.USABLE, Status.ESTABLISHED)]
    if not sure:
        return None, f"Too early: {counted(board.votes, 'vote')}{where} so far; a standing takes 10 and ± 200 points."
    passed: list[str] = []
    for line in sure:
        there = _called(line.model, installed)
        if there is None:
            passed.append(f"{clean_line(line.model, 60)} ({line.score:.0f}) can't be reached now")
        elif there[0].local and not surely(there[1]):
            passed.append(f"{clean_line(line.model, 60)} ({line.score:.0f}) does not surely fit")
        else:
            return _voted(line, *there, where), "Above it: " + "; ".join(passed[:_QUOTED]) + "." if passed else ""
    return None, f"None of your best can be played here: {'; '.join(passed[:_QUOTED])}."


def _called(name: str, installed: Installed) -> tuple[ModelInfo, FitVerdict] | None:
    """The model whose line that is: behind its address there may be what tells it from others of that address."""
    same = [each for each in installed if not each[0].note and f"{name} ".startswith(f"{each[0].ref} ")]
    return max(same, key=lambda each: len(str(each[0].ref)), default=None)


def _voted(line: Standing, info: ModelInfo, fit: FitVerdict, where: str) -> Pick:
    why = (
        f"Score {line.score:.0f} (95 %: {line.low:.0f} to {line.high:.0f}), {line.status}, by your "
        f"{counted(line.votes, 'vote')}{where}; rank {line.rank} (80 %: {line.rank_low} to {line.rank_high})."
    )
    there = _room(fit) if info.local else "It runs on another machine and takes nothing of this one."
    return replace(_here(info, fit, Basis.VOTES, f"{why} {there}"), standing=line)


# What is here


def _largest(installed: Installed) -> tuple[Pick | None, str]:
    """The largest that fits: on a GPU before RAM, toys last."""
    playable = [(info, fit) for info, fit in installed if info.local and not info.note]
    good = [(info, fit) for info, fit in playable if surely(fit)]
    if not good:
        note = f"None of the {counted(len(playable), 'model')} that can be reached surely fits."
        return None, note if playable else "No model of this machine can be reached."

    def order(each: tuple[ModelInfo, FitVerdict]) -> tuple[bool, bool, int]:
        info, fit = each
        return not _is_toy(str(info)), fit.verdict is Fits.FITS, fit.parts.weights

    info, fit = max(good, key=order)
    if _is_toy(str(info)):
        note = "Only the demo models surely fit: toys, to try arena with."
    else:
        note = f"Of {counted(len(playable), 'model')} that can be reached, {len(good)} surely fit."
    return _here(info, fit, Basis.LARGEST, _room(fit)), note


def _here(info: ModelInfo, fit: FitVerdict, basis: Basis, why: str) -> Pick:
    return Pick(
        model=str(info),
        basis=basis,
        why=why,
        fit=fit if info.local else None,
        quantization=info.quantization,
        parameters=info.parameters,
        active_parameters=info.active_parameters,
    )


def _is_toy(model: str) -> bool:
    return model.startswith(_TOYS)


def _room(fit: FitVerdict) -> str:
    where = "RAM" if fit.device == "ram" else fit.device
    shorter = f"; the longest that surely fits is {fit.max_context}" if fit.max_context else ""
    return (
        f"Needs {need_words(fit)} ({fit.method}) with {fit.context} tokens of context, of "
        f"{human_bytes(fit.free_bytes)} free on {where}{shorter}."
    )


# The catalogue


@dataclass(frozen=True, slots=True)
class _Found:
    picks: tuple[Pick, ...]
    note: str
    too_large: tuple[FitVerdict, ...] = ()


@dataclass(frozen=True, slots=True)
class _Search:
    """The catalogue, on a machine, for a use."""

    known: Sequence[CatalogueModel]
    on: Machine
    use: Use
    context: int

    def best(self, installed: Installed) -> _Found:
        """Up to three of different makers that surely fit and are not here yet."""
        here = {model.name for info, _ in installed for model in _known_as(info, self.known)}
        fetchable = [model for model in self.known if self._can_be_used(model) and model.name not in here]
        wanted = self._in_order(self._for_use(fetchable))
        if gpus_of(self.on):
            found = self._try(wanted, self.on)
            if found.picks:
                return replace(found, note=f"{_the(self.use)}, newer and larger first; one of each maker.")
        beside = replace(self.on, gpus=())
        light = self._try(wanted, beside, _is_light)
        why = f"those that read at most {human_bytes(READ_PER_TOKEN_BYTES)} of weights a token, so that a CPU keeps up."
        if light.picks:
            return replace(light, note=f"{_the(self.use)}, {why}{self._no_gpu()}")
        small = [model for model in fetchable if {Use.CPU, Use.QUICK} & set(model.uses)]
        light = self._try(self._in_order(small), beside, _is_light)
        if not light.picks:
            return _Found((), f"Nothing of the catalogue surely fits with {self.context} tokens.", light.too_large)
        return replace(light, note=f"None for {self.use} surely fits; of those for cpu or quick, {why}{self._no_gpu()}")

    def _no_gpu(self) -> str:
        return " On the GPU nothing for it surely fits." if gpus_of(self.on) else ""

    def _for_use(self, models: Sequence[CatalogueModel]) -> list[CatalogueModel]:
        uses = {Use.CPU, Use.QUICK} if self.use is Use.CPU else {self.use}
        return [model for model in models if uses & set(model.uses)]

    def _can_be_used(self, model: CatalogueModel) -> bool:
        allowed = self.use is not Use.PRODUCTION or not _NO_SERVICE.search(model.licence)
        return allowed and bool(model.pull or model.hf)

    def _in_order(self, models: Sequence[CatalogueModel]) -> list[CatalogueModel]:
        """Newer and larger ones first: a year more counts as half the size. Those with too short a context are out."""
        newest = max((_months(model) for model in self.known), default=0)

        def worth(model: CatalogueModel) -> float:
            return (model.active_parameters or model.parameters) * math.exp2((_months(model) - newest) / 12)

        roomy = [model for model in models if (model.context_length or self.context) >= self.context]
        return sorted(roomy, key=worth, reverse=True)

    def _try(
        self, models: Sequence[CatalogueModel], on: Machine, usable: Callable[[CatalogueModel], bool] = lambda _: True
    ) -> _Found:
        """The first that surely fit, and the first that would have gone before them."""
        gpus = gpus_of(on)
        room = sum(device.usable_bytes for device in gpus) if gpus else ram(on).usable_bytes
        picks: list[Pick] = []
        passed: list[FitVerdict] = []
        for model in models:
            too_large = model.parameters * _LEAST_BYTES_PER_PARAMETER > room
            if len(picks) == _SHOWN:
                break
            if model.maker in [pick.maker for pick in picks] or (too_large and len(passed) >= _QUOTED):
                continue
            if not usable(model):
                continue
            fit = self.judged(model, on)
            if surely(fit) and (fit.verdict is Fits.FITS or not gpus):
                picks.append(_fetched(model, fit))
            else:
                passed.append(fit)
        return _Found(tuple(picks), "", tuple(passed[:_QUOTED]))

    def judged(self, model: CatalogueModel, on: Machine) -> FitVerdict:
        """In the quantization that one gets without asking, as Ollama runs it."""
        return judge(model.pull or model.hf, estimate(model, model.quants[0]), on, Setting(self.context))


def _the(use: Use) -> str:
    return f"Of the catalogue's models for {'cpu or quick' if use is Use.CPU else use}"


def _months(model: CatalogueModel) -> int:
    """Since the year 0."""
    year, _, month = model.released.partition("-")
    return 12 * int(year) + int(month or 1)


def _read_per_token(model: CatalogueModel) -> float:
    """Bytes of weights that each token is met by; of a mixture of experts, a share of them."""
    weights = estimate(model, model.quants[0]).in_ram(Setting(USUAL_CONTEXT)).parts.weights
    return weights * (model.active_parameters or model.parameters) / model.parameters


def _is_light(model: CatalogueModel) -> bool:
    at_four_bits = (model.active_parameters or model.parameters) / 2  # what one pulls unasked never has fewer
    return at_four_bits <= READ_PER_TOKEN_BYTES and _read_per_token(model) <= READ_PER_TOKEN_BYTES


def _fetched(model: CatalogueModel, fit: FitVerdict) -> Pick:
    why = _room(fit)
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


def _known_as(info: ModelInfo, known: Sequence[CatalogueModel]) -> Iterator[CatalogueModel]:
    """The catalogue's entries that this may be: by the name that Ollama has for it, else by how a file is called."""
    name = info.ref.name.removeprefix("ollama:")
    found = lookup(name)
    if found is not None:
        yield found
    file = _letters(name.rpartition("/")[2].removesuffix(".gguf"))
    quantization = _letters(info.quantization or quantization_in(name))
    bare = file.removesuffix(quantization)
    yield from (model for model in known if bare in (_letters(model.name), _letters(model.pull)))


def _letters(text: str) -> str:
    return re.sub(r"[^0-9a-z]", "", text.lower())


# The way


def _path(
    machine: Machine,
    known: Sequence[CatalogueModel],
    use: Use,
    context: int,
    now: str,
    fetch: str,
) -> tuple[Step, ...]:
    on = bench(machine, use)
    guide = Guide(known, machine if use is Use.VISION else on, context)
    steps = [Step("GPU?", _gpu_words(machine, use)), *_memory(on, guide)]
    if use is Use.VISION:
        steps.append(Step("Images?", f"{human_bytes(IMAGE_BYTES)} of each kept free for the part that looks at them"))
    says = guide.says(BY_USE.get(use, ""))
    same = any(step.guide.endswith(says.removeprefix("the guide, ")) for step in steps)  # a second time says no more
    steps.append(Step("Use?", use.value, "" if same else says))
    steps.append(Step("Context?", f"{context} tokens, 16-bit cache, one conversation"))
    to_fetch = f"arena pull {fetch}" if fetch else "nothing that would surely fit"
    steps.append(Step("Take", f"{now or 'none of those here'}; to fetch: {to_fetch}"))
    return tuple(steps)


def _gpu_words(machine: Machine, use: Use) -> str:
    names = ", ".join(f"{clean_line(gpu.name, 40)}" for gpu in machine.gpus)
    if use is Use.CPU and names:
        return f"not asked about ({names})"
    if not names:
        return "no: models are held against RAM"
    return f"yes: {names}" if gpus_of(machine) else f"{names}, which does not say what is free: RAM counts"


def _memory(on: Machine, guide: Guide) -> Iterator[Step]:
    devices = gpus_of(on)
    if not devices:
        here = ram(on)
        told = f"{human_bytes(here.free_bytes)} free of {human_bytes(on.ram_total_bytes)}"
        yield Step("RAM?", f"{told}, {human_bytes(max(0, here.usable_bytes))} for models", guide.at(WITHOUT_GPU))
        return
    total = sum((device.gpu.total_bytes if device.gpu else None) or device.free_bytes for device in devices)
    free = sum(device.free_bytes for device in devices)
    room = sum(max(0, device.usable_bytes) for device in devices)
    largest = roomiest(devices)
    on_one = f", at most {human_bytes(largest.usable_bytes)} on one" if largest and len(devices) > 1 else ""
    leaf = branch(total)
    words = guide.at(leaf) if leaf else "the guide's chart begins with 8 GB"
    told = f"{human_bytes(free)} free of {human_bytes(total)}, {human_bytes(room)} for models{on_one}"
    yield Step("VRAM?", told, words)
