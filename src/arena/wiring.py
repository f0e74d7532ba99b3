"""The composition root: introduces the rooms to each other and builds the Arena that cli and tui share.

Every slow call returns a future: the command line waits for it, the screen awaits it. Three threads do the work, so
that none disturbs another: the engine room (streams and time stamps), the desk (the database) and the watch (the
hardware).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arena.config import Settings
from arena.core.errors import ArenaError
from arena.core.gguf_shelf import HeaderShelf
from arena.core.loads import EMBEDDED, Load, LoadFacts
from arena.core.machine import Fits
from arena.core.models import Contestant, ModelInfo, Sampling, distinct_names
from arena.core.ports import Backend, RoundRecord
from arena.core.prompts import Pack, Prompt
from arena.core.ratings import Board
from arena.core.rounds import SealedRound
from arena.core.text import clean_line
from arena.core.votes import Strength, Verdict, Vote
from arena.desk import Desk
from arena.engine.room import Room
from arena.exchange import Exchange
from arena.lineup import Lineup
from arena.past import Past
from arena.remembered import keep
from arena.scoring import Scores
from arena.series import Series
from arena.table import Table
from arena.watch import Watch

if TYPE_CHECKING:
    from arena.hardware.probe import MachineProbe
    from arena.packs import PackShelf
    from arena.store.ledger import HistoryLine, SqliteLedger
    from arena.store.repair import Repaired

_PATIENCE_S = 5.0
"""How long the first verdict waits for the past loads. Another program may hold the database."""


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
        self.first_start = not settings.db.exists()
        """Whether there was no database yet."""
        self._room = Room()
        self._desk = Desk(settings.db)
        self.scores = Scores(self._desk, settings.sampling)
        self.exchange = Exchange(self._desk)
        self.past = Past(self._desk, rng or random.SystemRandom())
        headers = HeaderShelf(settings.cache_folder / "headers" if settings.cache_folder else None)
        self.watch = Watch(settings.sampling.context, probe, headers, self._past_loads)
        self.lineup = Lineup(
            lambda: _own_backends(settings, self.watch, headers, self._note_load) if backends is None else backends,
            self._room,
            self.watch,
            settings.sampling,
        )
        self.table = Table(settings, self._room, self._desk, self.lineup, rng or random.SystemRandom(), clock)
        self.series = Series(self._room, self._desk, self.lineup, self.table)

    def remember(self, **chosen: str | int) -> None:
        """Keep what was chosen on a screen for the next start: settings by name."""
        if self.settings.state_file is not None:
            keep(self.settings.state_file, chosen)

    # Prompts

    @property
    def sampling(self) -> Sampling:
        """How the rounds to come are sampled."""
        return self.table.sampling

    def sample_by(self, sampling: Sampling) -> None:
        """Sample the rounds to come in this way. Other samplers make other contestants of the models."""
        self.table.sampling = self.lineup.sampling = self.scores.sampling = sampling
        self.watch.context = sampling.context

    def prompts(self) -> PackShelf:
        """The prompt packs, shipped and the user's own."""
        from arena.packs import shelf  # noqa: PLC0415 - tomllib and a dozen files, only when asked for

        return shelf(self.settings.prompts_folder)

    def examples(self, infos: Sequence[ModelInfo]) -> list[Prompt]:
        """Prompts that suit these models: for the demo models, what they can try."""
        only_demo = all(info.ref.endpoint == "demo" for info in infos)
        shelf = self.prompts()
        suited = [prompt for pack in shelf.packs if (pack.name == "demo") == only_demo for prompt in pack.prompts]
        return [prompt for prompt in suited if not prompt.variables]

    def pack(self, name: str) -> Pack:
        """One prompt pack. Raises ArenaError with a hint."""
        from arena.packs import pack  # noqa: PLC0415

        return pack(name, self.settings.prompts_folder)

    def prompt(self, slug: str) -> Prompt:
        """The prompt PACK/PROMPT. Raises ArenaError with a hint."""
        from arena.packs import find_prompt  # noqa: PLC0415

        return find_prompt(slug, self.settings.prompts_folder)

    # Votes

    def cast(
        self,
        round_id: str,
        verdict: Verdict,
        decided_ms: int | None = None,
        note: str = "",
        strength: Strength | None = None,
    ) -> Future[RoundRecord]:
        """Store a vote, which locks it, and open the envelope: who sat where, with all metrics. Raises ArenaError.

        One errand: a vote without its reveal would stay sealed in the history until the next start.
        """

        def vote_and_open(ledger: SqliteLedger) -> RoundRecord:
            vote = Vote(round_id, verdict, decided_ms=decided_ms, note=note, strength=strength)
            ledger.cast(vote, reveal=True)  # at once: two programs that vote on one round must not both see names
            return self.table.recall(ledger.round(round_id))

        return self._desk.do(vote_and_open)

    def cast_sealed(
        self, round_id: str, verdict: Verdict, decided_ms: int | None = None, strength: Strength | None = None
    ) -> Future[None]:
        """Store a vote and leave the envelope shut: until `reveal` it can be taken back. Raises ArenaError."""
        vote = Vote(round_id, verdict, decided_ms=decided_ms, strength=strength)
        return self._desk.do(lambda ledger: ledger.cast(vote))

    def take_back(self, round_id: str) -> Future[None]:
        """Take a vote back whose names are not out yet; the round waits again. Raises ArenaError."""
        return self._desk.do(lambda ledger: ledger.retract(round_id))

    def choose(self, round_id: str, verdict: Verdict) -> Future[RoundRecord]:
        """Store the second vote of a revealed round: which one the voter would use, knowing all. Raises ArenaError."""

        def note_choice(ledger: SqliteLedger) -> RoundRecord:
            ledger.choose(round_id, verdict)
            return self.table.recall(ledger.round(round_id))

        return self._desk.do(note_choice)

    def annotate(self, round_id: str, note: str) -> Future[None]:
        """Write a note on the vote of a round. Raises ArenaError without one."""
        return self._desk.do(lambda ledger: ledger.annotate(round_id, note))

    def peek(self, round_id: str) -> Future[RoundRecord]:
        """Open the envelope before the vote: the round is unblinded from then on and never rated."""

        def open_it(ledger: SqliteLedger) -> RoundRecord:
            ledger.reveal_unvoted(round_id)
            return self.table.recall(ledger.round(round_id))

        return self._desk.do(open_it)

    def reveal(self, round_id: str) -> Future[RoundRecord]:
        """Who sat where, with all metrics. Raises SealedError before the vote. Locks the vote."""

        def open_it(ledger: SqliteLedger) -> RoundRecord:
            ledger.mark_revealed(ledger.round(round_id).round.id)
            return self.table.recall(ledger.round(round_id))

        return self._desk.do(open_it)

    def look(self, round_id: str) -> Future[RoundRecord | SealedRound]:
        """A past round: whole when its names are out, else sealed. Raises ArenaError for an unknown one."""

        def look_at(ledger: SqliteLedger) -> RoundRecord | SealedRound:
            found = ledger.as_far_as_open(round_id)
            table = self.table
            return table.recall_sealed(found) if isinstance(found, SealedRound) else table.recall(found)

        return self._desk.do(look_at)

    def waiting(self, limit: int = 1000) -> Future[list[SealedRound]]:
        """Rounds that are ready and not judged, oldest first."""
        return self._desk.do(lambda ledger: [ledger.sealed(view.id) for view in ledger.waiting(limit)])

    def history(self, limit: int = 200, search: str = "") -> Future[list[HistoryLine]]:
        """Past rounds, newest first; names only of those that are revealed."""
        return self._desk.do(lambda ledger: ledger.history(limit, search))

    def settle_interrupted(self) -> Future[int]:
        """Mark rounds that a crash left half played as void, and open those that were voted on.

        Returns how many of the first there were. What a queue has left is no loss: it goes on.
        """

        def settle(ledger: SqliteLedger) -> int:
            ledger.reveal_voted()
            left = ledger.interrupted()
            for round_id in left:
                ledger.void(round_id, "interrupted")
            return len(left)

        return self._desk.do(settle)

    def board(self, tag: str = "", voter: str = "me") -> Future[Board]:
        """The leaderboard, recomputed from raw votes, '' means everybody's; `scores.board` can narrow it further."""
        return self.scores.board(tag, voter=voter)

    def merge(self, member: str, leader: str) -> Future[None]:
        """Let the votes on one contestant count for another from now on. Raises ArenaError.

        Each is named by its address, its name on the leaderboard, or the beginning of its fingerprint.
        """
        return self._desk.do(lambda ledger: ledger.merge(_the_one(ledger, member), _the_one(ledger, leader)))

    def unmerge(self, member: str) -> Future[None]:
        """Take that back. Raises ArenaError."""
        return self._desk.do(lambda ledger: ledger.unmerge(_the_one(ledger, member)))

    def merges(self) -> Future[list[tuple[str, str]]]:
        """(name, name of the one that it counts for) of every contestant that was joined to another."""

        def tell(ledger: SqliteLedger) -> list[tuple[str, str]]:
            joined = ledger.merges()
            known = [ledger.contestant_keys(key)[0][1] for pair in joined.items() for key in pair]
            names = distinct_names(known)
            return [(names[member], names[leader]) for member, leader in joined.items()]

        return self._desk.do(tell)

    # Loads

    def loads(self, limit: int = 1000) -> Future[list[Load]]:
        """What models took when they were loaded, newest first, as far as that tells nothing of a sealed round."""
        return self._desk.do(lambda ledger: ledger.open_loads(limit))

    def _past_loads(self) -> list[Load]:
        """Those to learn from; called in the watch's thread. No database is made for it, and a bad one is no matter."""
        if not self.settings.db.exists():
            return []
        from arena.backends.worker import engine_version  # noqa: PLC0415

        version = engine_version()
        with suppress(ArenaError, TimeoutError, RuntimeError):
            found = self._desk.do(lambda ledger: ledger.loads()).result(_PATIENCE_S)
            # another version has buffers and kernels of its own
            return [load for load in found if load.runtime != EMBEDDED or load.build.endswith(f" {version}")]
        return []

    def _note_load(self, info: ModelInfo, contestant: Contestant, facts: LoadFacts) -> None:
        """Have a load measured and stored. Waits for nothing, and disturbs nobody when it fails."""

        def failed(done: Future[Any]) -> bool:
            fault = None if done.cancelled() else done.exception()
            if fault is not None:
                self.watch.say(f"What the last load took could not be kept: {clean_line(str(fault), 200)}")
            return done.cancelled() or fault is not None

        def keep(done: Future[Load | None]) -> None:
            load = None if failed(done) else done.result()
            if load is not None:
                with suppress(RuntimeError):
                    self._desk.do(lambda ledger: ledger.note_load(load)).add_done_callback(failed)

        with suppress(RuntimeError):  # the watch and the desk close when the program ends
            self.watch.measure(info, contestant, facts).add_done_callback(keep)

    # The file

    def damage(self) -> Future[str]:
        """What is wrong with the database, in SQLite's words; '' where it is whole. Reads all of it."""
        return self._desk.do(lambda ledger: ledger.damage())

    def back_up(self, target: Path | None = None, tell: Callable[[int, int], None] | None = None) -> Path:
        """Copy the database as it stands, to a name that is free; others may write to it. Raises ArenaError.

        `target` None: beside it, with the day in the name. It is neither opened nor brought up to date for it.
        `tell` hears now and then how many bytes are written, and of how many at most.
        """
        from arena.store.backup import back_up_database  # noqa: PLC0415

        return back_up_database(self.settings.db, target, tell)

    def repair(self) -> Repaired | None:
        """Save what is readable of a damaged database; None: it is whole. Before anything else is done with it.

        Raises ArenaError when it is in use, or not ours.
        """
        from arena.store.repair import repair  # noqa: PLC0415 - sqlite-utils

        return repair(self.settings.db)

    def close(self, *, dropped: bool = False) -> None:
        """Call off what is being played, end every worker, close the database. May be called twice.

        `dropped`: nobody wants that, so the next start finds the round in work and says so.
        """
        self.table.dropped |= dropped
        self._room.close(self.lineup.close)
        self._desk.close()
        self.watch.close()


def _the_one(ledger: SqliteLedger, text: str) -> str:
    """The fingerprint of the contestant that `text` names. Raises ArenaError when there is none, or more than one."""
    found = ledger.contestant_keys(text)
    if not found:
        raise ArenaError(f"No contestant is called '{text}'.", "`arena board` lists them.")
    if len(found) > 1:
        names = distinct_names(contestant for _, contestant in found)
        told = ", ".join(f"{key[:8]} ({names[key]})" for key, _ in found)
        raise ArenaError(f"'{text}' may be any of several.", f"Name one by its fingerprint: {told}.")
    return found[0][0]


def _own_backends(
    settings: Settings,
    watch: Watch,
    headers: HeaderShelf,
    on_load: Callable[[ModelInfo, Contestant, LoadFacts], None],
) -> list[Backend]:
    import arena.demo  # noqa: PLC0415 - only its folder is wanted
    from arena.backends.discovery import endpoints, server_backends  # noqa: PLC0415
    from arena.backends.llamacpp import LlamaCppBackend  # noqa: PLC0415 - asyncio subprocesses
    from arena.backends.ollama_disk import installed  # noqa: PLC0415

    async def gpu_layers(info: ModelInfo, contestant: Contestant) -> int | None:
        """As many as fit now; None: all of them, where they fit or nobody can say."""
        (fit,) = await asyncio.wrap_future(watch.fits([info], context=contestant.context, kv_type=contestant.kv_type))
        return fit.gpu_layers if fit.verdict in (Fits.PARTIAL, Fits.CPU) else None

    embedded = LlamaCppBackend(
        Path(arena.demo.__file__).parent,
        settings.gguf_folders,
        blobs=lambda: [(model.name, model.blob) for model in installed()],
        gpu_layers=gpu_layers,
        on_load=on_load,
        headers=headers,
    )
    return [embedded, *server_backends(endpoints(settings.endpoints, usual=settings.discover))]
