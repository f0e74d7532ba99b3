"""The board beside evalica, choix and arena-rank: `python benchmarks/board.py [--models 10 100] [--votes 1000 ...]`.

`--check`: exit code 1 when arena's board takes more of the others' times than it may.

Every line is the best of some runs in this one process on the same votes, and the last column is its time as a multiple
of arena's whole board (fit, posterior, ranks, pairs) on the same form of input: as counts, or as a list of votes that
has to be counted first. Read the ratios: the times are those of a machine that may be busy. What the others give is
less: a score each, and of arena-rank an interval.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from functools import partial

from arena.core.votes import Stage
from arena.ratings.board import compute_board
from arena.ratings.davidson import fit_davidson

import choix  # isort: skip  # after arena, which loads NumPy with one thread
import evalica  # isort: skip
import numpy as np  # isort: skip

Votes = list[tuple[str, str, int]]
"""Left, right, and who was chosen: 0 the left, 1 the right, 2 neither."""
_LONG_S = 2.0
"""What takes longer is run once."""
MOST_TIMES = {"evalica newman, list": 50.0, "choix ilsr_pairwise, list": 6.0}
"""`--check`: arena's whole board against these. A board of few votes costs its 15 ms, mostly for the rank ranges."""
_MAX_LIST = 100_000
"""Longer lists are not given to what takes tens of seconds on them."""


def cast(models: int, votes: int, seed: int = 1) -> Votes:
    """Votes of Davidson voters on models whose strengths spread by 104 points, with 29 % ties between equals."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(0, 0.6, models)
    left = rng.integers(0, models, votes)
    right = (left + rng.integers(1, models, votes)) % models
    gap = theta[left] - theta[right]
    weights = np.stack([np.exp(gap / 2), np.exp(-gap / 2), np.full(votes, 0.8)], axis=1).cumsum(axis=1)
    outcome = (rng.random(votes)[:, None] * weights[:, -1:] > weights).sum(axis=1)
    names = [f"model {i:03}" for i in range(models)]
    pairs = zip(left.tolist(), right.tolist(), outcome.tolist(), strict=True)
    return [(names[a], names[b], chosen) for a, b, chosen in pairs]


def counted(votes: Votes) -> list[Stage]:
    """The votes as the store gives them: each different one once, with its times."""
    return [
        Stage((a, b), (a, b) if chosen == 2 else ((a, b)[chosen],), times=times)
        for (a, b, chosen), times in Counter(votes).items()
    ]


def best_ms(work: Callable[[], object], runs: int = 5) -> float:
    """The shortest of some runs, in ms."""
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
        if best > _LONG_S:
            break
    return best * 1000


def contenders(votes: Votes) -> dict[str, Callable[[], object]]:
    """What is measured, by its name; a name that ends in `counts` gets counts, one in `list` the votes one by one."""
    stages = counted(votes)
    names = {stage.shown[0]: stage.shown[0] for stage in stages}
    xs, ys = [a for a, _, _ in votes], [b for _, b, _ in votes]
    winners = [(evalica.Winner.X, evalica.Winner.Y, evalica.Winner.Draw)[chosen] for *_, chosen in votes]
    axis = {name: i for i, name in enumerate(sorted(names))}
    wins = np.zeros((len(axis), len(axis)))
    for (a, b, chosen), times in Counter(votes).items():
        wins[axis[a], axis[b]] += times * (1, 0, 0.5)[chosen]
        wins[axis[b], axis[a]] += times * (0, 1, 0.5)[chosen]
    decisive = [(axis[a], axis[b]) if chosen == 0 else (axis[b], axis[a]) for a, b, chosen in votes if chosen != 2]
    found: dict[str, Callable[[], object]] = {
        "arena board, counts": lambda: compute_board(stages, names),
        "arena fit alone, counts": lambda: fit_davidson(stages, names),
        "choix ilsr_pairwise_dense, counts": partial(choix.ilsr_pairwise_dense, wins, alpha=0.01),
        "arena board, list": lambda: compute_board(counted(votes), names),
        "evalica bradley_terry, list": partial(evalica.bradley_terry, xs, ys, winners),
        "evalica newman, list": partial(evalica.newman, xs, ys, winners),
    }
    if len(votes) <= _MAX_LIST:
        found["choix ilsr_pairwise, list"] = partial(choix.ilsr_pairwise, len(axis), decisive, alpha=0.01)
    if importlib.util.find_spec("arena_rank"):
        found["arena-rank, list"] = partial(arena_rank, votes)
    return found


def arena_rank(votes: Votes) -> object:
    """Their Bradley-Terry with intervals, from a data frame of battles."""
    import pandas as pd
    from arena_rank.models.bradley_terry import BradleyTerry
    from arena_rank.utils.data_utils import PairDataset

    battles = pd.DataFrame(votes, columns=["model_a", "model_b", "winner"])
    battles["winner"] = battles["winner"].map({0: "model_a", 1: "model_b", 2: "tie"})
    data = PairDataset.from_pandas(battles)
    return BradleyTerry(n_competitors=len(data.competitors)).compute_ratings_and_cis(data, significance_level=0.05)


def main() -> int:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--votes", type=int, nargs="+", default=[1000, 100_000, 1_000_000])
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    missed: list[str] = []
    warnings.simplefilter("ignore")  # evalica warns where it does not converge within its usual limit
    if not importlib.util.find_spec("arena_rank"):
        print("arena-rank is NOT installed, so it is left out (it pins its own jax and numpy).", file=sys.stderr)
    print(f"{'models':>6}  {'votes':>9}  {'what':<36}{'ms':>10}  {'times arena':>11}")
    for models in options.models:
        for votes in options.votes:
            measured: dict[str, float] = {}
            for name, work in contenders(cast(models, votes)).items():
                measured[name] = best_ms(work)
                base = measured[f"arena board, {name.rpartition(', ')[2]}"]
                print(f"{models:>6}  {votes:>9,}  {name:<36}{measured[name]:>10.1f}  {measured[name] / base:>11.2f}")
                if base > MOST_TIMES.get(name, float("inf")) * measured[name]:
                    missed.append(f"{votes} votes: the board takes {base / measured[name]:.1f} times {name}")
    if missed:
        print("\n".join(missed), file=sys.stderr)
    return int(options.check and bool(missed))


if __name__ == "__main__":
    raise SystemExit(main())
