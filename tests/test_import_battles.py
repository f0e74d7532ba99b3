"""Battles of public arenas: what a row says, what counts once, whose votes they are, and how they go again."""

from __future__ import annotations

import csv
import io
import tempfile
from collections import Counter
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.core.errors import ArenaError
from arena.store import incoming
from arena.store.ledger import SqliteLedger
from battle_files import battle, everything, exported, jsonl, take, tally
from test_store import ALPHA, BETA, GAMMA, ready, vote

ANT, BEE, CAT = map(incoming.name_fingerprint, ("ant", "bee", "cat"))


@pytest.fixture
def ledger(tmp_path: Path):
    with SqliteLedger(tmp_path / "arena.db") as opened:
        yield opened


@pytest.mark.parametrize(
    ("word", "chosen"),
    [
        ("model_a", (ANT,)),
        ("leftvote", (ANT,)),
        (" Model_B ", (BEE,)),
        ("rightvote", (BEE,)),
        ("tie", (ANT, BEE)),
        ("tievote", (ANT, BEE)),
        ("both_bad", (ANT, BEE)),
        ("tie (bothbad)", (ANT, BEE)),
        ("bothbad_vote", (ANT, BEE)),
    ],
)
def test_every_spelling_of_a_winner(ledger, word, chosen):
    take(ledger, jsonl(battle(winner=word)))
    (stage,) = ledger.stages(voter="anna")
    assert (stage.shown, stage.chosen, stage.times) == ((ANT, BEE), chosen, 1)
    assert stage.both_bad == ("bad" in word)


def test_a_file_twice_adds_nothing_and_a_longer_one_what_is_new(ledger):
    rows = [battle(), battle(), battle(winner="tie"), battle(question_id="q1"), battle(question_id="q1")]
    first = take(ledger, jsonl(*rows))
    assert (first.battles, first.known) == (4, 1), "a row with an id is the same battle again"
    again = take(ledger, jsonl(*rows))
    assert (again.id, again.battles, again.known) == (None, 0, 5)
    assert [one.id for one in ledger.imports()] == [first.id]
    longer = take(ledger, jsonl(*rows, battle(), battle("cat"), battle(question_id="q2")))
    assert (longer.battles, longer.known) == (3, 5)
    assert tally(ledger.stages(voter="anna"))[(ANT, BEE), (ANT,), False] == 5


def test_two_who_import_the_same_at_once_add_it_once(ledger, tmp_path, monkeypatch):
    data, begin = jsonl(battle(), battle(), battle("cat")), ledger._connection.writing

    def somebody_was_quicker():
        monkeypatch.undo()
        with SqliteLedger(tmp_path / "arena.db") as other:
            assert take(other, data).battles == 3
        return begin()

    monkeypatch.setattr(ledger._connection, "writing", somebody_was_quicker)
    assert (take(ledger, data).battles, tally(ledger.stages(voter="anna")).total()) == (0, 3)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.sampled_from([battle(), battle(winner="tie"), battle("cat"), battle(id=1), battle(id=2)]), max_size=9),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_parts_of_a_file_that_overlap_add_up_to_the_file(rows, end, start):
    """As long as nothing between them is missing."""
    parts = [rows[:end], rows[min(start, end) :]]

    def counts(some):
        told = Counter(tuple(sorted(row.items(), key=str)) for row in some)
        return {row: 1 if "id" in dict(row) else n for row, n in told.items()}

    with tempfile.TemporaryDirectory() as folder, SqliteLedger(Path(folder) / "arena.db") as ledger:
        for part in parts:
            if part:
                take(ledger, jsonl(*part))
        together: Counter[object] = Counter()
        for row, n in {row: max(counts(part).get(row, 0) for part in parts) for row in counts(rows)}.items():
            together[dict(row)["model_a"], dict(row)["winner"]] += n
        found: Counter[object] = Counter()
        for stage in ledger.stages(voter="anna"):
            first = {ANT: "ant", CAT: "cat"}[stage.shown[0]]
            found[first, "tie" if len(stage.chosen) == 2 else "model_a"] += stage.times
        assert found == together


def test_json_and_csv_of_the_same_battles_are_the_same_battles(ledger):
    rows = [
        battle(question_id=81, tstamp=1682351591.1322, language="English", anony=True, turn=1),
        battle("cat", winner="tie (bothbad)", question_id=82, tstamp=1682351600.5, language="", anony=True, turn=2),
        battle(question_id=83, tstamp=1682351700.25, language="German", anony=False, turn=1),
    ]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    assert take(ledger, jsonl(*rows)).battles == 3
    assert take(ledger, out.getvalue().encode()).known == 3
    assert tally(ledger.stages(voter="anna")).total() == 2, "one was not anonymous"


def test_other_separators_and_a_byte_order_mark_are_understood(ledger):
    assert take(ledger, "\ufeffmodel_a;model_b;winner\r\nant;bee;tie\r\n\r\n".encode()).battles == 1
    assert take(ledger, b"\xef\xbb\xbf" + jsonl(battle("cat")) + b"\n \n").battles == 1
    assert take(ledger, b"n\tmodel_a\tmodel_b\twinner\n1\tant\tcat\ttie\n").battles == 1


def test_each_voter_is_counted_apart_and_can_be_left_out_again(ledger):
    own = ready(ledger, ALPHA, BETA)
    vote(ledger, own, "a")
    ledger.mark_revealed(own)
    empty, mine = everything(ledger), ledger.stages()
    anna = take(ledger, jsonl(battle(), battle("cat", language="ko")), "anna")
    bob = take(ledger, jsonl(battle()), "bob")
    assert bob.battles == 1, "an equal row without an id is a battle of another voter"
    assert ledger.stages() == mine, "the board is one's own"
    assert tally(ledger.stages(voter="anna")) == {((ANT, BEE), (ANT,), False): 1, ((CAT, BEE), (CAT,), False): 1}
    assert tally(ledger.stages(voter="")) == tally(mine + ledger.stages(voter="anna") + ledger.stages(voter="bob"))
    assert ledger.voters() == ["anna", "bob", "me"]
    assert [(one.id, one.voter, one.battles) for one in ledger.imports()] == [(anna.id, "anna", 2), (bob.id, "bob", 1)]
    ledger.remove_import(anna.id)
    assert ledger.stages(voter="anna") == []
    assert tally(ledger.stages(voter="bob")).total() == 1
    ledger.remove_import(bob.id)
    assert everything(ledger) == empty, "nothing of them stays"
    with pytest.raises(ArenaError, match="no import"):
        ledger.remove_import(bob.id)


def test_votes_of_one_self_from_elsewhere_count_as_ones_own(ledger, tmp_path):
    with SqliteLedger(tmp_path / "laptop.db") as laptop:
        key = ready(laptop, ALPHA, GAMMA)
        vote(laptop, key, "b")
        laptop.mark_revealed(key)
        take(ledger, exported(laptop), "me")
        assert ledger.stages() == laptop.stages()
    assert ledger.contestants() == {}, "nobody was played here"
    assert set(ledger.shown_names(ledger.stages()).values()) == {"ollama/alpha:7b", "ollama/gamma:9b"}


def test_tallies_are_what_the_battles_say(ledger):
    names = (("ant", "bee"), ("bee", "ant"), ("cat", "ant"))
    tagged = ([], ["coding"], ["coding", "korean"])
    kinds = product(names, ("model_a", "tie", "both_bad"), tagged, ("", "ko"))
    rows = [battle(a, b, winner, tags=tags, language=language) for (a, b), winner, tags, language in kinds]
    take(ledger, jsonl(*rows, *rows[:20]))
    take(ledger, jsonl(*rows[5:], *rows[5:], battle(is_code=True)), "bob")
    asked = list(product(("anna", "bob", ""), ("", "coding", "korean", "x")))
    before = {(voter, tag): ledger.stages(voter=voter, tag=tag) for voter, tag in asked}
    held = ledger._connection.rows("SELECT * FROM import_tallies")
    assert tally(before["anna", ""]).total() == len(rows) + 20
    assert tally(before["anna", "korean"]).total() == len([row for row in rows + rows[:20] if "korean" in row["tags"]])
    assert before["", "x"] == []
    ledger.retally()
    assert [tuple(row) for row in ledger._connection.rows("SELECT * FROM import_tallies")] == list(map(tuple, held))
    raw = ledger._connection.rows("SELECT sum(n) AS n FROM import_battles")[0]["n"]
    assert raw == tally(before["", ""]).total()


def test_stages_narrow_by_language_and_by_time(ledger):
    early, late = "2026-01-01T00:00:00.000+00:00", "2026-02-01T00:00:00.000+00:00"
    seats = [{"model": f"x/{n}", "fingerprint": f"{n:016x}"} for n in (1, 2)]
    rounds = [
        battle(round=f"r{n}", verdict="a", seats=seats, language=language, cast_at=day)
        for n, (language, day) in enumerate([("ko", early), ("en", late)])
    ]
    battles = [battle(language="Korean", tstamp=1767225600), battle(language="en", cast_at=late)]
    take(ledger, jsonl(*rounds, *battles))

    def counts(**narrowed: str) -> tuple[int, int]:
        seen = {row["id"] for row in ledger.imported_seats(voter="anna", **narrowed)}
        return len(seen), tally(ledger.imported_stages(voter="anna", **narrowed)).total()

    assert [counts(language=language) for language in ("", "ko", "en", "de")] == [(2, 2), (1, 1), (1, 1), (0, 0)]
    assert [counts(since=day) for day in (early, late, "2027")] == [(2, 2), (1, 1), (0, 0)]
    assert counts(since=early, language="ko") == (1, 1)


def test_bad_rows_are_listed_with_their_lines_and_nothing_is_imported(ledger):
    before = everything(ledger)
    data = jsonl(battle()) + b"{no\n" + jsonl(battle(winner="nobody"), battle("ant", "ant"), [1], battle())
    found = take(ledger, data)
    assert (found.id, found.battles, found.bad_count) == (None, 0, 4)
    assert [row.line for row in found.bad] == [2, 3, 4, 5]
    assert [word in row.what for word, row in zip(("JSON", "nobody", "same", "object"), found.bad, strict=True)] == [
        True
    ] * 4
    assert everything(ledger) == before
    assert take(ledger, data, skip_bad=True).battles == 2


def test_only_the_first_bad_rows_are_listed(ledger):
    found = take(ledger, jsonl(*[battle(winner="x")] * 50))
    assert (len(found.bad), found.bad_count) == (incoming.BAD_ROWS_LISTED, 50)
    with pytest.raises(ArenaError, match="holds no battles"):
        take(ledger, b"\n\n")


def test_lines_of_a_csv_are_counted_where_cells_hold_line_breaks(ledger):
    data = b'model_a,model_b,winner,text\nant,bee,tie,"a\nb\nc"\nant,bee,nobody,x\nant,bee\nant,bee,tie,x\n'
    assert [row.line for row in take(ledger, data).bad] == [5, 6]


def test_names_are_told_apart_by_what_differs(ledger):
    seats = [{"model": "x/same", "fingerprint": f"{n:016x}", "quantization": q} for n, q in ((1, "Q4"), (2, "Q8"))]
    row = battle("x/same", "x/same", "model_a", round="r1", verdict="a", seats=seats)
    take(ledger, jsonl(row, battle("x/same", "ant")))
    names = ledger.shown_names(ledger.stages(voter="anna"))
    assert len(set(names.values())) == 4
    assert names[f"{1:016x}"] == "x/same Q4 #000000"
    assert names[ANT] == "ant"
