"""How long `arena fit` takes for 50 models in a folder, and how far its formulas are off llama.cpp's own plan.

    python benchmarks/fit.py [--runs 7] [--models 50] [--tokens 32000] [--full] [--check]

prints two Markdown tables. Every start is a new process in an empty home; time is held against that of a bare
interpreter in the same run. `--tokens 0` leaves the tokenizers out of the headers, `--full` plans every setting instead
of ten a model. `--check`: exit code 1 when a bound was missed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from arena.hardware.fit.catalogue import catalogue  # noqa: E402 - behind the path, like the others
from arena.hardware.fit.skeleton import encode, header_of  # noqa: E402

BARE = "import json, sqlite3"
MOST_CACHED, MOST_COLD = 30, 60
"""Times the bare start, which takes 20 to 35 ms: with headers cached a second at most, on a machine with nothing else
to do. Without, the tokenizers of 50 files are walked over and 4 MiB of each are hashed, once."""
MOST_MEAN, MOST_WORST = 0.005, 0.02
"""Shares of the total, as the header method is allowed to be off."""
UNWANTED = ("textual", "rich", "numpy", "llama_cpp", "httpx", "pynvml")


def make_models(folder: Path, count: int, tokens: int) -> None:
    """Write headers of well-known models with `tokens` words and twice as many merges, and a hole for the weights."""
    words = tuple(f"\u0120word{number:x}" for number in range(tokens))
    tokenizer: dict[str, object] = {}
    if tokens:
        tokenizer = {
            "tokenizer.ggml.tokens": words,
            "tokenizer.ggml.token_type": tuple(1 for _ in words),
            "tokenizer.ggml.merges": tuple(f"{one[:-1]} {one[-1]}" for one in words + words),
        }
    for number, model in enumerate(islice(catalogue(), count)):
        header = header_of(model.spec, "MXFP4" if model.spec.architecture == "gpt-oss" else "Q4_K_M")
        raw = encode({**header.metadata, **tokenizer}, header.tensors)
        with (folder / f"model-{number:02}.gguf").open("wb") as file:
            file.write(raw)
            file.truncate(len(raw) + header.file_bytes)


def measured(command: Sequence[str], environ: Mapping[str, str]) -> tuple[float, float]:
    """Seconds on the wall and of the processor, of one new process and its children."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=dict(environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def starts(runs: int, count: int, tokens: int) -> bool:
    """Print how long the starts take; whether the bounds are kept."""
    home = Path(tempfile.mkdtemp(prefix="arena-fit-"))
    try:
        models = home / "models"
        models.mkdir()
        make_models(models, count, tokens)
        config = home / "arena.toml"
        config.write_text(f'gguf_folders = ["{models.as_posix()}"]\n')
        python, fit = [sys.executable], [sys.executable, "-m", "arena", "fit", "--config", str(config)]
        environ = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        places = {f"XDG_{each}_HOME": str(home / each.lower()) for each in ("CONFIG", "DATA", "CACHE", "STATE")}
        # bytecode lies ready after the first start, as for everybody who installs a program
        environ |= {"HOME": str(home), "PYTHONPYCACHEPREFIX": str(home / "bytecode"), **places}
        measured(fit, environ)
        told = subprocess.run(
            [*python, "-X", "importtime", *fit[1:]], env=environ, capture_output=True, text=True, check=True
        )
        modules = {line.rpartition("|")[2].strip().partition(".")[0] for line in told.stderr.splitlines()}
        if told.stdout.count("model-") != count:
            sys.exit(f"`arena fit` does not tell of {count} models:\n{told.stdout}")
        seen: dict[str, list[tuple[float, float]]] = {"bare": [], "cached": [], "cold": []}
        for _ in range(runs):  # in turn, so that a busy minute strikes all alike
            seen["bare"].append(measured([*python, "-c", BARE], environ))
            seen["cached"].append(measured(fit, environ))
            shutil.rmtree(home / "cache")
            seen["cold"].append(measured(fit, environ))
    finally:
        shutil.rmtree(home)
    wall = {name: statistics.median(each for each, _ in found) for name, found in seen.items()}
    spent = {name: statistics.median(each for _, each in found) for name, found in seen.items()}
    print(f"Median of {runs} starts, {count} models, {tokens:,} tokens in each header.\n")
    print("| new process | wall, s | processor, s | times the bare one | at most |\n|---|---|---|---|---|")
    rows = (("bare", f'`python -c "{BARE}"`', 1), ("cached", "`arena fit`", MOST_CACHED),
            ("cold", "`arena fit`, no header cached", MOST_COLD))  # fmt: skip
    for name, shown, most in rows:
        ratio = spent[name] / spent["bare"]
        print(f"| {shown} | {wall[name]:.2f} | {spent[name]:.3f} | {ratio:.1f} | {most} |")
    loaded = sorted(modules.intersection(UNWANTED))
    print(f"\nImported of {', '.join(UNWANTED)}: {', '.join(loaded) or 'nothing'}.\n")
    return not loaded and all(spent[name] <= most * spent["bare"] for name, _, most in rows)


def accuracy(*, full: bool) -> bool:
    """Print how far the header method is off the dry run; whether the bounds are kept."""
    if importlib.util.find_spec("llama_cpp") is None:
        print("llama-cpp-python is missing: the formulas are held against nothing.")
        return True
    from arena.hardware.fit.dry_run import DryRun
    from test_fit_dry_run import MODELS, MORE_SETTINGS, SETTINGS, errors, off

    run = DryRun()
    shares: dict[bool, list[float]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as folder:
        for spec in MODELS.values():
            for setting, planned, parts in errors(
                run, Path(folder) / "x.gguf", spec, MORE_SETTINGS if full else SETTINGS
            ):
                shares[setting.runtime.all_logits].append(abs(off(planned, parts)[1]))
    run.close()
    print("| total against llama.cpp's plan | settings | mean | 95 of 100 within | worst |\n|---|---|---|---|---|")
    for whole, shown in ((False, "as llama-server and arena run models"), (True, "logits of whole batches reserved")):
        found = sorted(shares[whole])
        mean, most = statistics.mean(found), found[-1]
        print(f"| {shown} | {len(found)} | {mean:.2%} | {found[len(found) * 95 // 100]:.2%} | {most:.2%} |")
    return statistics.mean(shares[False]) <= MOST_MEAN and max(shares[False]) <= MOST_WORST


def main() -> int:
    """Measure both."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--runs", type=int, default=7)
    options.add_argument("--models", type=int, default=50)
    options.add_argument("--tokens", type=int, default=32_000)
    options.add_argument("--full", action="store_true")
    options.add_argument("--check", action="store_true")
    asked = options.parse_args()
    kept = [starts(asked.runs, asked.models, asked.tokens), accuracy(full=asked.full)]
    return int(asked.check and not all(kept))


if __name__ == "__main__":
    raise SystemExit(main())
