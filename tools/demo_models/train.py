# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "torch==2.13.0",
#     "tokenizers>=0.21",
#     "gguf>=0.17",
#     "numpy>=2",
#     "llama-cpp-python==0.3.36",
# ]
# ///
"""Train the tokenizer and the three demo models, and write them as GGUF files.

    uv run tools/demo_models/train.py

trains all three one after the other (the large one is grown from the trained
medium one), writes ``src/arena/demo/*.gguf`` and the
held-out questions, scores the models on them and writes the model card. It
takes about half an hour on two processor cores. ``--only`` and ``--tokens`` make
smaller runs for trying things out.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import corpus
import evaluate
import numpy as np
import to_gguf
import tokenizer as tokens
import torch
import torch.multiprocessing
from grow import grow
from model import Llama, Shape
from tokenizers import Tokenizer
from torch import distributed

HERE = Path(__file__).resolve().parent
DEMO = HERE.parents[1] / "src" / "arena" / "demo"
WORK = HERE.parents[1] / "build" / "demo_models"


@dataclass(frozen=True)
class Recipe:
    """How one model is trained."""

    shape: Shape
    million_tokens: float
    learning_rate: float = 3e-3
    matrix_learning_rate: float = 0.02
    grow_from: str = ""
    """The trained model to start from; without one, training starts from nothing."""
    seed: int = 1
    batch_tokens: int = 8192
    row_length: int = 256
    long_every: int = 8
    """Every so many batches, the rows are long conversations that fill the context."""


RECIPES = {
    "small": Recipe(Shape("small", 64, 2, 2, 160, tokens.VOCABULARY), 6.0),
    "medium": Recipe(Shape("medium", 128, 4, 4, 320, tokens.VOCABULARY), 8.0),
    "large": Recipe(Shape("large", 192, 6, 6, 512, tokens.VOCABULARY), 8.0, 0.002, 0.012, "medium", seed=2),
}


@dataclass(frozen=True)
class Batch:
    """Rows of packed conversations."""

    inputs: torch.Tensor
    targets: torch.Tensor
    mask: torch.Tensor
    learn: torch.Tensor


def documents(tokenizer: Tokenizer, seed: int, *, long: bool) -> Iterator[tuple[list[int], list[bool]]]:
    """Tokenized conversations, each with the tokens that are to be learnt."""
    for conversation in corpus.conversations(seed, long=long):
        ids: list[int] = []
        learn: list[bool] = []
        parts = tokens.render(conversation.turns, conversation.system)
        encoded = tokenizer.encode_batch([text for text, _ in parts])
        for (_, wanted), encoding in zip(parts, encoded, strict=True):
            ids += encoding.ids
            learn += [wanted] * len(encoding.ids)
        yield ids, learn


def batches(tokenizer: Tokenizer, rows: int, length: int, seed: int, *, long: bool = False) -> Iterator[Batch]:
    """Pack conversations into rows; a token attends to its own conversation only."""
    stream = documents(tokenizer, seed, long=long)
    waiting: list[tuple[list[int], list[bool]]] = []
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    while True:
        ids = np.zeros((rows, length + 1), dtype=np.int64)
        learn = np.zeros((rows, length + 1), dtype=bool)
        owner = np.full((rows, length + 1), -1, dtype=np.int64)
        for row in range(rows):
            at, number = 0, 0
            while at < length:
                while len(waiting) < 24:
                    document = next(stream)
                    if len(document[0]) <= length:
                        waiting.append(document)
                fitting = [i for i, d in enumerate(waiting) if len(d[0]) <= length + 1 - at]
                if not fitting:
                    break
                document_ids, document_learn = waiting.pop(fitting[0])
                end = at + len(document_ids)
                ids[row, at:end] = document_ids
                learn[row, at:end] = document_learn
                owner[row, at:end] = number
                at, number = end, number + 1
        owners = torch.from_numpy(owner[:, :-1])
        same = owners[:, :, None] == owners[:, None, :]
        yield Batch(
            inputs=torch.from_numpy(ids[:, :-1]),
            targets=torch.from_numpy(ids[:, 1:]),
            mask=(same & causal)[:, None],
            learn=torch.from_numpy(learn[:, 1:] & (owner[:, 1:] == owner[:, :-1])),
        )


def mixed_batches(tokenizer: Tokenizer, recipe: Recipe, rank: int, workers: int) -> Iterator[Batch]:
    """Short rows, and every now and then rows as long as the context."""
    size = recipe.batch_tokens // workers
    length, context = recipe.row_length, recipe.shape.context
    short = batches(tokenizer, size // length, length, seed=1000 * recipe.seed + rank)
    long = batches(tokenizer, size // context, context, seed=1000 * recipe.seed + 500 + rank, long=True)
    while True:
        for _ in range(recipe.long_every - 1):
            yield next(short)
        yield next(long)


def optimizers(model: Llama, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for everything else."""
    matrices = [p for p in model.blk.parameters() if p.dim() == 2]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    return [
        torch.optim.Muon(
            matrices,
            lr=recipe.matrix_learning_rate,
            momentum=0.95,
            weight_decay=0.01,
            adjust_lr_fn="original",
        ),
        torch.optim.AdamW(others, lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def schedule(progress: float, step: int) -> float:
    """A short warm-up, a long plateau, then a straight line down."""
    warm_up = min(1.0, (step + 1) / 40)
    return warm_up * min(1.0, (1.0 - progress) / 0.5 + 0.01)


@dataclass(frozen=True)
class Settings:
    """How to train on this machine."""

    work: Path
    workers: int
    max_minutes: float
    bfloat16: bool
    compile: bool


def average_over_workers(model: Llama, extra: list[float]) -> list[float]:
    """Replace all gradients by their mean over the workers; return the means of ``extra``."""
    parameters = list(model.parameters())
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([*(g.flatten() for g in gradients), torch.tensor(extra)])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    at = 0
    for gradient in gradients:
        gradient.copy_(flat[at : at + gradient.numel()].view_as(gradient))
        at += gradient.numel()
    return [float(value) for value in flat[at:]]


def join_workers(rank: int, settings: Settings, name: str) -> None:
    """Meet the other workers at a file in the work folder."""
    if sys.platform == "linux":  # elsewhere the loopback has another name, and gloo finds it
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    meeting = settings.work / f"{name}.rendezvous"
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=settings.workers)


def starting_model(recipe: Recipe, work: Path) -> Llama:
    """A new model, grown from a smaller one where the recipe says so."""
    torch.manual_seed(1)
    model = Llama(recipe.shape)
    if recipe.grow_from:
        smaller = torch.load(work / f"{recipe.grow_from}.pt", weights_only=True)
        grow(smaller["state"], Shape(**smaller["shape"]), model)
    return model


def train(rank: int, recipe: Recipe, settings: Settings) -> None:
    """Train one model together with the other workers and save it.

    Each worker is a process with one thread and reads its own part of the
    corpus. The gradients are averaged at each step, so all workers always
    hold the same model.
    """
    torch.set_num_threads(1)
    name = recipe.shape.name
    join_workers(rank, settings, name)
    tokenizer = tokens.load(settings.work / "tokenizer.json")
    model = starting_model(recipe, settings.work)
    chosen = optimizers(model, recipe)
    if settings.compile:
        model.hidden = torch.compile(model.hidden, dynamic=False)  # type: ignore[method-assign]
    groups = [group for optimizer in chosen for group in optimizer.param_groups]
    rates = [group["lr"] for group in groups]
    goal = recipe.million_tokens * 1e6
    if rank == 0:
        print(f"{name}: {model.parameter_count():,} parameters, {goal:,.0f} tokens", flush=True)
    started = saved = time.time()
    seen, progress, average = 0, 0.0, float("nan")
    for step, batch in enumerate(mixed_batches(tokenizer, recipe, rank, settings.workers)):
        if progress >= 1:
            break
        factor = schedule(progress, step)
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate * factor
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=settings.bfloat16):
            loss = model.loss(batch.inputs, batch.targets, batch.mask, batch.learn)
        for optimizer in chosen:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        seen += batch.inputs.numel() * settings.workers
        minutes = (time.time() - started) / 60
        progress = max(seen / goal, minutes / settings.max_minutes)
        value, progress = average_over_workers(model, [loss.item(), progress])
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in chosen:
            optimizer.step()
        average = value if math.isnan(average) else 0.95 * average + 0.05 * value
        if rank == 0 and step % 25 == 0:
            print(
                f"{name} step {step} loss {average:.4f} {seen / 1e6:.2f} M tokens "
                f"{seen / minutes / 60:,.0f} tokens/s {minutes:.1f} min",
                flush=True,
            )
        if rank == 0 and (progress >= 1 or time.time() - saved > 150):
            figures = {
                "parameters": model.parameter_count(),
                "million_tokens": round(seen / 1e6, 1),
                "minutes": round(minutes, 1),
                "loss": round(average, 4),
            }
            checkpoint = {
                "shape": asdict(recipe.shape),
                "state": model.state_dict(),
                "figures": figures,
            }
            torch.save(checkpoint, settings.work / f"{name}.pt")
            saved = time.time()
    distributed.destroy_process_group()


def main() -> None:
    """Train what is asked for, then convert, score and describe it."""
    parser = argparse.ArgumentParser(description="Train arena's demo models.")
    parser.add_argument("--only", choices=list(RECIPES), action="append", help="train only these")
    parser.add_argument("--tokens", type=float, help="millions of tokens for each model")
    parser.add_argument("--minutes", type=float, default=240.0, help="most minutes for each model")
    parser.add_argument("--workers", type=int, default=2, help="processes, each with one thread")
    parser.add_argument("--bfloat16", action="store_true", help="faster on some processors")
    parser.add_argument("--no-compile", action="store_true", help="slower, needs no C++ compiler")
    parser.add_argument("--work", type=Path, default=WORK, help="folder for checkpoints")
    parser.add_argument("--out", type=Path, default=DEMO, help="folder for the finished models")
    parser.add_argument("--no-finish", action="store_true", help="do not convert and score")
    parser.add_argument("--no-training", action="store_true", help="convert and score what is there")
    options = parser.parse_args()
    work: Path = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    saved_tokenizer = work / "tokenizer.json"
    if not saved_tokenizer.exists():
        tokens.train_tokenizer().save(str(saved_tokenizer))
    settings = Settings(work, options.workers, options.minutes, options.bfloat16, not options.no_compile)
    for name in () if options.no_training else options.only or list(RECIPES):
        recipe = RECIPES[name]
        if options.tokens:
            recipe = replace(recipe, million_tokens=options.tokens)
        (work / f"{name}.rendezvous").unlink(missing_ok=True)
        torch.multiprocessing.spawn(train, (recipe, settings), nprocs=settings.workers)
    if not options.no_finish:
        finish(work, options.out)


def check_tokenizer(path: Path, tokenizer: Tokenizer) -> None:
    """Make sure that llama.cpp splits texts into the very tokens of the training."""
    model = evaluate.open_model(path)
    for text in tokens.sample_texts(400):
        theirs = model.tokenize(text.encode(), add_bos=False, special=False)
        if theirs != tokenizer.encode(text).ids:
            raise ValueError(f"llama.cpp tokenizes this differently: {text!r}")


def finish(work: Path, out: Path) -> None:
    """Convert the checkpoints, write the held-out questions, score, fill in the card."""
    tokenizer_path = work / "tokenizer.json"
    for name in RECIPES:
        to_gguf.write_gguf(work / f"{name}.pt", tokenizer_path, out / f"{name}.gguf")
        check_tokenizer(out / f"{name}.gguf", tokens.load(tokenizer_path))
    evaluate.write_held_out(out / "held_out.jsonl")
    evaluate.evaluate(out, out / "CARD.md")


if __name__ == "__main__":
    main()
