"""The token loop of a worker draws what llama-cpp-python's own loop draws, and does what the settings say."""

from __future__ import annotations

import ctypes
import importlib.util
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

import arena.demo
from arena.backends.llamacpp_worker import Model

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is missing"),
]
DEMO = Path(arena.demo.__file__).parent
STORY = "Tell me a long story about a fox, a lantern and a river. "
PLAIN = {"temperature": 0.7, "top_k": 40, "top_p": 0.95, "min_p": 0.05, "repeat_penalty": 1.0, "seed": 1}
OPEN = PLAIN | {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
"""Nothing is cut off."""
SETTINGS = [
    PLAIN,
    PLAIN | {"seed": 2},
    PLAIN | {"seed": 0},
    PLAIN | {"temperature": 0.0},
    PLAIN | {"temperature": 0.0, "repeat_penalty": 1.5},
    PLAIN | {"repeat_penalty": 1.3},
    PLAIN | {"top_k": 1},
    OPEN | {"temperature": 3.0},
    OPEN | {"temperature": 50.0, "top_k": 500},
    PLAIN | {"top_p": 0.3, "min_p": 0.0},
    PLAIN | {"min_p": 0.5},
]


@pytest.fixture(scope="module", autouse=True)
def defaults_as_before():
    """A model that is loaded in this process changes a default of llama.cpp, and other tests ask for that."""
    import llama_cpp.llama_cpp as api

    before = api.llama_context_default_params
    yield
    api.llama_context_default_params = before


@pytest.fixture(scope="module")
def model():
    return Model(str(DEMO / "large.gguf"), 512)


@pytest.fixture(scope="module")
def roomy():
    return Model(str(DEMO / "medium.gguf"), 1024)


@pytest.fixture(scope="module")
def prompt(model):
    return asked(model, STORY)


def asked(model, text):
    """A prompt in the template of the demo models."""
    return model.llm.tokenize(f"<|user|>\n{text}<|end|>\n<|assistant|>\n".encode(), add_bos=False, special=True)


def drawn(model, prompt, sampling, count=40):
    return list(islice(model.loop.tokens(prompt, sampling), count))


def drawn_by_the_wrapper(model, prompt, sampling, count=40):
    """The loop of llama-cpp-python, up to the end of the turn."""
    import llama_cpp

    model.llm.reset()
    model.llm.set_seed(sampling["seed"])
    told = {key: sampling[key] for key in ("top_k", "top_p", "min_p", "repeat_penalty")}
    tokens, vocab = [], llama_cpp.llama_model_get_vocab(model.llm.model)
    for token in model.llm.generate(prompt, temp=sampling["temperature"], **told):
        if llama_cpp.llama_vocab_is_eog(vocab, token) or len(tokens) == count:
            return tokens
        tokens.append(token)
    return tokens


def likelihoods(model, prompt):
    """Token -> probability of being the first of the answer, at temperature 1."""
    import llama_cpp
    import numpy as np

    next(model.loop.tokens(prompt, PLAIN), None)
    logits = llama_cpp.llama_get_logits_ith(model.llm.ctx, -1)
    values = np.ctypeslib.as_array(ctypes.cast(logits, ctypes.POINTER(ctypes.c_float)), (model.llm.n_vocab(),))
    weights = np.exp(values.astype(float) - values.max())
    return dict(enumerate(weights / weights.sum()))


def firsts(model, prompt, sampling, seeds=40):
    """How often which token came first."""
    found = Counter()
    for seed in range(1, seeds + 1):
        found.update(drawn(model, prompt, sampling | {"seed": seed}, 1))
    return found


@pytest.mark.parametrize("sampling", SETTINGS)
@pytest.mark.parametrize("times", [1, 30], ids=["one batch", "two batches"])
def test_a_seed_draws_what_it_draws_in_the_wrapper(roomy, times, sampling):
    prompt = asked(roomy, STORY * times)
    assert (len(prompt) > roomy.llm.n_batch) == (times > 1)
    assert drawn(roomy, prompt, sampling) == drawn_by_the_wrapper(roomy, prompt, sampling) != []


def test_zero_is_greedy_and_so_is_a_choice_of_one(model, prompt):
    greedy = drawn(model, prompt, OPEN | {"temperature": 0.0})
    chances = likelihoods(model, prompt)
    assert greedy[0] == max(chances, key=chances.get)
    assert len(greedy) > 5
    for seed in (1, 2, 3):
        assert drawn(model, prompt, OPEN | {"temperature": 0.0, "seed": seed}) == greedy
        assert drawn(model, prompt, OPEN | {"top_k": 1, "seed": seed}) == greedy
        assert drawn(model, prompt, OPEN | {"min_p": 1.0, "seed": seed}) == greedy
        assert drawn(model, prompt, OPEN | {"top_p": 0.0, "seed": seed}) == greedy


def test_the_same_seed_says_the_same_and_another_something_else(model, prompt):
    free = OPEN | {"temperature": 1.5}
    said = {seed: drawn(model, prompt, free | {"seed": seed}) for seed in (1, 2, 3)}
    assert all(drawn(model, prompt, free | {"seed": seed}) == tokens for seed, tokens in said.items())
    assert len({tuple(tokens) for tokens in said.values()}) == 3


def test_what_is_cut_off_is_never_drawn_and_the_rest_is(model, prompt):
    wild = OPEN | {"temperature": 20.0}
    chances = likelihoods(model, prompt)
    ranked = sorted(chances, key=chances.get, reverse=True)
    assert set(firsts(model, prompt, wild | {"top_k": 3})) == set(ranked[:3])
    assert len(firsts(model, prompt, wild)) > 20
    # The cuts come before the temperature.
    floor = chances[ranked[0]] * 0.01
    assert set(firsts(model, prompt, wild | {"min_p": 0.01})) <= {each for each in ranked if chances[each] >= floor}
    held = [sum(chances[each] for each in ranked[:count]) for count in range(len(ranked))]
    nucleus = ranked[: next(count for count, mass in enumerate(held) if mass >= 0.9)]
    seen = firsts(model, prompt, wild | {"top_p": 0.9}, 60)
    assert set(seen) <= set(nucleus)
    assert len(seen) > 1


def test_tokens_come_as_often_as_they_are_likely(model, prompt):
    chances = likelihoods(model, prompt)
    seeds = 400
    seen = firsts(model, prompt, OPEN, seeds)
    for token in sorted(chances, key=chances.get)[-5:]:
        sigma = (seeds * chances[token] * (1 - chances[token])) ** 0.5
        assert abs(seen[token] - seeds * chances[token]) <= 4 * sigma + 1


def test_a_penalty_keeps_tokens_from_coming_again(model, prompt):
    plain = drawn(model, prompt, OPEN | {"temperature": 0.0})
    held = drawn(model, prompt, OPEN | {"temperature": 0.0, "repeat_penalty": 1e6})
    assert len(set(plain)) < len(plain), "or the penalty had nothing to do"
    assert len(set(held)) == len(held) > 5


def test_an_answer_called_off_leaves_nothing_behind(model, prompt):
    whole = drawn(model, prompt, PLAIN)
    for count in (0, 1, 7):
        assert drawn(model, prompt, PLAIN, count) == whole[:count]
        assert drawn(model, prompt, PLAIN) == whole


def test_a_full_context_is_an_error_and_the_next_answer_is_whole(model, prompt):
    whole = drawn(model, prompt, PLAIN)
    room = model.llm.n_ctx()
    full = (prompt * room)[:room]
    tokens = model.loop.tokens(full, OPEN | {"temperature": 3.0})
    next(tokens)
    with pytest.raises(RuntimeError, match="llama_decode"):
        next(tokens)
    assert drawn(model, prompt, PLAIN) == whole


def test_the_text_of_every_token_is_that_of_the_wrapper(model):
    assert all(model.loop.piece(token) == model.llm.detokenize([token]) for token in range(model.llm.n_vocab()))


def test_a_token_of_any_length_has_its_text(model, monkeypatch):
    expected = max((model.llm.detokenize([token]) for token in range(model.llm.n_vocab())), key=len)
    assert len(expected) > 4
    (token,) = [each for each in range(model.llm.n_vocab()) if model.llm.detokenize([each]) == expected][:1]
    monkeypatch.setattr("arena.backends.llamacpp_loop._PIECE_BYTES", 2)
    monkeypatch.setattr(model.loop, "_pieces", {})
    assert model.loop.piece(token) == expected
