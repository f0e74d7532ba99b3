"""Ratings: from raw votes to a leaderboard that is honest at thirty votes.

NumPy is loaded here, with one thread for its linear algebra. No matrix of a board is large enough to gain from more,
and beside a model that answers on all cores they wait for each other: 1.2 s instead of 0.2 s for 100 contestants.
"""

from __future__ import annotations

import os

_THREADS = "OPENBLAS_NUM_THREADS"


def _load_numpy() -> None:
    given = os.environ.get(_THREADS)
    os.environ[_THREADS] = given or "1"
    import numpy as np  # noqa: F401, PLC0415 - it reads the variable once, now

    if given is None:
        del os.environ[_THREADS]  # what this program starts is none of its business


_load_numpy()
