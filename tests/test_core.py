"""The nouns: names, verdicts, stages, and text from strangers."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.backends.thinking import ThoughtSplitter
from arena.core.errors import UsageError
from arena.core.models import Contestant, ModelInfo, ModelRef, Sampling
from arena.core.prompts import Prompt
from arena.core.text import clean, clean_line, storable
from arena.core.variants import Variant
from arena.core.votes import Kind, Verdict, stages

KEYS = ("k0", "k1", "k2")


@pytest.mark.parametrize(
    ("text", "endpoint", "name"),
    [
        ("demo/large", "demo", "large"),
        ("ollama/qwen3:8b", "ollama", "qwen3:8b"),
        ("vllm/mistralai/Mistral-7B", "vllm", "mistralai/Mistral-7B"),
        ("./model.gguf", "gguf", "./model.gguf"),
        ("/abs/Model.GGUF", "gguf", "/abs/Model.GGUF"),
        ("gguf/file", "gguf", "file"),
    ],
)
def test_model_names(text, endpoint, name):
    ref = ModelRef.parse(text)
    assert (ref.endpoint, ref.name) == (endpoint, name)


@pytest.mark.parametrize("text", ["", "demo", "demo/", "/x", "   "])
def test_what_is_no_model_name_is_said(text):
    with pytest.raises(UsageError) as caught:
        ModelRef.parse(text)
    assert caught.value.hint


def test_what_changes_answers_makes_another_contestant_and_nothing_else_does():
    info = ModelInfo(ModelRef("demo", "large", "aa"), context=4096, quantization="Q8_0")
    base = Contestant.of(info, Sampling())
    assert Contestant.of(info, Sampling(seed=9, max_tokens=5)).fingerprint == base.fingerprint
    others = [
        Contestant.of(info, Sampling(temperature=0.1)),
        Contestant.of(info, Sampling(context=1024)),
        Contestant.of(replace(info, variant=Variant(system="be brief")), Sampling()),
        Contestant.of(ModelInfo(ModelRef("demo", "large", "bb"), context=4096, quantization="Q8_0"), Sampling()),
        Contestant.of(ModelInfo(ModelRef("demo", "large", "aa"), context=4096, quantization="Q4_0"), Sampling()),
    ]
    assert len({base.fingerprint, *(other.fingerprint for other in others)}) == 6


@pytest.mark.parametrize(
    ("text", "seats", "ranking"),
    [
        ("a", 2, ((0,),)),
        ("B", 2, ((1,),)),
        ("tie", 3, ((0, 1, 2),)),
        ("b>a=c", 3, ((1,), (0, 2))),
        ("c > b > a", 3, ((2,), (1,), (0,))),
        ("c=a", 3, ((0, 2),)),
    ],
)
def test_verdicts_are_read(text, seats, ranking):
    assert Verdict.parse(text, seats).ranking == ranking


@pytest.mark.parametrize("text", ["", "c", "ab", "a>a", "a>", "best", "a>>b", "1"])
def test_what_is_no_verdict_is_said(text):
    with pytest.raises(UsageError) as caught:
        Verdict.parse(text, 2)
    assert caught.value.hint


@given(st.permutations([0, 1, 2]), st.lists(st.booleans(), min_size=2, max_size=2))
def test_a_verdict_survives_being_written(order, ties):
    groups = [[order[0]]]
    for seat, tied in zip(order[1:], ties, strict=True):
        groups[-1].append(seat) if tied else groups.append([seat])
    verdict = Verdict(Kind.RANKING, tuple(tuple(sorted(group)) for group in groups))
    assert Verdict.parse(str(verdict), 3) == verdict


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", [(KEYS, ("k0",))]),
        ("b>a=c", [(KEYS, ("k1",)), (("k0", "k2"), ("k0", "k2"))]),
        ("c>a>b", [(KEYS, ("k2",)), (("k0", "k1"), ("k0",))]),
        ("tie", [(KEYS, KEYS)]),
        ("a=c", [(KEYS, ("k0", "k2"))]),
        ("skip", []),
    ],
)
def test_stages_of_a_three_way_vote(text, expected):
    found = stages(Verdict.parse(text, 3), KEYS)
    assert [(stage.shown, stage.chosen) for stage in found] == expected


def test_all_bad_is_a_tie_with_a_mark():
    (stage,) = stages(Verdict.parse("bad", 2), KEYS[:2])
    assert stage.chosen == KEYS[:2]
    assert stage.both_bad


def test_a_contestant_against_itself_rates_nobody():
    assert stages(Verdict.parse("a", 2), ("k0", "k0")) == ()


HOSTILE = st.text(st.one_of(st.characters(), st.sampled_from("\x1b\x9b\x00\x07\r\u202e\u2028\u200b\ufeff\u0301\ud800")))


@given(HOSTILE)
def test_clean_text_holds_no_control_and_cleaning_twice_changes_nothing(text):
    cleaned = clean(text)
    bad = [
        char
        for char in cleaned
        if (ord(char) < 32 and char not in "\n\t") or 0x7F <= ord(char) < 0xA0 or char in "\u202e\u2066\ufeff\u2028"
    ]
    assert not bad
    assert clean(cleaned) == cleaned
    cleaned.encode()


@given(HOSTILE, st.integers(0, 20))
def test_cleaning_pieces_is_cleaning_the_whole_but_for_piled_up_marks(text, cut):
    text = text.replace("\u0301", "")
    assert clean(text[:cut]) + clean(text[cut:]) == clean(text)


@given(HOSTILE)
def test_one_line_is_one_line(text):
    line = clean_line(text, 40)
    assert "\n" not in line
    assert len(line) <= 40


def test_korean_and_emoji_stay_as_they_are():
    text = "안녕하세요 👩‍💻 ⚠️ é"
    assert clean(text) == text


def test_surrogates_become_storable():
    assert storable("a\ud83db") == "a\ufffdb"


def test_the_language_of_a_prompt_is_guessed():
    assert Prompt("안녕?").guessed_language == "ko"
    assert Prompt("hello").guessed_language == "en"


THOUGHTS = st.sampled_from(["<think>", "</think>", "hm ", "yes", "<", "\n", "</thi", "한"])


@given(st.lists(THOUGHTS, max_size=12), st.data())
def test_thinking_is_told_apart_however_it_is_cut(parts, data):
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    edges = [0, *cuts, len(text)]

    def split(chunks):
        splitter, found = ThoughtSplitter(), {"answer": "", "thought": ""}
        for chunk in chunks:
            for kind, piece in splitter.feed(chunk):
                found[kind] += piece
        for kind, piece in splitter.finish():
            found[kind] += piece
        return found

    pieces = [text[start:end] for start, end in pairwise(edges)]
    assert split(pieces) == split([text])


def test_a_thinking_model_is_split():
    splitter = ThoughtSplitter()
    parts = ("<think>\nlet me ", "see</thi", "nk>\n\n41")
    found = [*(piece for part in parts for piece in splitter.feed(part)), *splitter.finish()]
    assert "".join(text for kind, text in found if kind == "thought") == "let me see"
    assert "".join(text for kind, text in found if kind == "answer") == "41"
