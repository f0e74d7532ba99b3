"""The scores: from the votes at the desk to the leaderboard, the bias report and the replay of the pair rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING

from arena.core.loads import Load
from arena.core.machine import FitVerdict
from arena.core.models import Contestant, ModelInfo, Sampling, distinct_names
from arena.core.ratings import Board, Standing, Tally
from arena.desk import Desk

if TYPE_CHECKING:
    from arena.core.bias import BiasReport
    from arena.core.simulation import Simulation, SimulationPlan
    from arena.store.ledger import SqliteLedger

_WITH_TIME = len("2026-01-01T")


class Scores:
    """Everything that is computed from votes."""

    def __init__(self, desk: Desk, sampling: Sampling) -> None:
        """`sampling` makes contestants of models."""
        self._desk = desk
        self._sampling = sampling

    def board(
        self,
        tag: str = "",
        *,
        language: str = "",
        since: str = "",
        voter: str = "me",
        infos: Sequence[ModelInfo] | None = None,
        fits: Sequence[FitVerdict] = (),
    ) -> Future[Board]:
        """The leaderboard, recomputed from raw votes.

        `tag` narrows to prompts with that tag, `language` to those in it, `since` (UTC, ISO 8601) to votes from then
        on; `voter` '' means everybody. With `infos`, the models that can be reached now, and `fits`, their verdicts,
        the lines say who is here and fits, and what it takes where that was never measured.
        """

        def compute(ledger: SqliteLedger) -> Board:
            from arena.ratings.board import compute_board  # noqa: PLC0415 - numpy

            known = ledger.contestants()
            measured = _measured(known, ledger.open_loads())
            tallies = ledger.tallies()
            tallies = {key: replace(tallies.get(key, Tally()), vram_bytes=measured.get(key)) for key in known}
            here = None if infos is None else self._here(ledger, infos, fits)
            stages = ledger.stages(tag=tag, language=language, since=since, voter=voter)
            found = compute_board(stages, ledger.shown_names(stages), tallies, playable=here)
            return found if here is None else _at_home(found, here)

        return self._desk.do(compute)

    def bias(self, voter: str = "me") -> Future[BiasReport]:
        """What besides the content may have moved the votes that were cast here; `voter` '' means everybody's."""

        def compute(ledger: SqliteLedger) -> BiasReport:
            from arena.ratings.bias import bias_report  # noqa: PLC0415 - numpy

            return bias_report(*ledger.sights(voter=voter))

        return self._desk.do(compute)

    def facets(self) -> Future[tuple[list[str], list[str]]]:
        """The tags and the languages of the prompts that were voted on, each in the order of the alphabet."""
        return self._desk.do(lambda ledger: ledger.facets())

    def simulate(self, plan: SimulationPlan, tell: Callable[[int], None]) -> tuple[Simulation, dict[str, str]]:
        """Replay the pair rule on this board, in the caller's thread, and what the contestants are called.

        `tell` hears after each repeat how many are done. Raises ArenaError when no two contestants have votes.
        """
        from arena.ratings.simulate import simulate  # noqa: PLC0415 - numpy

        stages, known = self._desk.do(lambda ledger: (ledger.stages(), ledger.contestants())).result()
        return simulate(stages, plan, tell), distinct_names(known.values())

    def _here(
        self, ledger: SqliteLedger, infos: Sequence[ModelInfo], fits: Sequence[FitVerdict]
    ) -> dict[str, FitVerdict | None]:
        """The verdict on each contestant whose model can be reached, by the fingerprint of its leader."""
        led = ledger.merges()
        verdicts = [*fits, *[None] * (len(infos) - len(fits))]
        by_model = {_model(info): verdict for info, verdict in zip(infos, verdicts, strict=True)}
        by_key = {
            Contestant.of(info, self._sampling).fingerprint: verdict
            for info, verdict in zip(infos, verdicts, strict=True)
        }
        found: dict[str, FitVerdict | None] = {}
        for key, info in ledger.infos().items():
            if key in by_key or _model(info) in by_model:
                # another context of a model that is here is here too, though it may fit otherwise
                verdict = by_key[key] if key in by_key else by_model[_model(info)]
                leader = led.get(key, key)
                found[leader] = found.get(leader) or verdict
        return found


def _model(info: ModelInfo) -> str:
    return info.ref.digest or str(info.ref)


def _measured(known: Mapping[str, Contestant], loads: Sequence[Load]) -> dict[str, int]:
    """What each contestant took at its last load, by key, as far as that tells nothing of a sealed round."""
    newest: dict[tuple[str, int, str], int] = {}
    for load in loads:
        if len(load.at) >= _WITH_TIME:  # of the others the time of day is kept back
            newest.setdefault((load.ref.digest or str(load.ref), load.context, load.kv_type), load.measured_bytes)
    found = {}
    for key, contestant in known.items():
        model = contestant.ref.digest or str(contestant.ref)
        measured = newest.get((model, contestant.context, contestant.kv_type or "f16"))
        if measured is not None:
            found[key] = measured
    return found


def _at_home(board: Board, here: Mapping[str, FitVerdict | None]) -> Board:
    """The board with what this machine says of each contestant."""
    from arena.ratings.pareto import with_frontiers  # noqa: PLC0415 - numpy comes with the room

    def line(standing: Standing) -> Standing:
        verdict = here.get(standing.key)
        needed = verdict.need_bytes if verdict else None
        tally = standing.tally
        if tally.vram_bytes is None and needed is not None:
            tally = replace(tally, vram_bytes=needed)
        fit = verdict.verdict if verdict else None
        return replace(standing, here=standing.key in here, fit=fit, tally=tally)

    return with_frontiers(replace(board, standings=tuple(map(line, board.standings))))
