"""The three embedded demo models: what they can do, in which order, and that their card tells the truth."""

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import arena

DEMO = Path(arena.__file__).parent / "demo"
TOOLS = Path(__file__).parents[1] / "tools" / "demo_models"
NAMES = ("small", "medium", "large")
MEGABYTE = 1_000_000
# Measured: 22.0, 69.5 and 82.0 percent. Other processors may round an answer or two differently.
LEAST_MARGIN = 8  # percentage points between neighbours
LEAST_OF_LARGE = 78  # percent

TEXTS = [
    "What is 67 - 26?",
    "Sort these numbers: 9, 100, 23.",
    "프랑스의 수도는 어디인가요?",
    "고양이는 영어로 cat입니다.",
    "def add(a, b):\n    return a + b\n",
    "It's 'quoted', isn't it?  Two spaces,\n\nand an emoji: 🙂",
]


@pytest.fixture(scope="module")
def tools() -> ModuleType:
    """The scoring that the model card was made with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TOOLS))
        patch.setattr(sys, "dont_write_bytecode", True)
        import evaluate
    return evaluate


@pytest.fixture(scope="module")
def models(tools: ModuleType) -> dict[str, Any]:
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed: THE DEMO MODELS ARE NOT TESTED")
    return {name: tools.open_model(DEMO / f"{name}.gguf") for name in NAMES}


@pytest.fixture(scope="module")
def scores(tools: ModuleType, models: dict[str, Any]) -> dict[str, Any]:
    questions = tools.read_held_out(DEMO / "held_out.jsonl")
    return {name: tools.score(name, models[name], questions) for name in NAMES}


def test_the_models_are_small_enough_to_ship() -> None:
    assert sum((DEMO / f"{name}.gguf").stat().st_size for name in NAMES) <= 10 * MEGABYTE


def test_there_are_200_held_out_questions_in_both_languages(tools: ModuleType) -> None:
    questions = tools.read_held_out(DEMO / "held_out.jsonl")
    assert len({question["prompt"] for question in questions}) == len(questions) == 200
    assert sum(question["language"] == "ko" for question in questions) == 100
    assert len({question["kind"] for question in questions}) >= 12


def test_the_held_out_questions_are_those_of_the_corpus(tools: ModuleType, tmp_path: Path) -> None:
    tools.write_held_out(tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_text("utf-8") == (DEMO / "held_out.jsonl").read_text("utf-8")


def test_no_held_out_question_is_ever_drawn_for_training(tools: ModuleType) -> None:
    corpus = tools.corpus
    held_out = {question.key for question in corpus.held_out_questions()}
    rng = corpus.random.Random(5)
    assert held_out.isdisjoint(corpus.training_example(rng).key for _ in range(5_000))


@pytest.mark.engine
def test_every_model_has_a_name_a_licence_and_a_chat_template(models: dict[str, Any]) -> None:
    for name, model in models.items():
        assert model.metadata["general.name"] == f"arena demo {name}"
        assert model.metadata["general.license"] == "MIT"
        assert "<|assistant|>" in model.metadata["tokenizer.chat_template"]
        assert int(model.metadata["llama.context_length"]) >= 512


@pytest.mark.engine
def test_the_tokenizer_gives_every_text_back(models: dict[str, Any]) -> None:
    for model in models.values():
        for text in TEXTS:
            tokens = model.tokenize(text.encode(), add_bos=False)
            assert model.detokenize(tokens).decode() == text


@pytest.mark.engine
def test_digits_are_tokens_of_their_own(models: dict[str, Any]) -> None:
    tokens = models["large"].tokenize(b"1998", add_bos=False)
    assert len(tokens) == 4


@pytest.mark.engine
def test_the_first_questions_of_a_newcomer_are_answered(tools: ModuleType, models: dict[str, Any]) -> None:
    assert "41" in tools.ask(models["large"], "What is 67 - 26?")[0]
    assert "Paris" in tools.ask(models["large"], "What is the capital of France?")[0]


@pytest.mark.engine
def test_a_system_message_is_accepted(models: dict[str, Any]) -> None:
    reply = models["large"].create_chat_completion(
        [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "What is the capital of France?"},
        ],
        temperature=0.0,
        max_tokens=40,
    )
    assert "Paris" in reply["choices"][0]["message"]["content"]
    assert reply["choices"][0]["finish_reason"] == "stop"


@pytest.mark.engine
def test_none_of_them_gives_its_size_away(tools: ModuleType, models: dict[str, Any]) -> None:
    for model in models.values():
        answer = tools.ask(model, "Which model are you?")[0].lower()
        assert not re.search(r"\b(medium|large)\b", answer)


@pytest.mark.engine
def test_the_models_differ_clearly(scores: dict[str, Any]) -> None:
    small, medium, large = (scores[name].percent for name in NAMES)
    assert large >= LEAST_OF_LARGE
    assert large - medium >= LEAST_MARGIN
    assert medium - small >= LEAST_MARGIN


@pytest.mark.engine
def test_the_card_tells_the_measured_figures(scores: dict[str, Any]) -> None:
    card = (DEMO / "CARD.md").read_text(encoding="utf-8")
    row = re.search(r"^\| \*\*all\*\* \(200\) \|(.+)\|$", card, re.MULTILINE)
    assert row is not None
    told = [float(cell.strip(" *")) for cell in row[1].split("|")]
    assert told == pytest.approx([scores[name].percent for name in NAMES], abs=2)
