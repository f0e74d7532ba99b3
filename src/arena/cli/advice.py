"""What `arena recommend` and `arena explain fit` print."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from arena.cli.reports import table
from arena.core.advice import Advice, Pick, Step, use_of
from arena.core.errors import UsageError
from arena.core.machine import GIB, Fits, human_bytes
from arena.core.text import clean_line

if TYPE_CHECKING:
    from arena.core.ratings import Board
    from arena.hardware.fit.catalogue import CatalogueModel
    from arena.hardware.fit.rules_of_thumb import Checked, Figure
    from arena.wiring import Arena

_WIDTH = 80
_MANY_ROUNDS = 10_000

_HOW = (
    "What a model needs is weights + KV cache + compute buffer + the driver's overhead, held against what is free now, "
    "not against what is printed on the card. It comes from the best there is: measured (a past load here) > exact "
    "(llama.cpp's own accounting) > header (of the GGUF file) > catalogue (the published shape of the model)."
)
_WORDS = {
    Fits.FITS: "need + 2 sigma is no more than what is free, less some headroom: sure in 39 of 40 cases",
    Fits.TIGHT: "within 2 sigma of what is free: it may go either way",
    Fits.PARTIAL: "only some of its layers have room on the GPU; the others stay in RAM, and it is slow",
    Fits.CPU: "it has room in RAM, with 2 sigma to spare, and runs on the CPU",
    Fits.NO: "there is no room for it, neither on a GPU nor in RAM",
    Fits.UNKNOWN: "nothing is known of it, or it takes the memory of another machine",
}


def recommendation(arena: Arena, tag: str | None, gpu: str | None, context: int | None) -> Advice:
    """Which model to use, for that tag, on other GPUs if `gpu` names some. Raises ArenaError, UsageError."""
    use = use_of(tag) if tag is not None else None
    machine = None
    if gpu is not None:
        cards = arena.watch.what_if(gpu)
        machine = replace(arena.watch.machine().result(), gpus=cards)
    infos = arena.lineup.models().result()
    board = _board(arena, use.board_tag if use else "")
    return arena.watch.advise(infos, board, use, machine, context=context).result()


def _board(arena: Arena, tag: str) -> Board | None:
    """The board, if there is a vote: without one there is nothing to compute, and no database to make."""
    if not arena.settings.db.exists():
        return None
    voted = any(line.verdict is not None for line in arena.history(_MANY_ROUNDS).result())
    return arena.board(tag).result() if voted else None


def as_json(advice: Advice) -> dict[str, Any]:
    """All of it, by the names of its fields."""
    return asdict(advice)


def as_text(advice: Advice) -> str:
    """For a person, in 80 columns."""
    notes = [f"; {note}" if note else "" for note in advice.too_large_notes]
    too_large = [
        f"{clean_line(fit.model, 60)} needs {human_bytes(fit.need_bytes)} ({fit.verdict}{note})"
        for fit, note in zip(advice.too_large, notes, strict=True)
    ]
    before = f"Before them, but for their size: {'; '.join(too_large)}." if too_large else ""
    parts = [
        list(_path(advice.path)),
        _section("By your votes", _one(advice.by_votes), advice.votes_note),
        _section("The largest that fits, of those here", _one(advice.largest), advice.largest_note),
        _section("Not here yet, by the catalogue", advice.catalogue, advice.catalogue_note, before),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts)


def _one(pick: Pick | None) -> tuple[Pick, ...]:
    return () if pick is None else (pick,)


def _path(steps: Sequence[Step]) -> Iterable[str]:
    for depth, step in enumerate(steps):
        pad = "   " * (depth - 1) + "└─ " if depth else ""
        yield from _wrapped(f"{step.question} {clean_line(step.answer, 400)}", pad, " " * len(pad) + "│  ")
        if step.guide:
            below = "   " * depth + "│  "
            yield from _wrapped(step.guide, below, below)


def _section(title: str, picks: Sequence[Pick], *notes: str) -> list[str]:
    lines = [f"{title}:"]
    for pick in picks:
        facts = [pick.title, pick.maker, pick.released, pick.licence, pick.quantization, _size(pick)]
        lines += _wrapped(clean_line(pick.model, 70), "  > ", "    ")
        lines += _wrapped(", ".join(clean_line(fact, 80) for fact in facts if fact), "    ")
        lines += _wrapped(pick.why, "    ")
    return [*lines, *(line for note in notes for line in _wrapped(note, "  "))]


def _size(pick: Pick) -> str:
    if not pick.parameters:
        return ""
    if pick.parameters < 1e8:
        return f"{pick.parameters / 1e6:.1f} million parameters"
    active = f" ({pick.active_parameters / 1e9:.1f} active)" if pick.active_parameters else ""
    return f"{pick.parameters / 1e9:.1f} billion parameters{active}"


def _wrapped(text: str, first: str, other: str | None = None) -> list[str]:
    below = first if other is None else other
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=below,
        break_on_hyphens=False,
        break_long_words=False,
    )


# arena explain fit


def explain_fit(name: str | None = None) -> str:
    """The rules of thumb beside the exact figures, of the guides' models or of the named one. Raises UsageError."""
    parts = [_of_model(name)] if name else [_by_size(), _by_class(), _compressed(), _in_ram(), _by_model()]
    words = "\n".join(
        line for word, meaning in _WORDS.items() for line in _wrapped(meaning, f"{word.value:<9}", " " * 9)
    )
    return "\n\n".join([*parts, "\n".join(_wrapped(_HOW, "")), words])


def _by_size() -> str:
    from arena.hardware.fit.rules_of_thumb import by_size  # noqa: PLC0415 - the catalogue, and only here

    found = [(model, rule, forms, rule * GIB / forms[2].need_bytes) for model, rule, forms in by_size()]
    rows = [
        (model.pull, f"{model.parameters / 1e9:.1f}", f"{rule:.0f}", *map(_gib, forms), f"{over:.1f}x")
        for model, rule, forms, over in found
    ]
    overs = [over for *_, over in found]
    head = ("model", "1e9", "rule", "needs in F32", "F16", "as pulled", "rule/pulled")
    said = 'The guide: "size x 4 bytes x 1.2 (to 1.5)". GiB at 4096 tokens of context.'
    held = (
        "It is about right for 32-bit weights, which nobody runs. "
        f"What one pulls takes {min(overs):.1f} to {max(overs):.1f} times less."
    )
    return _block(said, table(head, rows), held)


def _by_class() -> str:
    from arena.hardware.fit.rules_of_thumb import by_class  # noqa: PLC0415

    rows = [(found.rule, *_checked(found)) for found in by_class()]
    said = f"The guide's least VRAM by size, on an empty card of that size. {_COLUMNS}"
    held = "It holds for 4 bits up to 30B, with gigabytes to spare, and hardly ever in FP16; 70B wants more than 40 GB."
    return _block(said, table(("size", "says", "model", *_FIGURES), rows), held)


def _by_model() -> str:
    from arena.hardware.fit.rules_of_thumb import by_model  # noqa: PLC0415

    rows = [_checked(found) for found in by_model()]
    said = f"The guides' VRAM for each model, on an empty card of that size. {_COLUMNS}"
    held = "Figures for FP16 and for 4 bits are mixed in the guides; which one was meant shows in the verdicts."
    return _block(said, table(("says", "model", *_FIGURES), rows), held)


def _in_ram() -> str:
    from arena.hardware.fit.rules_of_thumb import in_ram  # noqa: PLC0415

    rows = [(found.rule, *_checked(found, "no room")) for found in in_ram()]
    said = f"The guide's RAM for a CPU (7B 16 GB, 3B 8 GB), if all of it were free. {_COLUMNS}"
    held = "It holds: what the model leaves is for the system and other programs."
    return _block(said, table(("size", "says", "model", *_FIGURES), rows), held)


def _compressed() -> str:
    from arena.hardware.fit.rules_of_thumb import compressed  # noqa: PLC0415

    rows = [
        (
            model.pull,
            few.quantization,
            f"{few.weights_bytes / 1e9:.1f}",
            f"{half.weights_bytes / 1e9:.1f}",
            f"{half.weights_bytes / few.weights_bytes:.2f}x",
            f"{half.need_bytes / few.need_bytes:.2f}x",
        )
        for model, few, half in compressed()
    ]
    said = "The guide: 4 bits are a third of FP16 (140 GB to 40 GB, 3.5 times smaller). Weights in GB:"
    held = "It holds for weights of Q4_0; Q4_K_M keeps more. KV cache and buffers do not shrink with them."
    return _block(said, table(("model", "quant", "4-bit", "F16", "weights", "all of it"), rows), held)


_FIGURES = ("quant", "4096", "8192", "verdict", "F16", "verdict")
_COLUMNS = "GiB at 4096 and 8192 tokens by the catalogue; F16, and both verdicts, at the last that is given."


def _checked(found: Checked, no: str = "not whole") -> tuple[str, ...]:
    """`no`: what NO means there."""
    return (f"{found.says_gb} GB", _name(found.model), *_judged(found, no))


def _judged(found: Checked, no: str = "not whole") -> tuple[str, ...]:
    short, long = found.usual
    usual, half = (_verdict(figure, no) for figure in (long or short, found.half))
    return (found.model.quants[0], _gib(short, 4096), _gib(long, 8192), usual, _gib(found.half), half)


def _verdict(figure: Figure | None, no: str) -> str:
    if figure is None:
        return "-"
    return no if figure.verdict is Fits.NO else figure.verdict.value


def _gib(figure: Figure | None, asked: int = 0) -> str:
    """GiB, with the context where that is shorter than asked."""
    if figure is None:
        return "-"
    shorter = f" ({figure.context})" if asked and figure.context < asked else ""
    return f"{figure.need_bytes / GIB:.1f}{shorter}"


def _name(model: CatalogueModel) -> str:
    return model.pull or model.name


def _of_model(name: str) -> str:
    """One model of the catalogue under every rule. Raises UsageError for one that it does not have."""
    from arena.hardware.fit import rules_of_thumb as rules  # noqa: PLC0415

    model = _found(name)
    size, gb = rules.class_of(model) or ("", 8)
    by_class = rules.check(model, size, gb)
    low, high = (rules.rule_bytes(model, factor) / GIB for factor in rules.RULE_FACTORS)
    usual = next(figure for figure in reversed(by_class.usual) if figure is not None)
    claims = [(found.rule, f"{found.says_gb} GB", *_judged(found)) for found in _claims(model)]
    rows = [*([(size, f"{gb} GB", *_judged(by_class))] if size else []), *claims]
    lines = [
        f"{model.name}: {model.parameters / 1e9:.2f} billion parameters, {model.quants[0]} unless asked otherwise.",
        f"Size x 4 bytes x 1.2 to 1.5: {low:.1f} to {high:.1f} GiB. By the catalogue, with {usual.context} tokens:",
        f"    {_needed(usual)} in {usual.quantization}, {_needed(by_class.half)} in FP16.",
    ]
    if "Q4" in usual.quantization or usual.quantization == "MXFP4":
        ratio = by_class.half.weights_bytes / usual.weights_bytes
        lines.append(f"A third of FP16: its weights are {ratio:.2f} times smaller in {usual.quantization}.")
    if not size:
        lines.append("The guide's least VRAM by size begins with 3B.")
    told = "\n".join(line for text in lines for line in _wrapped(text, ""))
    if not rows:
        return told
    columns = "\n".join(_wrapped(f"The guides' least VRAM, on an empty card of that size. {_COLUMNS}", ""))
    return f"{told}\n\n{columns}\n{table(('for', 'says', *_FIGURES), rows)}"


def _claims(model: CatalogueModel) -> list[Checked]:
    from arena.hardware.fit.rules_of_thumb import by_model  # noqa: PLC0415

    return [found for found in by_model() if found.model.name == model.name]


def _needed(figure: Figure) -> str:
    return f"{figure.need_bytes / GIB:.2f} ± {figure.sigma_bytes / GIB:.2f} GiB"


def _found(name: str) -> CatalogueModel:
    from arena.hardware.fit.catalogue import catalogue  # noqa: PLC0415
    from arena.hardware.fit.catalogue_names import find  # noqa: PLC0415

    asked = name.strip().lower()
    named = next((model for model in catalogue() if model.name.lower() == asked), None)
    if named is not None:
        return named
    found = find(asked)
    if found is None:
        raise UsageError(
            f"The catalogue has no model '{clean_line(name, 60)}'.",
            "Name it as `ollama pull` does, such as llama3:8b; `arena fit` judges those that are here.",
        )
    return found.model


def _block(said: str, rows: str, held: str) -> str:
    return "\n".join([*_wrapped(said, ""), textwrap.indent(rows, "  "), *_wrapped(held, "")])
