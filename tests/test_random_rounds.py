"""Faults on purpose: two arenas on one database play random rounds on models that do everything wrong.

Whatever comes of it, every round ends in exactly one state, no vote stands without its round, no acknowledged vote is
another one or gone, and the leaderboard is what a slow and simple computation makes of the raw rows. `--rounds 5000`
is the long version.
"""

from __future__ import annotations

import io
import json
import random
import sqlite3
import time
from collections import Counter
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from arena.backends.scripted import Script
from arena.core.errors import ArenaError
from arena.core.events import Closed, Delta, Failed, Opened
from arena.core.prompts import Prompt
from arena.core.rounds import RoundState, Schedule
from arena.core.votes import Verdict
from arena.ratings.davidson import STANDARD_PRIOR
from arena.ratings.posterior import ELO_PER_THETA
from arena.store.ledger import SqliteLedger
from faulty_backend import FaultyBackend
from stage import arena_on
from test_ratings_oracles import parts, utilities

FAULTY = "workshop"
BROKEN = {name: Script([f"{name} says ", "so ", "and ", "so."]) for name in ("anvil", "bellows", "crucible")}
PATIENCE_S = 30.0
IN_WORK = ("planned", "generating")
TWO, THREE = ("a", "b", "tie", "bad", "skip"), ("a", "b>c", "c>a=b", "a=c", "tie", "bad", "skip")


@pytest.fixture
def rng(request) -> random.Random:
    seed = request.config.getoption("--seed") or random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    return random.Random(seed)


def told(future: Future):
    """What it came to, or the sentence why it did not; nothing else is allowed to happen."""
    try:
        return future.result(PATIENCE_S)
    except ArenaError as fault:
        return fault


class Walk:
    """Two arenas at random work, and what they acknowledged."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.rng = rng
        self.folder = folder
        self.stacks = [ExitStack(), ExitStack()]
        self.arenas, self.workshops = [None, None], [None, None]
        self.drawn: list[str] = []
        """The faults of all answers."""
        self.prompts = [Prompt(f"question {number}") for number in range(60)]
        self.played = 0
        self.voted: dict[str, str] = {}
        """The verdict of each acknowledged vote that stands, by its round."""
        self.done: Counter[str] = Counter()
        for number in (0, 1):
            self.open(number)

    def open(self, number: int) -> None:
        """An arena as it starts."""
        faulty = FaultyBackend(BROKEN, FAULTY, random.Random(self.rng.getrandbits(32)), self.drawn)
        self.workshops[number] = faulty
        seed = self.rng.getrandbits(32)
        self.arenas[number] = self.stacks[number].enter_context(arena_on(self.folder, seed=seed, others=[faulty]))
        self.arenas[number].settle_interrupted().result()
        self.infos = self.arenas[number].lineup.models().result()

    def close(self) -> None:
        for stack in self.stacks:
            stack.close()

    @property
    def db(self) -> Path:
        return self.folder / "arena.db"

    def ask(self, sql: str, *values) -> list[tuple]:
        with closing(sqlite3.connect(self.db)) as conn:
            return conn.execute(sql, values).fetchall()

    def state(self, key: str) -> str:
        ((state,),) = self.ask("SELECT state FROM rounds WHERE id = ?", key)
        return state

    # Playing

    def step(self) -> None:
        """Each arena plays a round beside the other; then there is some judging."""
        rng = self.rng
        begun = [(number, view) for number in (0, 1) if (view := self.deal(number)) is not None]
        playing = []
        for number, view in begun:
            events: list = []
            playing.append((number, view, self.arenas[number].table.play(view.id, events.append), events))
        for number, view, future, _ in playing:
            if rng.random() < 0.06:
                self.meddle(view.id)
            if rng.random() < 0.1:
                future.cancel()
            if rng.random() < 0.02:
                self.stacks[number].close()  # in the middle of it
                self.open(number)
                self.done["restarts"] += 1
        for number, view, future, events in playing:
            self.see_out(number, view, future, events)
        for _ in range(rng.randrange(4)):
            self.judge()

    def deal(self, number: int):
        """A new round, a further turn, or new answers; None: it was refused."""
        arena, rng = self.arenas[number], self.rng
        waiting = told(arena.waiting())
        kind = rng.choice(("new", "new", "new", "further", "again"))
        if waiting and kind != "new":
            old = rng.choice(waiting).view.id
            dealt = told(arena.table.deal_further(old, "and?") if kind == "further" else arena.table.deal_again(old))
        else:
            infos = rng.sample(self.infos, rng.choice((2, 2, 3)))
            infos = [infos[0], infos[0]] if rng.random() < 0.05 else infos
            how = {"schedule": rng.choice(tuple(Schedule)), "blind": rng.random() < 0.95}
            kind, dealt = "new", told(arena.table.deal(rng.choice(self.prompts), infos, **how))
        if isinstance(dealt, ArenaError):
            assert kind != "new"
            return None
        self.done[kind] += 1
        self.played += 1
        return dealt

    def see_out(self, number: int, view, future: Future, events: list) -> None:
        """Wait for the end, and call off what has none."""
        end, stuck = time.monotonic() + PATIENCE_S, self.workshops[number].stuck
        while not future.done():
            if stuck.wait(0.002) and not future.done():
                future.cancel()
            assert time.monotonic() < end, f"it never ends: {self.drawn[-6:]}"
        stuck.clear()
        while self.state(view.id) in IN_WORK:  # what was called off is still being put away
            assert time.monotonic() < end, f"it was never closed: {self.drawn[-6:]}"
            time.sleep(0.002)
        try:
            played = future.result()
        except CancelledError:
            self.done["called off"] += 1
            whole = False
        else:
            whole = True
            assert len(played.answers) == len(view.labels)
            assert (played.state is RoundState.VOID) == (self.state(view.id) == "void")
        self.check_events(len(view.labels), events, whole=whole)

    @staticmethod
    def check_events(seats: int, events: list, *, whole: bool) -> None:
        for seat in range(seats):
            mine = [event for event in events if event.seat == seat]
            ends = [event for event in mine if isinstance(event, Closed | Failed)]
            assert len(ends) == 1 if whole else len(ends) <= 1
            assert not ends or mine[-1] is ends[0], "nothing comes after the end"
            opened = [event for event in mine if isinstance(event, Opened)]
            assert len(opened) <= 1
            assert not any(isinstance(event, Delta) for event in mine) or mine[0] is opened[0]

    # Judging

    def meddle(self, key: str) -> None:
        """What a second program may try on a round that is being played."""
        arena = self.rng.choice(self.arenas)
        if self.rng.random() < 0.5:
            told(arena.peek(key))
            self.done["peeks"] += 1
            return
        assert isinstance(told(arena.take_back(key)), ArenaError)
        verdict = Verdict.parse("a", 2)
        self.note(key, told(arena.cast(key, verdict)), verdict)  # it may be over by now

    def judge(self) -> None:
        """Something is done to a round: mostly to one that waits, now and then to any."""
        rng = self.rng
        arena, other = rng.sample(self.arenas, 2)
        waiting = told(arena.waiting())
        if not waiting:
            return
        sealed = rng.choice(waiting)
        key, there = sealed.view.id, [answer.seat for answer in sealed.answers if answer.there]
        verdict = self.verdict(there)
        what = rng.choice(("cast", "cast", "cast", "race", "sealed", "undo", "peek", "old"))
        self.done[what] += 1
        if what == "cast":
            self.note(key, told(arena.cast(key, verdict)), verdict)
        elif what == "race":
            second = self.verdict(there)
            tries = [(each.cast(key, said), said) for each, said in ((arena, verdict), (other, second))]
            came = [(said, told(future)) for future, said in tries]
            assert sum(isinstance(found, ArenaError) for _, found in came) == 1, "the second one is told"
            for said, found in came:
                self.note(key, found, said)
        elif what == "sealed":
            assert told(arena.cast_sealed(key, verdict)) is None
            assert told(arena.take_back(key)) is None
            assert told(other.cast_sealed(key, verdict)) is None
            self.note(key, told(arena.reveal(key)), verdict)
        elif what == "undo":
            assert told(arena.cast_sealed(key, verdict)) is None
            assert told(other.take_back(key)) is None
            assert self.state(key) == "ready"
        elif what == "peek":
            assert not isinstance(told(arena.peek(key)), ArenaError)
            if rng.random() < 0.5:
                self.note(key, told(other.cast(key, verdict)), verdict)
        else:
            self.disturb(arena)

    def disturb(self, arena) -> None:
        """A round whose names are out takes no vote, and gives none back."""
        if not self.voted:
            return
        old = self.rng.choice(list(self.voted))
        refused = isinstance(told(arena.take_back(old)), ArenaError)
        if self.state(old) == "voted":
            assert refused
            assert isinstance(told(arena.cast(old, Verdict.parse("b", 2))), ArenaError)
            told(arena.choose(old, Verdict.parse("skip", 2)))
        elif not refused:
            del self.voted[old]

    def verdict(self, there: list[int]) -> Verdict:
        """Any verdict on the seats that answered."""
        said = self.rng.choice(TWO if len(there) == 2 else THREE)
        if said not in ("tie", "bad", "skip"):
            said = said.translate(str.maketrans("ab", "".join("abc"[seat] for seat in there[:2])))
        return Verdict.parse(said, there)

    def note(self, key: str, found, verdict: Verdict) -> None:
        if not isinstance(found, ArenaError):
            self.voted[key] = str(verdict)


def check_rows(walk: Walk) -> Counter[str]:
    """What holds of the database at any moment in which nothing is being played. Returns how many rounds are where."""
    states = dict(walk.ask("SELECT id, state FROM rounds"))
    assert set(states.values()) <= {"ready", "continued", "voted", "unblinded", "void"}
    revealed = {key for (key,) in walk.ask("SELECT id FROM rounds WHERE revealed_at IS NOT NULL")}
    assert not any(states[key] == "ready" for key in revealed), "it would wait for ever"
    standing = walk.ask("SELECT round, verdict FROM votes WHERE retracted_at IS NULL")
    assert len({key for key, _ in standing}) == len(standing), "one vote a round"
    votes = dict(standing)
    assert votes.keys() <= states.keys(), "no vote without a round"
    assert {key for key, state in states.items() if state == "voted"} <= votes.keys()
    assert {states[key] for key in votes} <= {"voted", "unblinded"}
    assert votes == walk.voted, "what was acknowledged, and nothing else"
    live = [before for before, state in walk.ask("SELECT continues, state FROM rounds") if before and state != "void"]
    assert len(set(live)) == len(live), "a conversation does not fork"
    gone_on = {key for key, state in states.items() if state == "continued"}
    assert set(live) - gone_on == set()
    assert gone_on - set(live) <= revealed, "it can be voted on, or was seen"
    answers = Counter(
        key for key, outcome in walk.ask("SELECT round, outcome FROM answers") if outcome not in ("failed", "cancelled")
    )
    assert all(answers[key] >= 2 for key, state in states.items() if state != "void")
    return Counter(states.values())


def counted(walk: Walk) -> list[tuple[tuple[str, ...], list[tuple[str, ...]]]]:
    """The votes that count, from the raw rows: who was shown, and the groups of the ranking, best first."""
    newest: dict[tuple, tuple] = {}
    rows = walk.ask(
        "SELECT votes.round, kind, ranking, flags, coalesce(continues, prompt)"
        " FROM votes JOIN rounds ON rounds.id = round"
        " WHERE retracted_at IS NULL AND state = 'voted' AND rounds.blind AND votes.blind AND kind <> 'skip'"
        " ORDER BY cast_at, votes.id"
    )
    for key, kind, ranking, flags, prompt in rows:
        seats = walk.ask(
            "SELECT seats.seat, contestant FROM seats JOIN answers USING (round, seat) WHERE round = ?"
            " AND outcome NOT IN ('failed', 'cancelled') ORDER BY seat",
            key,
        )
        who = dict(seats)
        if "named" in json.loads(flags) or len(set(who.values())) < len(who):
            continue
        groups = [tuple(who[seat] for seat in group) for group in json.loads(ranking)]
        shown = tuple(who.values())
        same = (prompt, tuple(sorted(shown)))
        newest.pop(same, None)
        newest[same] = (shown, [shown] if kind == "bad" else groups)
    return list(newest.values())


def check_board(walk: Walk) -> None:
    """Both arenas show what the raw rows say."""
    board, same = (arena.board().result() for arena in walk.arenas)
    assert board == same
    votes = counted(walk)
    assert board.votes == len(votes)
    record: dict[str, Counter[str]] = {}
    for shown, groups in votes:
        for key in shown:
            how = "losses" if key not in groups[0] else "wins" if len(groups[0]) == 1 else "ties"
            record.setdefault(key, Counter())[how] += 1
    lines = {line.key: (line.wins, line.ties, line.losses) for line in board.standings if line.votes}
    assert lines == {key: (tally["wins"], tally["ties"], tally["losses"]) for key, tally in record.items()}


def check_scores(walk: Walk) -> None:
    """The scores are those of the model as it is written down, one vote at a time."""
    board = walk.arenas[0].board().result()
    axis = {line.key: i for i, line in enumerate(board.standings)}
    m, prior, picks = len(axis), STANDARD_PRIOR, []
    for shown, groups in counted(walk):
        left = [axis[key] for key in shown]
        for group in groups:
            chosen = tuple(i for i in left if i in {axis[key] for key in group})
            if len(left) > 1:
                picks.append((tuple(left), chosen))
            left = [i for i in left if i not in chosen]

    def loss(parameters):
        theta, (nu_2, nu_3, side) = parameters[:m], parameters[m:]
        least = (theta @ theta) / prior.theta_sd**2 + (side / prior.side_sd) ** 2
        least += sum(((nu - prior.log_nu_mean) / prior.log_nu_sd) ** 2 for nu in (nu_2, nu_3))
        total = least / 2
        for shown, chosen in picks:
            worth = utilities(parameters, shown, m)
            total -= worth[parts(shown).index(chosen)] - np.logaddexp.reduce(worth)
        return total

    found = minimize(loss, np.zeros(m + 3), method="BFGS", options={"gtol": 1e-4}).x[:m]
    assert [line.score for line in board.standings] == pytest.approx(
        list(1000 + ELO_PER_THETA * (found - found.mean())), abs=0.5
    )


def check_export(walk: Walk, elsewhere: Path) -> None:
    """Exported, and imported into another database, the votes make the same board."""
    arena, out = walk.arenas[0], io.StringIO()
    arena.exchange.export(out, "jsonl").result()
    with arena_on(elsewhere) as other:
        file = io.BufferedReader(io.BytesIO(out.getvalue().encode()))
        other.exchange.take(file, "votes.jsonl", "me", skip_bad=False, progress=lambda *_: None).result()
        board, copy = arena.board().result(), other.board().result()
    figures = [
        [
            (line.key, round(line.score, 6), line.rank, line.wins, line.ties, line.losses)
            for line in each.standings
            if line.votes
        ]
        for each in (board, copy)
    ]
    assert figures[0] == figures[1]


def test_every_round_ends_in_one_state_and_the_board_is_what_the_rows_say(tmp_path, request, rng):
    rounds = request.config.getoption("--rounds")
    walk = Walk(tmp_path, rng)
    try:
        steps = 0
        while walk.played < rounds:
            walk.step()
            steps += 1
            check_rows(walk)
            if steps % 40 == 0:
                check_board(walk)
        where = check_rows(walk)
        check_board(walk)
        check_scores(walk)
        (tmp_path / "elsewhere").mkdir()
        check_export(walk, tmp_path / "elsewhere")
    finally:
        walk.close()
    with SqliteLedger(tmp_path / "arena.db") as ledger:
        assert ledger.damage() == ""
        assert ledger.interrupted() == []
    print(f"{walk.played} rounds: {dict(where)}, {dict(walk.done)}, {dict(Counter(walk.drawn))}")  # noqa: T201
    assert min(where[state] for state in ("voted", "void", "unblinded", "continued")) > 0
