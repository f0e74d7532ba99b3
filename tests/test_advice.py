"""Which model to use here, and why."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.cli.advice import as_json, as_text, recommendation
from arena.core.advice import Basis, Use, use_of
from arena.core.errors import UsageError
from arena.core.machine import GIB, MIB, Fits, Gpu, Machine
from arena.core.models import ModelInfo, ModelRef
from arena.core.prompts import Prompt
from arena.core.votes import Stage, Verdict
from arena.hardware.fit.advice import advise, bench, usual_use
from arena.hardware.fit.catalogue import USES, catalogue, estimate
from arena.hardware.fit.catalogue_search import READ_PER_TOKEN_BYTES, surely
from arena.hardware.fit.devices import gpus_of, ram, usable
from arena.hardware.fit.estimate import Setting
from arena.hardware.fit.verdict import judge, unknown
from arena.hardware.whatif import parse_gpus
from arena.ratings.board import compute_board
from stage import NAMES as CAST_NAMES
from stage import arena_on

ARENA = [sys.executable, "-m", "arena"]
BY_PULL = {model.pull: model for model in catalogue() if model.pull}


def machine(gpus: str = "", ram_gib: float = 24) -> Machine:
    size = int(ram_gib * GIB)
    return Machine(gpus=parse_gpus(gpus) if gpus else (), ram_total_bytes=size, ram_free_bytes=size)


def here(on: Machine, *pulls: str, endpoint: str = "ollama", **facts):
    """Models of the catalogue as if they were installed, each with its fit."""
    found = []
    for pull in pulls:
        model = BY_PULL[pull]
        info = ModelInfo(ModelRef(endpoint, pull), quantization=model.quants[0], parameters=model.parameters, **facts)
        fit = judge(str(info), estimate(model, model.quants[0]), on, Setting(8192))
        found.append((info, fit if info.local else unknown(str(info), 8192)))
    return found


def ask(gpus: str = "", use: Use | None = None, installed=(), board=None, context=8192, ram_gib: float = 24):
    on = machine(gpus, ram_gib)
    return advise(on, installed, board, catalogue(), use or usual_use(on), context)


def votes(winner: str, *losers: str, times: int = 40):
    """A board on which `winner` beats each of the others that often, and loses a quarter as often."""
    stages = [Stage((winner, loser), (winner,), f"w{i}{loser}") for loser in losers for i in range(times)]
    stages += [Stage((winner, loser), (loser,), f"l{i}{loser}") for loser in losers for i in range(times // 4)]
    return compute_board(stages, {name: name for name in (winner, *losers)})


WORDS = {
    "범용": "general", "코딩": "coding", "추론": "reasoning", "빠른": "quick", "경량": "cpu", "프로덕션": "production",
    "서비스": "production", "한국어": "korean", unicodedata.normalize("NFD", "한국어"): "korean", " Vision ": "vision",
    "빠른 응답": "quick", "개발": "coding", "개발/학습": "coding", "코드  생성": "coding", "챗봇": "general",
    "CPU 환경": "cpu",
}  # fmt: skip


@pytest.mark.parametrize(("word", "use"), WORDS.items())
def test_words_for_a_use(word, use):
    assert use_of(word) is Use(use)


def test_an_unknown_use_gets_the_list():
    with pytest.raises(UsageError) as fault:
        use_of("poetry\x1b[31m")
    assert "reasoning" in fault.value.hint
    assert "코딩" in fault.value.hint
    assert "\x1b" not in str(fault.value)


def test_uses_are_those_of_the_catalogue():
    assert {use.value for use in Use} == USES


@pytest.mark.parametrize(
    ("gpus", "use", "guide", "says"),
    [
        ("24GB", None, "the guide, 24 GB and more: llama3:70b", "partial, 43 layers on the GPU"),
        ("48GB", None, "the guide, 24 GB and more: llama3:70b", "fits"),
        ("16GB", None, "the guide, 16 GB: llama3:13b, which there is not; llama2:13b", "fits"),
        ("8GB", None, "the guide, 8 GB: llama3:8b", "fits"),
        ("6GB", Use.QUICK, "the guide's chart begins with 8 GB", ""),
        ("", None, "the guide, no GPU: phi3:mini", "cpu"),
        ("8GB", Use.CODING, "the guide, mistral:7b", "fits"),
        ("6GB", Use.QUICK, "the guide, gemma:7b", "partial"),
        ("40GB", Use.PRODUCTION, "the guide, 24 GB and more: llama3:70b", "tight"),
        ("24GB", Use.CPU, "the guide, no GPU: phi3:mini", "cpu"),
    ],
)
def test_every_branch_of_the_guides_chart_is_printed_with_the_real_figure(gpus, use, guide, says):
    advice = ask(gpus, use)
    step = next(step for step in advice.path if step.guide.startswith(guide))
    assert says in step.guide
    text = as_text(advice)
    assert " ".join(guide.split()) in " ".join(text.replace("│", " ").split())
    assert max(map(len, text.splitlines())) <= 80


def test_the_way_names_what_is_free():
    text = as_text(ask("24GB", Use.CODING))
    assert text.splitlines()[:2] == [
        "GPU? yes: what if: 24 GiB",
        "└─ VRAM? 23.5 GiB free of 24.0 GiB, 23.0 GiB for models",
    ]
    assert "Use? coding" in text
    assert "Take none of those here; to fetch: arena pull" in text
    assert "GPU? no: models are held against RAM" in as_text(ask())
    assert "not asked about (what if: 24 GiB)" in as_text(ask("24GB", Use.CPU))
    assert "at most 23.0 GiB on one" in as_text(ask("24GB,24GB"))


def test_a_gpu_that_does_not_say_what_is_free_is_none():
    silent = replace(machine(), gpus=(Gpu(0, "Voodoo"),))
    assert usual_use(silent) is Use.CPU
    advice = advise(silent, [], None, catalogue(), Use.GENERAL)
    assert "Voodoo, which does not say what is free: RAM counts" in as_text(advice)
    assert all(pick.fit.verdict is Fits.CPU for pick in advice.catalogue)


@pytest.mark.parametrize("use", Use)
@pytest.mark.parametrize("gpus", ["24GB", "8GB", "2GB", ""])
def test_the_catalogue_is_asked_for_the_use(gpus, use):
    advice = ask(gpus, use)
    assert 1 <= len(advice.catalogue) <= 3
    assert len({pick.maker for pick in advice.catalogue}) == len(advice.catalogue)
    assert advice.fetch == advice.catalogue[0].model
    for pick in advice.catalogue:
        assert pick.basis is Basis.CATALOGUE
        assert pick.licence
        assert pick.fit.context == 8192
        assert f"{pick.fit.need_bytes / GIB:.2f} ± {pick.fit.sigma_bytes / GIB:.2f} GiB" in pick.why
        uses = set(next(model.uses for model in catalogue() if model.name == pick.title))
        assert uses & {use.value, "cpu", "quick"}
        assert "NC" not in pick.licence or use is not Use.PRODUCTION


def test_newer_and_larger_ones_come_first():
    known = [model for model in catalogue() if model.pull in ("llama2:7b", "llama3:8b", "llama3.1:8b", "llama2:13b")]
    different = [replace(model, maker=model.name) for model in known]
    found = advise(machine("24GB"), [], None, different, Use.GENERAL, 4096)
    assert [pick.model for pick in found.catalogue] == ["llama3.1:8b", "llama3:8b", "llama2:13b"]


def test_without_a_gpu_models_are_small_enough_to_be_usable():
    advice = ask()
    assert advice.use is Use.CPU
    for pick in advice.catalogue:
        assert pick.fit.verdict is Fits.CPU
        model = next(model for model in catalogue() if model.name == pick.title)
        share = (model.active_parameters or model.parameters) / model.parameters
        weights = estimate(model, model.quants[0]).in_ram(Setting(8192)).parts.weights
        assert weights * share <= READ_PER_TOKEN_BYTES
        assert "tokens/s" in pick.why
    assert ask(ram_gib=2.5).catalogue
    nothing = ask(ram_gib=0.3)
    assert (nothing.catalogue, nothing.fetch) == ((), "")
    assert "Nothing of the catalogue surely fits" in as_text(nothing)


def test_what_is_pulled_unasked_has_four_bits_or_more():
    assert not {model.quants[0] for model in catalogue()} - {"Q4_0", "Q4_K_M", "MXFP4", "Q8_0", "F16", "BF16"}


def test_a_gpu_with_no_room_leaves_it_to_the_cpu_and_says_so():
    advice = ask("1GB", Use.CODING)
    assert "On the GPU nothing for it surely fits" in advice.catalogue_note
    assert all(pick.fit.device == "ram" for pick in advice.catalogue)


@pytest.mark.parametrize(("context", "expected"), [(8192, "qwen2.5:32b"), (32_768, "qwen2.5:7b")])
def test_there_has_to_be_room_for_the_context_that_is_asked_for(context, expected):
    known = [BY_PULL[pull] for pull in ("qwen2.5:32b", "qwen2.5:7b", "llama2:13b")]  # the last was trained for 4096
    advice = advise(machine("24GB"), [], None, known, Use.GENERAL, context)
    assert (advice.fetch, advice.context) == (expected, context)
    assert [pick.fit.context for pick in advice.catalogue] == [context]
    assert [fit.model for fit in advice.too_large] == (["qwen2.5:32b"] if context > 8192 else [])


def test_those_that_are_too_large_are_named():
    advice = ask("8GB")
    assert advice.too_large
    assert not any(surely(fit) and fit.verdict is Fits.FITS for fit in advice.too_large)
    assert "Before them, but for their size" in as_text(advice)


def test_what_only_completes_is_not_recommended():
    assert not BY_PULL["starcoder2:3b"].chat
    advice = ask("4GB", Use.CODING, context=2048)
    assert advice.fetch == "qwen2.5-coder:1.5b"
    assert "There is room for it in Q8_0 as well" in advice.catalogue[0].why


def test_only_near_misses_are_named_with_what_would_fit_of_them():
    room = sum(device.usable_bytes for device in gpus_of(machine("4GB")))
    near = ask("4GB", Use.CODING, context=2048)
    assert near.too_large
    assert all(fit.need_bytes < 2 * room for fit in near.too_large)
    known = [BY_PULL["qwen2.5:7b"], BY_PULL["llama3.2:3b"]]
    advice = advise(machine("5GB"), [], None, known, Use.GENERAL, 8192)
    assert [fit.model for fit in advice.too_large] == ["qwen2.5:7b"]
    assert advice.too_large_notes[0].startswith("in Q3_K_M it fits, with ")
    assert advice.too_large_notes[0] in " ".join(as_text(advice).split())


def test_what_is_here_is_not_offered_again():
    first = ask("24GB", Use.CODING).fetch
    assert ask("24GB", Use.CODING, here(machine("24GB"), first)).fetch != first
    file = ModelInfo(ModelRef("gguf", "Qwen2.5-Coder-7B-Instruct-Q4_K_M"), quantization="Q4_K_M")
    known = [BY_PULL["qwen2.5-coder:7b"], BY_PULL["mistral:7b"]]
    found = advise(machine("24GB"), [(file, unknown("x", 8192))], None, known, Use.CODING)
    assert [pick.model for pick in found.catalogue] == ["mistral:7b"]


def test_room_is_kept_for_what_looks_at_images():
    whole = machine("24GB")
    assert usable(bench(whole, Use.VISION).gpus[0]) == usable(whole.gpus[0]) - 2 * GIB
    assert "2.0 GiB of each kept free" in as_text(ask("24GB", Use.VISION))


def test_the_largest_that_fits_of_those_that_can_be_reached():
    on = machine("24GB")
    installed = here(on, "llama3:8b", "gemma2:27b", "llama3:70b")
    advice = ask("24GB", installed=installed)
    assert advice.largest.model == "ollama/gemma2:27b"
    assert advice.now == "ollama/gemma2:27b"
    assert "Of 3 models that can be reached, 2 surely fit." in advice.largest_note
    broken = [(replace(info, note="It is broken."), fit) for info, fit in installed]
    assert ask("24GB", installed=broken).largest is None
    assert "No model of this machine" in ask("24GB").largest_note
    large = ask("24GB", installed=here(on, "llama3:70b"))
    assert (large.largest, large.now) == (None, "")


def test_one_on_the_gpu_goes_before_a_larger_one_in_ram():
    on = machine("8GB", ram_gib=64)
    fits = here(on, "llama3:8b") + [
        (info, judge(str(info), estimate(BY_PULL["gemma2:27b"], "Q4_0"), replace(on, gpus=()), Setting(8192)))
        for info, _ in here(on, "gemma2:27b")
    ]
    assert ask("8GB", installed=fits).largest.model == "ollama/llama3:8b"


def test_demo_models_are_toys():
    on = machine("24GB")
    (toy,) = here(on, "gemma2:27b", endpoint="demo")
    alone = ask("24GB", installed=[toy])
    assert alone.largest.model == "demo/gemma2:27b"
    assert alone.now == ""
    assert "toys" in alone.largest_note
    assert ask("24GB", installed=[toy, *here(on, "gemma:2b")]).now == "ollama/gemma:2b"


def test_by_ones_own_votes():
    on = machine("24GB")
    installed = here(on, "llama3:8b", "gemma2:27b", "llama3:70b")
    board = votes("ollama/llama3:70b", "ollama/llama3:8b", "ollama/gemma2:27b")
    advice = ask("24GB", installed=installed, board=board)
    assert advice.by_votes.model in ("ollama/llama3:8b", "ollama/gemma2:27b")
    assert "ollama/llama3:70b" in advice.votes_note
    assert "does not surely fit" in advice.votes_note
    best = ask("48GB", installed=here(machine("48GB"), "llama3:8b", "llama3:70b"), board=board)
    assert best.by_votes.model == best.now == "ollama/llama3:70b"
    line = best.by_votes.standing
    assert f"{line.score:.0f} (95 %: {line.low:.0f} to {line.high:.0f}), {line.status}" in best.by_votes.why
    assert best.votes_note == ""
    gone = ask("24GB", board=board)
    assert gone.by_votes is None
    assert "can't be reached now" in gone.votes_note


def test_a_line_of_the_board_is_of_the_model_whose_address_it_begins_with():
    on = machine("24GB")
    installed = here(on, "llama3:8b", "llama3.1:8b")
    board = votes("ollama/llama3.1:8b temperature=0.2", "ollama/llama3")
    assert ask("24GB", installed=installed, board=board).by_votes.model == "ollama/llama3.1:8b"
    assert ask("24GB", installed=here(on, "llama3:8b"), board=board).by_votes is None


def test_a_model_on_another_machine_can_be_the_best_and_takes_nothing():
    installed = here(machine("8GB"), "llama3:70b", endpoint="desk", local=False)
    advice = ask("8GB", installed=installed, board=votes("desk/llama3:70b", "ollama/llama3:8b"))
    assert advice.by_votes.model == "desk/llama3:70b"
    assert advice.by_votes.fit is None
    assert "another machine" in advice.by_votes.why
    assert advice.largest is None


def test_few_votes_are_too_early():
    on = machine("24GB")
    board = votes("ollama/llama3:8b", "ollama/gemma2:27b", times=2)
    advice = ask("24GB", Use.CODING, here(on, "llama3:8b", "gemma2:27b"), board)
    assert advice.by_votes is None
    assert advice.votes_note.startswith("Too early: 2 votes on prompts tagged coding")
    assert advice.now == "ollama/gemma2:27b"
    assert "not voted" in ask("24GB", board=compute_board([], {})).votes_note


@st.composite
def machines(draw):
    sizes = draw(st.lists(st.integers(512, 96 * 1024), max_size=3))
    gpus = [
        Gpu(
            index,
            "card",
            f"uuid-{index}",
            size * MIB,
            draw(st.none() | st.integers(0, size).map(lambda free: free * MIB)),
            shares_ram=draw(st.integers(0, 7)) == 0,
            drives_display=draw(st.booleans()),
        )
        for index, size in enumerate(sizes)
    ]
    total = draw(st.integers(256, 128 * 1024))
    return Machine(tuple(gpus), total * MIB, draw(st.integers(0, total)) * MIB)


@settings(deadline=None, max_examples=60)
@given(machines(), st.sampled_from(Use), st.sampled_from([256, 8192, 65_536]), st.integers(0, 1 << 30))
def test_nothing_is_called_fitting_that_does_not_fit_with_two_deviations_to_spare(on, use, context, seed):
    rng = random.Random(seed)
    wanted = bench(on, use)
    installed = here(wanted, *rng.sample(sorted(BY_PULL), 3))
    advice = advise(on, installed, None, catalogue(), use, context)
    for pick in filter(None, (advice.largest, *advice.catalogue)):
        fit = pick.fit
        sure = fit.need_bytes + 2 * fit.sigma_bytes
        if fit.device == "ram":
            assert fit.verdict is Fits.CPU
            assert sure <= ram(wanted).usable_bytes
        else:
            assert fit.verdict is Fits.FITS
            assert sure <= sum(max(0, device.usable_bytes) for device in gpus_of(wanted))
            model = next(model for model in catalogue() if pick.model in (model.pull, model.hf, f"ollama/{model.pull}"))
            again = judge(
                "again", estimate(model, model.quants[0], vision=use is not Use.VISION), wanted, Setting(fit.context)
            )
            assert (again.verdict, again.device) == (Fits.FITS, fit.device)
    assert max(map(len, as_text(advice).splitlines())) <= 80


# The program


def arena(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ARENA, *args], capture_output=True, text=True, timeout=120, check=False, encoding="utf-8")


def test_recommend_as_a_script_sees_it(tmp_path):
    db = tmp_path / "arena.db"
    done = arena("recommend", "--gpu", "24GB", "--for", "코딩", "--json", "--db", str(db))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    fields = {"use", "context", "path", "now", "fetch", "by_votes", "votes_note", "largest", "largest_note"}
    assert fields | {"catalogue", "catalogue_note", "too_large", "too_large_notes"} == set(found)
    assert (found["use"], found["context"], found["by_votes"]) == ("coding", 8192, None)
    assert {"question", "answer", "guide"} == set(found["path"][0])
    pick = found["catalogue"][0]
    assert {"model", "basis", "why", "fit", "standing", "quantization", "licence", "released"} <= set(pick)
    assert pick["fit"]["verdict"] == "fits"
    assert pick["fit"]["need_bytes"] + 2 * pick["fit"]["sigma_bytes"] <= pick["fit"]["free_bytes"]
    assert not db.exists(), "a question makes no database"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["recommend", "--for", "poetry"], "no use"),
        (["recommend", "--gpu", "big"], "no size"),
        (["explain", "fit", "hal:9000"], "no model 'hal:9000'"),
        (["explain", "ttft_ms", "llama3:8b"], "the same for every model"),
    ],
)
def test_bad_input_gets_one_sentence_with_a_hint(args, says):
    done = arena(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr


HEAVY = {"textual", "rich", "numpy", "llama_cpp"}
LIGHT = HEAVY | {"psutil", "asyncio", "sqlite_utils"}


@pytest.mark.parametrize(("args", "heavy"), [(["recommend"], HEAVY), (["explain", "fit"], LIGHT)])
def test_only_what_is_needed_is_imported(args, heavy):
    call = (
        f"import sys\nfrom arena.cli import main\nsys.argv = {['arena', *args]}\ntry:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "print('\\n' + ' '.join({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=False, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert not heavy & set(done.stdout.splitlines()[-1].split())


def test_recommend_reads_the_votes_that_there_are(tmp_path):
    with arena_on(tmp_path) as on:
        assert "not voted" in recommendation(on, None, "24GB", None).votes_note
        infos = [on.lineup.find(name).result() for name in CAST_NAMES[:2]]
        view = on.table.deal(Prompt("What is 67 - 26?"), infos).result()
        on.table.play(view.id, lambda _: None).result()
        assert "not voted" in recommendation(on, None, "24GB", None).votes_note
        on.cast(view.id, Verdict.parse("a", 2)).result()
        advice = recommendation(on, "범용", "24GB", 4096)
    assert advice.votes_note.startswith("Too early: 1 vote so far")
    assert advice.context == 4096
    assert advice.largest.model in CAST_NAMES
    json.dumps(as_json(advice))
