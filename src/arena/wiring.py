"""The composition root: introduces the rooms to each other and builds the Arena that cli and tui share.

Every slow call returns a future: the command line waits for it, the screen awaits it. Three threads do the work, so
that none disturbs another: the engine room (streams and time stamps), the desk (the one owner of the database; a
commit's fsync never delays a time stamp) and the watch (hardware readings; a driver may hang).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from arena.config import Settings
from arena.core.errors import ArenaError, SealedError
from arena.core.events import StreamEvent
from arena.core.machine import FitVerdict, Gpu, Machine
from arena.core.models import Contestant, ModelInfo, ModelRef
from arena.core.ports import Backend, Request, RoundRecord
from arena.core.prompts import Pack, Prompt
from arena.core.ratings import Board
from arena.core.rounds import LABELS, Answer, Pace, Played, Round, RoundState, RoundView, Schedule, SealedRound
from arena.core.timing import Metrics
from arena.core.votes import Verdict, Vote
from arena.engine.deal import deal
from arena.engine.play import Play, hear, verdict_on
from arena.engine.room import Room

if TYPE_CHECKING:
    from arena.hardware.fit.together import Together
    from arena.hardware.probe import MachineProbe
    from arena.packs import PackShelf
    from arena.store.ledger import HistoryLine, SqliteLedger

T = TypeVar("T")
Emit = Callable[[StreamEvent], None]


class Arena:
    """All that the front ends can do. Names of contestants leave it only through `reveal`."""

    def __init__(
        self,
        settings: Settings,
        backends: Sequence[Backend] | None = None,
        probe: MachineProbe | None = None,
        *,
        rng: random.Random | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Build the rooms; nothing is opened, loaded or asked yet.

        All but `settings` is for tests and scripted demonstrations; `clock` in ns.
        """
        self.settings = settings
        self._backends = _by_endpoint(_own_backends(settings) if backends is None else backends)
        self._given_probe = probe
        self._rng = rng or random.SystemRandom()
        self._clock = clock
        self._room = Room()
        self._desk = ThreadPoolExecutor(1, "desk")
        self._watch = ThreadPoolExecutor(1, "watch")
        self._ledger: SqliteLedger | None = None
        self._sealed: dict[str, Round] = {}

    # Models and machine

    def models(self) -> Future[list[ModelInfo]]:
        """Every model that can be reached."""

        async def ask() -> list[ModelInfo]:
            lists = await asyncio.gather(*(backend.models() for backend in self._own()))
            return [info for found in lists for info in found]

        return self._room.submit(ask())

    def opening(self, names: Sequence[str]) -> Future[list[ModelInfo]]:
        """Who plays at the start: the named models; without names the demo ones, or what else there is.

        The future raises ArenaError when there is nobody, or not the one who is named.
        """

        async def choose() -> list[ModelInfo]:
            if names:
                return [await asyncio.wrap_future(self.find(name)) for name in names]
            found = await asyncio.wrap_future(self.models())
            usable = [info for info in found if not info.note]
            if not usable:
                reason = next((info.note for info in found), "There is none.")
                raise ArenaError(f"No model can play here. {reason}", "`arena doctor` says more.")
            return [info for info in usable if info.ref.endpoint == "demo"] or usable[: len(LABELS)]

        return self._room.submit(choose())

    def find(self, name: str) -> Future[ModelInfo]:
        """The model that `ENDPOINT/NAME` or a path names. The future raises ArenaError."""

        async def ask() -> ModelInfo:
            ref = ModelRef.parse(name)
            if ref.endpoint not in self._backends:
                known = ", ".join(sorted(self._backends))
                raise ArenaError(f"There is no endpoint '{ref.endpoint}'.", f"There are: {known}.")
            return await self._backends[ref.endpoint].find(ref)

        return self._room.submit(ask())

    def machine(self) -> Future[Machine]:
        """The hardware as it stands now."""
        return self._watch.submit(lambda: self._probe().read())

    def fits(
        self,
        infos: Sequence[ModelInfo],
        machine: Machine | None = None,
        *,
        context: int | None = None,
        kv_type: str = "f16",
        slots: int = 1,
    ) -> Future[list[FitVerdict]]:
        """Whether each model fits, now or on the machine that is given; `context` in tokens, else the settings'."""

        def judge() -> list[FitVerdict]:
            probe, tokens = self._probe(), context or self.settings.sampling.context
            here = machine or probe.read()
            return [probe.fit(info, here, context=tokens, kv_type=kv_type, slots=slots) for info in infos]

        return self._watch.submit(judge)

    def together(
        self, infos: Sequence[ModelInfo], machine: Machine, *, context: int | None = None, kv_type: str = "f16"
    ) -> Future[Together]:
        """Whether these models fit at the same time."""
        tokens = context or self.settings.sampling.context
        return self._watch.submit(lambda: self._probe().together(infos, machine, context=tokens, kv_type=kv_type))

    @staticmethod
    def what_if(gpus: str) -> tuple[Gpu, ...]:
        """GPUs that are not here, such as `8GB,24GB`. Raises UsageError."""
        from arena.hardware.whatif import parse_gpus  # noqa: PLC0415

        return parse_gpus(gpus)

    def prompts(self) -> PackShelf:
        """The prompt packs, shipped and the user's own."""
        from arena.packs import shelf  # noqa: PLC0415 - tomllib and a dozen files, only when asked for

        return shelf(self.settings.prompts_folder)

    def examples(self, infos: Sequence[ModelInfo]) -> list[Prompt]:
        """Prompts that suit these models: for the demo models, what they can try."""
        only_demo = all(info.ref.endpoint == "demo" for info in infos)
        shelf = self.prompts()
        return [prompt for pack in shelf.packs if (pack.name == "demo") == only_demo for prompt in pack.prompts]

    def pack(self, name: str) -> Pack:
        """One prompt pack. Raises ArenaError with a hint."""
        from arena.packs import pack  # noqa: PLC0415

        return pack(name, self.settings.prompts_folder)

    # Rounds

    def deal(
        self,
        prompt: Prompt,
        infos: Sequence[ModelInfo],
        *,
        pace: Pace | None = None,
        schedule: Schedule | None = None,
        blind: bool = True,
        propensity: float | None = None,
    ) -> Future[RoundView]:
        """Deal, seal and store a round; what comes back names nobody. Raises UsageError."""
        sampling = self.settings.sampling
        wanted = schedule or self.settings.schedule
        sealed = deal(
            prompt,
            [Contestant.of(info, sampling) for info in infos],
            sampling,
            # One machine is one device until the planner of the fit knows better: in turn is always fair.
            schedule=Schedule.TURN if wanted is Schedule.AUTO else wanted,
            pace=pace or self.settings.pace,
            blind=blind,
            propensity=propensity,
            rng=self._rng,
        )
        self._sealed[sealed.id] = sealed
        infos_by_ref = {info.ref: info for info in infos}

        def keep(ledger: SqliteLedger) -> RoundView:
            ledger.open_round(sealed, infos_by_ref)
            return RoundView.of(sealed)

        return self._at_desk(keep)

    def choose(self, infos: Sequence[ModelInfo], seats: int) -> Future[tuple[list[ModelInfo], float | None]]:
        """Who plays next of the chosen ones, and with which probability the rule chose them; None: no choice."""

        def pick(ledger: SqliteLedger) -> tuple[list[ModelInfo], float | None]:
            if len(infos) <= seats:
                return list(infos), None
            from arena.ratings.davidson import fit_davidson  # noqa: PLC0415 - numpy
            from arena.ratings.pairing import next_set  # noqa: PLC0415

            by_key = {Contestant.of(info, self.settings.sampling).fingerprint: info for info in infos}
            fitted = fit_davidson(ledger.stages(), {*by_key, *ledger.contestants()})
            chosen, propensity = next_set(
                fitted,
                ledger.shown_counts(),
                by_key,
                self._rng,
                seats,
                pair_counts=ledger.pair_counts(),
            )
            return [by_key[key] for key in chosen], propensity

        return self._at_desk(pick)

    def play(self, round_id: str, emit: Emit) -> Future[Played]:
        """Play a dealt round. `emit` is called in the engine's thread and must not wait. Cancel to stop it."""
        return self._room.submit(self._story(self._sealed[round_id], emit))

    async def _story(self, sealed: Round, emit: Emit) -> Played:
        kept = [self._at_desk(lambda ledger: ledger.begin_round(sealed.id))]

        def keep(answer: Answer) -> None:
            kept.append(self._at_desk(lambda ledger: ledger.save_answer(sealed.id, answer)))

        try:
            answers = await Play(sealed, self._backends, emit, keep, self._clock).run()
        except asyncio.CancelledError:
            self._at_desk(lambda ledger: ledger.close_round(sealed.id, RoundState.VOID, ("cancelled",)))
            raise
        for saved in kept:
            await asyncio.wrap_future(saved)
        state, flags = verdict_on(answers)
        await asyncio.wrap_future(self._at_desk(lambda ledger: ledger.close_round(sealed.id, state, flags)))
        return Played(state, answers)

    def warm(self, infos: Sequence[ModelInfo]) -> Future[None]:
        """Load models ahead of the first round, off every clock. Faults wait for the round to tell them."""

        async def load() -> None:
            for info in infos:
                try:
                    await self._backends[info.ref.endpoint].prepare(Contestant.of(info, self.settings.sampling))
                except ArenaError:
                    return

        return self._room.submit(load())

    # Votes

    def cast(self, round_id: str, verdict: Verdict, decided_ms: int | None = None, note: str = "") -> Future[None]:
        """Store a vote; when the future is done it is on the disk. Raises ArenaError."""
        return self._at_desk(lambda ledger: ledger.cast(Vote(round_id, verdict, decided_ms=decided_ms, note=note)))

    def peek(self, round_id: str) -> Future[RoundRecord]:
        """Open the envelope before the vote: the round is unblinded from then on and never rated."""

        def open_it(ledger: SqliteLedger) -> RoundRecord:
            ledger.reveal_unvoted(round_id)
            return ledger.round(round_id)

        return self._at_desk(open_it)

    def reveal(self, round_id: str) -> Future[RoundRecord]:
        """Who sat where, with all metrics. Raises SealedError before the vote. Locks the vote."""

        def open_it(ledger: SqliteLedger) -> RoundRecord:
            ledger.mark_revealed(ledger.round(round_id).round.id)
            return ledger.round(round_id)

        return self._at_desk(open_it)

    def look(self, round_id: str) -> Future[RoundRecord | SealedRound]:
        """A past round: whole when its names are out, else sealed. Raises ArenaError for an unknown one."""
        return self._at_desk(lambda ledger: _as_far_as_open(ledger, round_id))

    def waiting(self, limit: int = 1000) -> Future[list[SealedRound]]:
        """Rounds that are ready and not judged, oldest first."""
        return self._at_desk(
            lambda ledger: [
                SealedRound(view, RoundState.READY, ledger.sealed_answers(view.id)) for view in ledger.waiting(limit)
            ]
        )

    def history(self, limit: int = 200, search: str = "") -> Future[list[HistoryLine]]:
        """Past rounds, newest first; names only of those that are revealed."""
        return self._at_desk(lambda ledger: ledger.history(limit, search))

    def settle_interrupted(self) -> Future[int]:
        """Mark rounds that a crash left half played as void. Returns how many there were."""

        def settle(ledger: SqliteLedger) -> int:
            left = ledger.interrupted()
            for round_id in left:
                ledger.void(round_id, "interrupted")
            return len(left)

        return self._at_desk(settle)

    def board(self, tag: str = "") -> Future[Board]:
        """The leaderboard, recomputed from raw votes."""

        def compute(ledger: SqliteLedger) -> Board:
            from arena.ratings.board import compute_board  # noqa: PLC0415 - numpy

            names = {key: str(contestant.ref) for key, contestant in ledger.contestants().items()}
            return compute_board(ledger.stages(tag=tag), names, ledger.tallies())

        return self._at_desk(compute)

    def try_model(self, info: ModelInfo, prompt: Prompt) -> Future[Metrics]:
        """Ask one model, outside of any round; nothing is stored. The future raises SeatError."""
        contestant = Contestant.of(info, self.settings.sampling)
        request = Request(contestant, prompt, self.settings.sampling)

        async def ask() -> Metrics:
            answer = await hear(self._backends[info.ref.endpoint], request)
            return answer.metrics

        return self._room.submit(ask())

    def close(self) -> None:
        """Call off what is being played, end every worker, close the database. May be called twice."""

        async def close_backends() -> None:
            await asyncio.gather(*(backend.close() for backend in self._own()), return_exceptions=True)

        self._room.close(close_backends)
        if self._ledger is not None:
            self._desk.submit(self._ledger.close).result()
        self._desk.shutdown()
        self._watch.shutdown(wait=False, cancel_futures=True)

    def _own(self) -> list[Backend]:
        return list({id(backend): backend for backend in self._backends.values()}.values())

    def _probe(self) -> MachineProbe:
        if self._given_probe is None:
            from arena.hardware.probe import MachineProbe  # noqa: PLC0415 - psutil and NVML

            self._given_probe = MachineProbe()
        return self._given_probe

    def _at_desk(self, work: Callable[[SqliteLedger], T]) -> Future[T]:
        """Run `work` on the ledger, in the thread that owns it."""

        def run() -> T:
            if self._ledger is None:
                from arena.store.ledger import SqliteLedger  # noqa: PLC0415 - sqlite_utils

                self._ledger = SqliteLedger(self.settings.db)
            return work(self._ledger)

        return self._desk.submit(run)


def _as_far_as_open(ledger: SqliteLedger, round_id: str) -> RoundRecord | SealedRound:
    try:
        return ledger.revealed(round_id)
    except SealedError:
        view = ledger.view(round_id)
        return SealedRound(view, ledger.round(view.id).state, ledger.sealed_answers(view.id))


def _by_endpoint(backends: Sequence[Backend]) -> Mapping[str, Backend]:
    return {endpoint: backend for backend in backends for endpoint in backend.endpoints}


def _own_backends(settings: Settings) -> list[Backend]:
    import arena.demo  # noqa: PLC0415 - only its folder is wanted
    from arena.backends.llamacpp import LlamaCppBackend  # noqa: PLC0415 - asyncio subprocesses

    return [LlamaCppBackend(Path(arena.demo.__file__).parent, settings.gguf_folders)]
