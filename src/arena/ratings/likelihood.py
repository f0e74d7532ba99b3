"""The likelihood of the Davidson-Luce model: a softmax over the parts of each set that was shown.

Sets of one size share one small design, and only the places of their contestants differ. So a Newton step costs a few
operations on arrays that have a row for each different set, whatever the number of contestants and of votes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from arena.core.votes import Stage

FloatArray: TypeAlias = NDArray[np.float64]
IndexArray: TypeAlias = NDArray[np.intp]

ROUND_SEATS = 3
"""A fit has a nu for ties of up to so many, whether or not anybody met in such a set."""


Shown: TypeAlias = tuple[tuple[str, ...], tuple[int, ...]]
"""A set as it was shown: the keys, sorted where the order of the seats is of no interest, and the lengths of the
answers, () where they are unknown or of no interest."""


def count_picks(stages: Iterable[Stage], *, seats: bool, lengths: bool) -> dict[Shown, list[int]]:
    """How often each part of each set was picked; part number n - 1 holds the seats of the bits of n.

    Sets that differ in the order of the seats are told apart when `seats`, those that differ in the lengths of the
    answers when `lengths`. Raises ValueError for what is no stage of a vote.
    """
    picked: dict[Shown, list[int]] = {}
    for stage in stages:
        keys, chars = stage.shown, stage.chars if lengths and len(stage.chars) == len(stage.shown) else ()
        if not seats:
            order = sorted(range(len(keys)), key=keys.__getitem__)
            keys, chars = tuple(keys[i] for i in order), tuple(chars[i] for i in order) if chars else ()
        part = 0
        for key in stage.chosen:
            part |= 1 << keys.index(key) if key in keys else 0
        if not part or part.bit_count() < len(set(stage.chosen)) or len(set(keys)) < len(keys) or stage.times < 1:
            raise ValueError(f"No stage of a vote: {stage.chosen} chosen from {keys}, {stage.times} times.")
        counts = picked.get((keys, chars))
        if counts is None:
            counts = picked[keys, chars] = [0] * ((1 << len(keys)) - 1)
        counts[part - 1] += stage.times
    return picked


@dataclass(frozen=True, slots=True)
class Layout:
    """Which parameter stands where: theta of each contestant, log nu_2, log nu_3, ..., then side and length."""

    keys: tuple[str, ...]
    """The contestants, in order."""
    nus: int
    side: bool
    length: bool

    @property
    def size(self) -> int:
        """How many parameters there are."""
        return len(self.keys) + self.nus + self.side + self.length


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """All sets of one size k: R different ones, each with P = 2 ** k - 1 parts, that see j of the p parameters."""

    design: FloatArray
    """Shape (R, P, j), or (1, P, j) where it is the same for all: utility = design @ parameters[places]."""
    places: IndexArray
    """Shape (R, j): which parameters a set sees, the thetas of its k contestants first."""
    squares: IndexArray
    """Shape (R * j * j,): where each entry of its information stands in the flattened (p, p) of all."""
    counts: FloatArray
    """Shape (R, P): how often each part was picked."""
    totals: FloatArray
    """Shape (R, 1): how often the set was shown; a set that never was adds nothing."""

    def slopes(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gradient, shape (p,), and negative Hessian, shape (p, p), of the log likelihood of these sets."""
        p = len(parameters)
        utility = self.utilities(parameters)
        weight = np.exp(utility - utility.max(axis=1, keepdims=True))
        expected = weight / weight.sum(axis=1, keepdims=True) * self.totals
        weighted = expected[:, :, None] * self.design
        mean = weighted.sum(axis=1)
        local = (self.counts - expected)[:, None, :] @ self.design
        information = weighted.transpose(0, 2, 1) @ self.design
        information -= mean[:, :, None] * (mean / np.maximum(self.totals, 1))[:, None, :]
        gradient = np.bincount(self.places.ravel(), local.ravel(), minlength=p)
        hessian = np.bincount(self.squares, information.ravel(), minlength=p * p).reshape(p, p)
        return gradient.astype(np.float64, copy=False), hessian.astype(np.float64, copy=False)

    def utilities(self, parameters: FloatArray) -> FloatArray:
        """Shape (R, P)."""
        seen = parameters[self.places]
        return (self.design @ seen[:, :, None])[:, :, 0] if len(self.design) > 1 else seen @ self.design[0].T

    def widest_change(self, step: FloatArray) -> float:
        """The largest difference that a step makes between two parts of one set."""
        return float(np.ptp(self.utilities(step), axis=1).max())


def blocks_of(picked: dict[Shown, list[int]], layout: Layout) -> list[Block]:
    """The sets by their sizes, in an order that does not depend on the order of the votes."""
    axis = {key: i for i, key in enumerate(layout.keys)}
    by_size: dict[int, list[Shown]] = {}
    for shown in sorted(picked):
        by_size.setdefault(len(shown[0]), []).append(shown)
    found = [
        (
            np.array([[axis[key] for key in keys] for keys, _ in sets], dtype=np.intp),
            np.array([picked[shown] for shown in sets], dtype=np.float64),
            _shares([chars or (1,) * size for _, chars in sets]) if layout.length else None,
        )
        for size, sets in sorted(by_size.items())
    ]
    scale = _usual_difference([(shares, counts) for _, counts, shares in found if shares is not None])
    return [
        block_of(axes, counts, layout, None if shares is None else shares / scale) for axes, counts, shares in found
    ]


def block_of(axes: IndexArray, counts: FloatArray, layout: Layout, lengths: FloatArray | None = None) -> Block:
    """The block of sets of contestants, shape (R, k), whose parts were picked so often, shape (R, P).

    `lengths`, shape (R, k), are what the length term is a multiple of, where the layout has one.
    """
    rows, size = axes.shape
    parts = np.arange(1, 1 << size)
    members = (parts[:, None] >> np.arange(size) & 1).astype(np.float64)
    sizes = members.sum(axis=1)
    members /= sizes[:, None]
    columns = [members, (sizes[:, None] == np.arange(2, 2 + layout.nus)).astype(np.float64)]
    if layout.side:
        columns.append(members @ np.linspace(0.5, -0.5, size)[:, None])
    design = np.concatenate(columns, axis=1)[None]
    if lengths is not None:
        design = np.concatenate([np.repeat(design, rows, axis=0), (lengths @ members.T)[:, :, None]], axis=2)
    shared = np.arange(len(layout.keys), layout.size, dtype=np.intp)
    places = np.concatenate([axes, np.tile(shared, (rows, 1))], axis=1)
    squares = (places[:, :, None] * layout.size + places[:, None, :]).ravel()
    return Block(design, places, squares, counts, counts.sum(axis=1, keepdims=True))


def _shares(chars: Sequence[Sequence[int]]) -> FloatArray:
    """Each answer's share of the characters of its set, shape (R, k); for two, the difference is (a - b) / (a + b)."""
    lengths = np.array(chars, dtype=np.float64)
    lengths[lengths.sum(axis=1) == 0] = 1.0
    shares: FloatArray = lengths / lengths.sum(axis=1, keepdims=True)
    return shares


def _usual_difference(found: Sequence[tuple[FloatArray, FloatArray]]) -> float:
    """The root mean square of the differences between two shares of a set: the unit of the length term.

    `found` are shares, shape (R, k), and counts, shape (R, P), of the sets of each size. Sets of equal answers, which
    those of unknown lengths are taken for, say nothing of what is usual.
    """
    squares = weight = 0.0
    for shares, counts in found:
        i, j = np.triu_indices(shares.shape[1], 1)
        apart = (shares[:, i] - shares[:, j]) ** 2
        times = counts.sum(axis=1) * (apart > 0).any(axis=1)
        squares += float(times @ apart.sum(axis=1))
        weight += float(times.sum()) * len(i)
    return math.sqrt(squares / weight) if squares else 1.0
