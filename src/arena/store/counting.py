"""The raw material of the leaderboard: judged rounds, stages, speeds, and who was shown with whom.

Counted are votes that were cast blind and stand, in rounds that were not voided and whose names are out: until then a
vote can be taken back, and a leaderboard that moved would tell whom it was for. The same prompt put to the same set of
contestants again is counted once (for each voter), with the newest vote: answers to it are not independent, and a voter
remembers them.

Everything is by the fingerprints of leaders: a merged contestant is its leader (see `contestants`), so a prompt that
both answered beside the same opponent was put again, and what both ran is one set of runs. A round in which merged
contestants met each other is no comparison and left out, with a third one that sat there, as in a control: a place
beside two answers of one contestant is not what the ratings mean by a place. Nor is it a control, which measures what
the voter makes of one and the same thing: there one fingerprint really sits twice.

Imported rounds of other databases are counted by the same rules, each as a round of the voter that its file stands for.
Imported battles of public arenas have neither prompts nor rounds: they are stages and nothing else.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from typing import Any

from arena.core.prompts import Prompt
from arena.core.ratings import Tally
from arena.core.votes import Stage, Verdict, stages
from arena.store import rows
from arena.store.imports import LedgerImports

UNRATED_FLAGS = frozenset({"named"})
"""Flags that keep a judged round out of the rating by default.

`named` says that an answer told its model's name. A seat that broke off did not lose an argument: it is left out, and
the vote is one between the others. An empty or a truncated answer is the model's own doing: it counts, stays marked.
"""

_LANGUAGE = """CASE WHEN prompts.language <> '' THEN prompts.language
    WHEN prompts.text GLOB '*[가-힣]*' THEN 'ko' ELSE 'en' END"""
"""As `Prompt.guessed_language` has it."""
_JUDGED = f"""
SELECT votes.id, votes.round, votes.kind, votes.ranking, votes.cast_at, votes.decided_ms, votes.voter,
    coalesce(rounds.continues, rounds.prompt) AS prompt, rounds.flags, prompts.tags,
    seats.seat, seats.contestant, coalesce(answers.out_chars, 0) AS out_chars
FROM votes
JOIN rounds ON rounds.id = votes.round
JOIN prompts ON prompts.sha256 = rounds.prompt
JOIN seats ON seats.round = rounds.id
LEFT JOIN answers ON answers.round = seats.round AND answers.seat = seats.seat
WHERE votes.retracted_at IS NULL AND votes.blind = 1 AND votes.kind <> 'skip'
    AND coalesce(answers.outcome, '') NOT IN ('failed', 'cancelled')
    AND rounds.state = 'voted' AND rounds.blind = 1 AND rounds.revealed_at IS NOT NULL
    AND (:voter = '' OR votes.voter = :voter)
    AND votes.cast_at >= :since AND (:language = '' OR {_LANGUAGE} = :language)
    AND (:tag = '' OR EXISTS (SELECT 1 FROM json_each(prompts.tags) WHERE value = :tag))
ORDER BY votes.cast_at, votes.id, seats.seat
"""  # noqa: S608 - all of it is written here
_VOTED = "FROM rounds JOIN prompts ON prompts.sha256 = rounds.prompt"
_TAGS = f"""
SELECT DISTINCT tag.value AS tag {_VOTED} JOIN json_each(prompts.tags) AS tag WHERE rounds.state = 'voted' ORDER BY tag
"""
_LANGUAGES = f"SELECT DISTINCT {_LANGUAGE} AS language {_VOTED} WHERE rounds.state = 'voted' ORDER BY language"
# Speeds of rounds whose names are not out stay out: a figure that moves with a sealed answer would tell on it.
_CLEAN = """
SELECT seats.contestant, answers.decode_tps, answers.chars_per_s, answers.ttft_ms,
    answers.token_source <> 'estimate' AS counted
FROM answers
JOIN seats ON seats.round = answers.round AND seats.seat = answers.seat
JOIN rounds ON rounds.id = answers.round
WHERE (rounds.state = 'unblinded' OR rounds.revealed_at IS NOT NULL)
    AND answers.outcome IN ('answered', 'truncated')
    AND answers.cold = 0 AND answers.contended = 0 AND answers.cached = 0
"""
_DEALT = """
SELECT seats.round, seats.contestant FROM seats JOIN rounds ON rounds.id = seats.round
WHERE rounds.state <> 'void' AND {} ORDER BY seats.round, seats.seat
"""
_EVER = _DEALT.format("rounds.state <> 'continued'")
# A query of its own: with an OR beside it no index on the prompt is used, and every round would read all the others.
_THAT_PROMPT = _DEALT.format("rounds.prompt = :prompt AND rounds.id <> :besides AND rounds.continues IS NULL")


@dataclass(frozen=True, slots=True)
class Judged:
    """A round that counts: who sat where, and the verdict."""

    round_id: str
    keys: tuple[str, ...]
    """Fingerprints of the contestants in the order of the seats, of merged ones the leader's."""
    verdict: Verdict
    """A ranking or 'all bad', never 'skip'."""
    prompt: str
    """The prompt's sha256; of a conversation of several turns the id of the round before the last one."""
    tags: tuple[str, ...]
    chars: tuple[int, ...]
    """Characters of the answers in the order of the seats."""
    cast_at: str
    decided_ms: int | None
    control: bool = False
    """Whether a contestant met itself: a control of the voter, no comparison."""


class LedgerCounts(LedgerImports):
    """The counting part of the ledger."""

    def verdicts(
        self,
        *,
        tag: str = "",
        language: str = "",
        since: str = "",
        voter: str = "me",
        without: Collection[str] = UNRATED_FLAGS,
    ) -> list[Judged]:
        """The rounds that are rated, in the order of their votes; controls are not among them.

        `tag` narrows to prompts with that tag, `language` to those in it, `since` (UTC, ISO 8601) to the votes from
        then on, `voter` '' means everybody, `without`: the flags that keep a round out.
        """
        found = self._judged(tag, voter, without, language, since)
        return [judged for judged in found if not judged.control]

    def controls(self, *, voter: str = "me", without: Collection[str] = UNRATED_FLAGS) -> list[Judged]:
        """The judged rounds in which a contestant met itself: they measure the voter's noise and side."""
        return [judged for judged in self._judged("", voter, without) if judged.control]

    def stages(
        self,
        *,
        tag: str = "",
        language: str = "",
        since: str = "",
        voter: str = "me",
        without: Collection[str] = UNRATED_FLAGS,
    ) -> list[Stage]:
        """What ratings are fitted from: the stages of `verdicts`, with the lengths of answers, and imported battles."""
        found = self.verdicts(tag=tag, language=language, since=since, voter=voter, without=without)
        played = [
            stage for judged in found for stage in stages(judged.verdict, judged.keys, judged.round_id, judged.chars)
        ]
        return played + self.imported_stages(tag=tag, voter=voter, language=language, since=since)

    def tallies(self) -> dict[str, Tally]:
        """Medians over the clean runs of every contestant that has one, by fingerprint, sealed rounds left out.

        Token rates come from counted tokens where a contestant has such runs, else from estimates. Memory use is not
        known here.
        """
        with self._connection.reading():
            runs, led = self._connection.rows(_CLEAN), self.merges()
        by_leader: dict[str, list[Any]] = {}
        for run in runs:
            by_leader.setdefault(led.get(run["contestant"], run["contestant"]), []).append(run)
        return {key: _tally(own) for key, own in by_leader.items()}

    def facets(self) -> tuple[list[str], list[str]]:
        """The tags and the languages of prompts that were voted on, in the order of the alphabet."""
        with self._connection.reading():
            tags, languages = self._connection.rows(_TAGS), self._connection.rows(_LANGUAGES)
        return [row["tag"] for row in tags], [row["language"] for row in languages]

    def shown_counts(self) -> dict[str, int]:
        """In how many rounds each contestant was dealt, by fingerprint.

        Void rounds are left out; those still in work count, so that a queue does not deal the same set again and again.
        """
        return dict(Counter(key for keys in self._dealt_to_leaders() for key in set(keys)))

    def pair_counts(self) -> dict[tuple[str, str], int]:
        """The same for two different contestants together; each pair is sorted."""
        dealt = self._dealt_to_leaders()
        return dict(Counter(pair for keys in dealt for pair in combinations(sorted(set(keys)), 2)))

    def played(self, prompt: Prompt) -> set[tuple[str, ...]]:
        """The sets of contestants (sorted fingerprints) that this prompt was put to already, void rounds left out."""
        key = rows.storable_prompt(prompt).sha256
        return {tuple(sorted(keys)) for keys in self._dealt_to_leaders(key)}

    def _dealt_to_leaders(self, prompt: str = "") -> list[tuple[str, ...]]:
        """The leaders of the contestants of every dealt round, in seat order."""
        with self._connection.reading():
            dealt, led = self._dealt(prompt).values(), self.merges()
        return [tuple(led.get(key, key) for key in keys) for keys in dealt]

    def _dealt(self, prompt: str = "", besides: str = "") -> dict[str, tuple[str, ...]]:
        """Round id -> contestants in seat order, each by its own fingerprint."""
        found = self._connection.rows(_THAT_PROMPT if prompt else _EVER, prompt=prompt, besides=besides)
        by_round = groupby(found, key=lambda row: row["round"])
        return {key: tuple(row["contestant"] for row in group) for key, group in by_round}

    def _judged(
        self, tag: str, voter: str, without: Collection[str], language: str = "", since: str = ""
    ) -> list[Judged]:
        """Comparisons and controls, oldest vote first, repeats counted once."""
        narrowed = {"tag": tag, "voter": voter, "language": language, "since": since}
        with self._connection.reading():
            found, led = self._connection.rows(_JUDGED, **narrowed), self.merges()
            foreign = self.imported_seats(**narrowed)
        if foreign:
            found = sorted([*found, *foreign], key=lambda row: row["cast_at"])
        newest: dict[tuple[str, str, tuple[str, ...]], Judged] = {}
        for _, group in groupby(found, key=lambda row: row["id"]):
            seats = list(group)
            if len(seats) < 2 or not set(without).isdisjoint(rows.names(seats[0]["flags"])):
                continue
            judged = _judged_of(seats, led)
            if len(set(judged.keys)) < len(judged.keys) and not judged.control:
                continue
            same = (seats[0]["voter"], judged.prompt, tuple(sorted(judged.keys)))
            newest.pop(same, None)  # so that the order is that of the votes that count
            newest[same] = judged
        return list(newest.values())


def _judged_of(seats: Sequence[rows.Row], led: Mapping[str, str]) -> Judged:
    """A judged round of its rows, one for each seat that answered."""
    first, seated = seats[0], [row["contestant"] for row in seats]
    return Judged(
        round_id=first["round"],
        keys=tuple(led.get(key, key) for key in seated),
        verdict=rows.verdict_of(first).among([row["seat"] for row in seats]),
        prompt=first["prompt"],
        tags=rows.names(first["tags"]),
        chars=tuple(row["out_chars"] for row in seats),
        cast_at=first["cast_at"],
        decided_ms=first["decided_ms"],
        control=len(set(seated)) < len(seated),
    )


def _tally(runs: list[Any]) -> Tally:
    counted = _median([run["decode_tps"] for run in runs if run["counted"]])
    return Tally(
        tok_s=_median([run["decode_tps"] for run in runs]) if counted is None else counted,
        chars_s=_median([run["chars_per_s"] for run in runs]),
        ttft_ms=_median([run["ttft_ms"] for run in runs]),
    )


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
