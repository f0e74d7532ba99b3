"""The guides' rules of thumb beside the exact figures."""

from __future__ import annotations

import pytest

from arena.cli.advice import explain_fit
from arena.core.machine import GIB, Fits
from arena.hardware.fit import rules_of_thumb as rules
from arena.hardware.fit.catalogue import catalogue

BY_PULL = {model.pull: model for model in catalogue() if model.pull}


def test_the_rules_are_judged_as_the_text_says():
    for found in rules.by_class():
        last = found.usual[1] or found.usual[0]
        assert (last.verdict is Fits.FITS) == (found.says_gb < 40), found.model.name
    assert sum(found.half.verdict is Fits.FITS for found in rules.by_class()) == 1
    assert all((found.usual[1] or found.usual[0]).verdict is Fits.FITS for found in rules.in_ram())
    for model, few, half in rules.compressed():
        ratio = half.weights_bytes / few.weights_bytes
        assert abs(ratio - rules.FOUR_BITS) < (0.3 if few.quantization == "Q4_0" else 0.4), model.name
        assert half.need_bytes / few.need_bytes < ratio
    for _, rule_gib, (full, half, usual) in rules.by_size():
        assert 0.8 < rule_gib * GIB / full.need_bytes < 1.3
        assert usual.need_bytes < half.need_bytes < full.need_bytes


def test_the_guides_own_figures_are_checked_model_by_model():
    verdicts = {
        (found.model.pull, found.says_gb): (found.usual[1] or found.usual[0]).verdict for found in rules.by_model()
    }
    assert verdicts["llama3:70b", 24] is Fits.NO
    assert verdicts["mixtral:8x7b", 24] is Fits.NO
    assert verdicts["llama3:8b", 8] is verdicts["falcon:40b", 48] is verdicts["llama2:13b", 16] is Fits.FITS
    assert len(verdicts) == 11


def test_explain_fit_prints_rules_and_words_in_80_columns():
    text = explain_fit()
    for word in ("x 4 bytes x 1.2", "3B-7B", "3.5 times smaller", "RAM for a CPU", "falcon:40b", "header", *Fits):
        assert word in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    "name", ["llama3:70b", "ollama/llama3:70b", "Llama 3 70B Instruct", "llama3:70b-instruct-q4_0"]
)
def test_explain_fit_takes_a_model(name):
    text = explain_fit(name)
    assert "70.55 billion parameters" in text
    assert "315.4 to 394.2 GiB" in text
    assert "flow chart" in text
    assert max(map(len, text.splitlines())) <= 80


def test_every_model_of_3b_and_more_has_a_class():
    assert rules.class_of(BY_PULL["mixtral:8x7b"]) == ("70B+", 40)
    classes = [rules.class_of(model) for model in catalogue() if model.parameters > 2.5e9]
    assert {gb for _, gb in classes} == {8, 16, 24, 40}
    assert rules.class_of(BY_PULL["gemma3:270m"]) is None


def test_explain_fit_says_what_it_means():
    text = explain_fit("llama3:70b")
    assert "By the catalogue, with 8192" in text
    assert "not whole" in text
    assert "Exact" not in text
    assert all(line.count("verdict") == 2 for line in explain_fit().splitlines() if "8192  " in line)


def test_a_rule_is_held_only_against_what_it_is_about():
    tiny = explain_fit("gemma3:270m")
    assert "3B-7B" not in tiny
    assert "third of FP16" not in tiny, "it is pulled in 8 bits"
    assert "begins with 3B" in tiny
