"""`arena fit`: named models to the byte, well-known ones by the catalogue, and what would make the rest fit."""

from __future__ import annotations

import importlib.util
import json

import pytest
from click.testing import CliRunner

from arena.cli.commands import main_group
from arena.core.errors import ArenaError

needs_engine = pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is missing")


def fit(*arguments):
    done = CliRunner().invoke(main_group, ["fit", *arguments], catch_exceptions=False, standalone_mode=False)
    return done.stdout


def fit_json(*arguments):
    return json.loads(fit(*arguments, "--json"))


def test_a_well_known_model_need_not_be_here():
    (found,) = fit_json("llama3.1:8b", "--gpu", "24GB")["models"]
    assert (found["verdict"], found["method"]) == ("fits", "catalogue")
    # FIT.md 1.3: the stock Q4_K_M of Llama 3.1 8B has 4685.30 MiB, of which the token table stays in RAM
    assert 4300 << 20 < found["parts"]["weights"] < 4686 << 20
    assert found["sigma_bytes"] > 0


def test_the_quantization_in_a_name_counts():
    small, large = fit_json("llama3.1:8b", "llama3.1:8b-instruct-q8_0", "--gpu", "24GB")["models"]
    assert large["parts"]["weights"] > 1.5 * small["parts"]["weights"]


def test_what_does_not_fit_comes_with_what_would_make_it():
    text = fit("llama3:70b", "--gpu", "24GB")
    assert "What would make catalogue/llama3:70b fit:" in text
    (found,) = fit_json("llama3:70b", "--gpu", "24GB")["models"]
    assert found["verdict"] == "partial"
    assert found["levers"]
    assert all(lever["saves_bytes"] > 0 for lever in found["levers"])


def test_what_fits_needs_no_lever():
    (found,) = fit_json("gemma3:1b", "--gpu", "24GB")["models"]
    assert found["levers"] == []


def test_together_says_where_each_goes():
    found = fit_json("qwen3:14b", "gemma3:12b", "--together", "--gpu", "12GB,16GB")["together"]
    assert found["verdict"] == "fits"
    assert sorted(found["placement"].values()) == ["gpu 0", "gpu 1"]
    alone = fit_json("qwen3:14b", "gemma3:12b", "--together", "--gpu", "12GB")["together"]
    assert "gpu 0" not in alone["placement"].values(), "both on one of 12 GB they are not"


@needs_engine
@pytest.mark.engine
def test_a_named_file_is_planned_by_llama_cpp_itself():
    (found,) = fit_json("demo/large")["models"]
    assert found["method"] == "exact"
    assert found["parts"]["kv"] == 2_359_296  # 2.25 MiB, as llama.cpp prints it


def test_all_that_is_here_is_judged_by_headers():
    assert {found["method"] for found in fit_json()["models"]} == {"header"}


def test_every_model_keeps_the_name_that_it_was_asked_for_by():
    asked = ("llama3.1:8b-q8_0", "llama3.1:8b")
    found = fit_json(*asked, "--together", "--gpu", "24GB")
    assert [model["model"] for model in found["models"]] == [f"catalogue/{name}" for name in asked]
    assert [model["quantization"] for model in found["models"]] == ["Q8_0", "Q4_K_M"]
    assert len(found["together"]["placement"]) == 2
    assert found["together"]["placements"] == ["gpu 0", "gpu 0"]
    twice = fit_json("llama3.1:8b", "llama3.1:8b", "--together", "--gpu", "24GB")["together"]
    assert twice["placements"] == ["gpu 0", "gpu 0"]


def test_what_fits_comes_first_and_the_largest_of_that():
    text = fit("deepseek-v3", "llama3.1:8b-q8_0", "llama3:70b", "llama3.1:8b", "--gpu", "24GB")
    found = [line.split()[:3] for line in text.splitlines() if line.startswith("catalogue/")]
    assert [(quant, verdict) for _, quant, verdict in found] == [
        ("Q8_0", "fits"), ("Q4_K_M", "fits"), ("Q4_0", "partial"), ("Q4_K_M", "no"),
    ]  # fmt: skip
    assert "How that is known: catalogue." in text


def test_nothing_is_promised_where_nothing_makes_it_fit():
    text = fit("deepseek-v3", "--gpu", "24GB")
    assert "Nothing makes catalogue/deepseek-v3 fit here; these help:" in text
    assert "What would make" not in text


def test_what_the_figures_leave_out_is_said():
    assert "looks at images is not counted" in fit("gemma4:12b", "--gpu", "24GB")
    (found,) = fit_json("anyone/llama3:8b", "--gpu", "24GB")["models"]
    assert "what 'anyone' has may differ" in found["note"]
    assert found["model"] == "catalogue/anyone/llama3:8b"


LONG = ("llama3.1:8b-instruct-q6_K_L", "hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q8_0", "mixtral:8x22b", "demo/small")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("llama3.1:8b", "mistral:7b", "--gpu", "8GB"),
        ("llama3:70b", "--together"),
        (*LONG, "--together", "--gpu", "8GB,24GB"),
    ],
)
def test_it_fits_into_80_columns(arguments):
    assert max(map(len, fit(*arguments).splitlines())) <= 80


@pytest.mark.parametrize("name", ["nonsense:4b", "demo/huge", "nowhere/x"])
def test_an_unknown_name_is_said(name):
    with pytest.raises(ArenaError) as caught:
        fit(name)
    assert name.partition("/")[0].split(":")[0] in caught.value.sentence
    assert caught.value.hint
