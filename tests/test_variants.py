"""Contestants: what makes one, how the same model at two settings meets itself, and what each is called."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.core.errors import UsageError
from arena.core.models import Contestant, ModelInfo, ModelRef, Sampling, distinct_names
from arena.core.variants import KV_TYPES, SAMPLERS, THINKING, Variant, split_variant

ALL = frozenset({"context", "kv_type", "thinking", "system", *SAMPLERS})
INFO = ModelInfo(ModelRef("ollama", "qwen3:8b", "ab" * 32), quantization="Q4_K_M", context=40960, adjustable=ALL)


def contestant(text="", info=INFO, sampling=None):
    return Contestant.of(info.with_variant(Variant.parse(text) if text else Variant()), sampling or Sampling())


@pytest.mark.parametrize(
    "text",
    [
        "temperature=0",
        "thinking=off",
        "kv_type=q8_0",
        "context=8192",
        "system=Be brief.",
        "top_k=1",
        "repeat_penalty=1.1",
    ],
)
def test_each_setting_that_changes_answers_makes_another_contestant(text):
    assert contestant(text).fingerprint != contestant().fingerprint


def test_what_changes_only_the_speed_does_not():
    base = contestant()
    elsewhere = replace(INFO, ref=replace(INFO.ref, endpoint="desk"), local=False, location="http://desk")
    renamed = replace(INFO, ref=replace(INFO.ref, name="qwen3:latest"))
    assert contestant(info=elsewhere).fingerprint == base.fingerprint
    assert contestant(info=renamed).fingerprint == base.fingerprint
    assert contestant(sampling=Sampling(seed=5, max_tokens=7)).fingerprint == base.fingerprint


def test_without_a_digest_the_address_is_the_model():
    one = replace(INFO, ref=ModelRef("vllm", "a"))
    assert contestant(info=one).fingerprint != contestant(info=replace(one, ref=ModelRef("vllm", "b"))).fingerprint
    assert contestant(info=one).fingerprint != contestant(info=replace(one, ref=ModelRef("tgi", "a"))).fingerprint


def test_what_the_server_decides_is_no_part_of_it():
    served = ModelInfo(ModelRef("vllm", "a"), context=32768, adjustable=frozenset({"temperature"}))
    base = Contestant.of(served, Sampling())
    assert base.context == 32768
    assert base.sampler == (("temperature", 0.7),)
    assert Contestant.of(served, Sampling(context=512, top_k=3)).fingerprint == base.fingerprint


def test_what_an_endpoint_cannot_set_is_said():
    with pytest.raises(UsageError, match="can't be set") as caught:
        replace(INFO, adjustable=frozenset({"temperature"})).with_variant(Variant.parse("kv=q8_0"))
    assert "temperature" in caught.value.hint


def test_a_contestant_is_sampled_its_own_way():
    sampling = contestant("temperature=0,top_k=1,context=1024").sampling(Sampling(seed=4, max_tokens=9))
    assert (sampling.temperature, sampling.top_k, sampling.context) == (0, 1, 1024)
    assert (sampling.seed, sampling.max_tokens, sampling.top_p) == (4, 9, 0.95)
    assert isinstance(sampling.top_k, int)


@pytest.mark.parametrize(
    ("text", "name", "variant"),
    [
        ("demo/large", "demo/large", ""),
        ("demo/large,temperature=0", "demo/large", "temperature=0"),
        ("ollama/qwen3:8b, think=off, ctx=8192", "ollama/qwen3:8b", "context=8192,thinking=off"),
        ("./one,two.gguf", "./one,two.gguf", ""),
        ("demo/large,system=Be brief, and kind.", "demo/large", "system=Be brief, and kind."),
    ],
)
def test_settings_stand_behind_the_name(text, name, variant):
    assert split_variant(text) == (name, Variant.parse(variant) if variant else Variant())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("top_p=5", "from 0 to 1"),
        ("repeat_penalty=0", "0.1 or more"),
        ("temprature=0", "Did you mean temperature"),
        ("temperature=hot", "a number"),
        ("temperature=nan", "a number"),
        ("temperature=-1", "0 or more"),
        ("top_k=1.5", "whole number"),
        ("context=0", "16 or more"),
        ("context=2147483648", "16 or more"),
        ("context=" + "9" * 5000, "16 or more"),
        ("context=8k", "whole number"),
        ("kv=q9", "q8_0"),
        ("think=maybe", "low"),
        ("seed=3", "There are"),
        ("", "no setting"),
    ],
)
def test_what_is_no_setting_is_said(text, says):
    with pytest.raises(UsageError) as caught:
        Variant.parse(text)
    assert says in str(caught.value)


variants = st.builds(
    Variant,
    context=st.none() | st.integers(16, INFO.context),
    kv_type=st.none() | st.sampled_from(KV_TYPES),
    thinking=st.none() | st.sampled_from(THINKING),
    samplers=st.dictionaries(st.sampled_from([name for name in SAMPLERS if name != "top_k"]), st.floats(0.1, 1.0)).map(
        lambda values: tuple(sorted(values.items()))
    ),
)


@given(variants)
def test_a_variant_is_read_as_it_is_written(variant):
    assert split_variant(f"demo/large,{variant}" if str(variant) else "demo/large") == ("demo/large", variant)


@given(st.lists(variants, min_size=1, max_size=5, unique_by=str))
def test_names_tell_contestants_apart(found):
    made = [Contestant.of(INFO.with_variant(variant), Sampling()) for variant in found]
    names = distinct_names(made)
    assert len(set(names.values())) == len({each.fingerprint for each in made})
    assert all(name.startswith("ollama/qwen3:8b") for name in names.values())


def test_a_contestant_alone_is_called_by_its_address():
    (name,) = distinct_names([contestant("temperature=0")]).values()
    assert name == "ollama/qwen3:8b"


def test_only_what_differs_stands_in_the_name():
    names = distinct_names([contestant(), contestant("temperature=0")])
    assert sorted(names.values()) == ["ollama/qwen3:8b temperature=0", "ollama/qwen3:8b temperature=0.7"]
