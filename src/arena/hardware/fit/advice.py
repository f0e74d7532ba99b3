"""Which model to use on a machine: by the user's votes, by size, by the catalogue; and the way there.

Nothing is called fitting here that does not fit with two standard deviations to spare. The way has the forks of the
guides' flow chart (a GPU? how much of it? what for?), each with what the chart says there and what that really takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from arena.core.advice import Advice, Basis, Pick, Step, Use
from arena.core.machine import GIB, Fits, FitVerdict, Machine, human_bytes
from arena.core.models import ModelInfo
from arena.core.ratings import Board, Standing, Status
from arena.core.text import clean_line, counted
from arena.hardware.fit.catalogue import CatalogueModel
from arena.hardware.fit.catalogue_search import Search, room_words, surely, without_gpus
from arena.hardware.fit.devices import gpus_of, ram, roomiest
from arena.hardware.fit.rules_of_thumb import BY_USE, WITHOUT_GPU, Guide, branch

USUAL_CONTEXT = 8192
"""Tokens: a few pages of text and the answer."""
IMAGE_BYTES = 2 * GIB
"""Kept free for what looks at images: it lies in a file of its own, which the catalogue does not hold. Those of today's
models are of 0.6 to 1.5 GB, and compute in 0.3 to 1 GiB."""
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
        return without_gpus(machine)
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
    found = Search(known, on, use, context).best(installed)
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
        too_large_notes=found.too_large_notes,
    )


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
    there = room_words(fit) if info.local else "It runs on another machine and takes nothing of this one."
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
    return _here(info, fit, Basis.LARGEST, room_words(fit)), note


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
