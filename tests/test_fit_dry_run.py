"""The formulas against llama.cpp itself, which plans its buffers for skeletons of many architectures.

`python tests/test_fit_dry_run.py [NAME ...]` prints the table of errors for all settings.
"""

import contextlib
import importlib.util
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from arena.core.errors import ArenaError
from arena.core.gguf import read_header
from arena.core.machine import MIB
from arena.core.models import ModelInfo, ModelRef
from arena.hardware.estimates import Estimator
from arena.hardware.fit import dry_run
from arena.hardware.fit.catalogue import catalogue
from arena.hardware.fit.dry_run import DryRun, DryRunEstimate
from arena.hardware.fit.estimate import EMBEDDED, EMBEDDED_AS_IT_COMES, SERVER, Runtime, Setting
from arena.hardware.fit.header import HeaderEstimate, compute_bytes
from arena.hardware.fit.skeleton import GgufSpec, write
from fit_specs import SPECS

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is missing: formulas not cross-checked"
    ),
]

WITHOUT_FLASH = Runtime(flash_attention=False)
SETTINGS = (
    Setting(2048), Setting(8192, "q8_0"), Setting(32768, "q4_0", 4), Setting(131072), Setting(8192, "f16", 2),
    Setting(8192, runtime=EMBEDDED), Setting(131072, "q8_0", runtime=EMBEDDED),
    Setting(8192, runtime=EMBEDDED_AS_IT_COMES), Setting(8192, runtime=WITHOUT_FLASH),
    Setting(8192, runtime=Runtime(ubatch=2048)),
)  # fmt: skip
MORE_SETTINGS = (
    *SETTINGS,
    *(
        Setting(context, kv_type, slots, runtime)
        for context in (2048, 8192, 32768, 131072)
        for kv_type, slots, runtime in (
            ("f16", 1, SERVER), ("q8_0", 1, SERVER), ("q4_0", 4, SERVER), ("f16", 2, SERVER), ("f16", 1, EMBEDDED),
            ("f16", 1, EMBEDDED_AS_IT_COMES), ("q8_0", 1, EMBEDDED_AS_IT_COMES), ("f16", 1, Runtime(ubatch=2048)),
            ("f16", 1, Runtime(ubatch=256)), ("f16", 1, WITHOUT_FLASH), ("f16", 1, Runtime(full_window=True)),
        )
        if runtime.flash_attention or context < 131072
    ),
)  # fmt: skip


def one_of_each():
    """A well-known model of each architecture, and of those that differ by size; a made-up one of the others."""
    kept = {"Mixtral 8x7B Instruct", "Falcon 40B Instruct", "Llama 3.1 70B Instruct", "Qwen2.5 72B Instruct",
            "Llama 3.2 1B Instruct", "Gemma 3 27B", "Gemma 4 26B-A4B", "DeepSeek V3 671B"}  # fmt: skip
    found, seen = {}, set()
    for model in catalogue():
        if model.spec.architecture not in seen or model.name in kept:
            found[model.name] = model.spec
            seen.add(model.spec.architecture)
    return found | {f"small {name}": GgufSpec.of(spec) for name, spec in SPECS.items()}


MODELS = one_of_each()


def can_be(spec, setting):
    """llama.cpp refuses rows that are no whole number of blocks; Phi-3 medium's 10 heads make it abort in 4 slots."""
    width = spec.fields.get("attention.key_length", 128)
    return not setting.quantized or (width % 32 == 0 and spec.fields.get("attention.head_count_kv") != 10)


@pytest.fixture(scope="module")
def run():
    asked = DryRun()
    yield asked
    asked.close()


def errors(run, path, spec, settings):
    """For each setting: (setting, planned, formula), of a skeleton that is written to `path`."""
    header = write(path, spec, "MXFP4" if spec.architecture == "gpt-oss" else "Q4_K_M")
    formula = HeaderEstimate.of(header)
    settings = [setting for setting in settings if can_be(spec, setting)]
    planned = run.needs(path, settings)
    return [(*each, formula.in_ram(each[0]).parts) for each in zip(settings, planned, strict=True)]


def off(planned, parts):
    """Bytes that the formula says more, and what share of the total that is."""
    total = planned.weights + planned.kv + planned.recurrent + planned.compute
    more = parts.total - parts.overhead - total
    return more, more / total


@pytest.mark.parametrize("name", MODELS)
def test_weights_and_cache_to_the_byte_and_the_total_within_two_percent(tmp_path, run, name):
    shares = []
    for setting, planned, parts in errors(run, tmp_path / "x.gguf", MODELS[name], SETTINGS):
        assert parts.weights == planned.weights
        # llama.cpp prints hundredths of MiB, once per cache and, with state, once per slot
        assert parts.kv == pytest.approx(planned.kv, abs=0.011 * setting.slots * MIB)
        assert parts.recurrent == pytest.approx(planned.recurrent, abs=0.011 * setting.slots * MIB)
        more, share = off(planned, parts)
        assert abs(share) < 0.02, (setting, more / MIB)
        shares.append(abs(share))
    assert sum(shares) / len(shares) < 0.005


def test_the_same_model_is_opened_once_and_answers_are_remembered(tmp_path, run):
    path = tmp_path / "x.gguf"
    write(path, MODELS["Llama 3.2 1B Instruct"], "Q8_0")
    first = run.need(path, Setting(2048))
    run._end()
    assert run.need(path, Setting(2048)) == first
    assert run._child is None
    write(path, MODELS["Llama 3.2 1B Instruct"], "Q4_K_M")
    assert run.need(path, Setting(2048)).weights < first.weights


def test_after_closing_only_what_is_known_is_told(tmp_path):
    path, run = tmp_path / "x.gguf", DryRun()
    write(path, MODELS["Llama 3.2 1B Instruct"], "Q8_0")
    first = run.need(path, Setting(2048))
    run.close()
    assert run.need(path, Setting(2048)) == first
    with pytest.raises(ArenaError, match="not asked any more"):
        run.need(path, Setting(4096))
    assert run._child is None


@pytest.fixture
def children(monkeypatch):
    """Every child that is started."""
    seen, start = [], dry_run._Child.start
    monkeypatch.setattr(dry_run._Child, "start", lambda: (seen.append(start()), seen[-1])[1])
    return seen


@pytest.fixture
def hanging(tmp_path, monkeypatch, children):
    """A model that the child never answers about, and the children that were started."""
    (tmp_path / "sleeper.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(dry_run, "_MODULE", "sleeper")
    monkeypatch.setattr(dry_run, "_PATIENCE_S", 0.1)
    write(tmp_path / "x.gguf", MODELS["Llama 3.2 1B Instruct"], "Q4_K_M")
    return tmp_path / "x.gguf", children


def asked(run, path, setting):
    """Ask in another thread; its future, once the child is being asked."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(run.need, path, setting)
    pool.shutdown(wait=False)
    while run._child is None or not run._child._number:
        assert not future.done()
    return future


def test_closing_ends_a_child_that_hangs_and_lets_go_who_waits_for_it(hanging):
    path, children = hanging
    run = DryRun()
    waiting = asked(run, path, Setting(2048))
    run.close()
    with pytest.raises(ArenaError, match="ended"):
        waiting.result(timeout=30)
    assert [child._process.poll() is not None for child in children] == [True]
    with pytest.raises(ArenaError, match="not asked any more"):
        run.need(path, Setting(4096))
    assert len(children) == 1


def test_a_verdict_does_not_wait_for_a_child_that_hangs(hanging):
    path, children = hanging
    run, formula = DryRun(), HeaderEstimate.of(read_header(path))
    estimate = DryRunEstimate(path, formula, run)
    for setting in (Setting(2048), Setting(2048), Setting(4096)):
        assert estimate.in_ram(setting) == formula.in_ram(setting)
    assert len(children) == 1
    assert children[0]._process.poll() is not None


def test_a_verdict_does_not_wait_while_another_question_hangs(hanging):
    path, children = hanging
    run, formula = DryRun(), HeaderEstimate.of(read_header(path))
    waiting = asked(run, path, Setting(2048))
    assert DryRunEstimate(path, formula, run).in_ram(Setting(4096)) == formula.in_ram(Setting(4096))
    assert not waiting.done()
    assert children[0]._process.poll() is None
    run.close()
    assert isinstance(waiting.exception(timeout=30), ArenaError)


def test_a_setting_that_makes_the_child_abort_starts_one_child(tmp_path, children):
    wrong = GgufSpec.of(SPECS["gemma4"] | {"attention.shared_kv_layers": 4})
    write(tmp_path / "wrong.gguf", wrong, "Q4_K_M")
    run, told = DryRun(), []
    for _ in range(3):
        with pytest.raises(ArenaError, match="gave up") as fault:
            run.need(tmp_path / "wrong.gguf", Setting(2048))
        told.append(str(fault.value))
    assert len(children) == len(set(told)) == 1
    run.close()


def test_a_model_is_planned_once_however_often_it_is_sharpened(tmp_path, monkeypatch):
    path, estimator, seen = tmp_path / "x.gguf", Estimator(), []
    write(path, MODELS["Llama 3.2 1B Instruct"], "Q4_K_M")
    info, need = ModelInfo(ModelRef("gguf", "x"), location=str(path)), DryRun.need
    monkeypatch.setattr(dry_run, "read_header", lambda _path: pytest.fail("the header is on the shelf"))
    monkeypatch.setattr(DryRun, "need", lambda *args: (seen.append(args), need(*args))[1])
    for _ in range(3):
        estimator.sharpen(info)
    assert estimator.of(info).method == "exact"
    assert len(seen) == 1
    write(path, MODELS["Llama 3.2 1B Instruct"], "Q8_0")
    assert estimator.of(info).method == "header"
    estimator.sharpen(info)
    assert estimator.of(info).method == "exact"
    estimator.close()


def test_a_model_that_llama_cpp_refuses_is_asked_about_once(tmp_path, monkeypatch):
    path, estimator, seen, ask = tmp_path / "x.gguf", Estimator(), [], dry_run._Child.ask
    monkeypatch.setattr(dry_run._Child, "ask", lambda *args: (seen.append(args), ask(*args))[1])
    wrong = GgufSpec.of(SPECS["gemma4"] | {"attention.shared_kv_layers": 4})
    write(path, wrong, "Q4_K_M")
    info = ModelInfo(ModelRef("gguf", "x"), location=str(path))
    for _ in range(3):
        estimator.sharpen(info)
    assert estimator.of(info).method == "header"
    assert len(seen) == 1
    estimator.close()


def test_a_child_that_aborts_is_one_sentence_and_the_next_question_is_answered(tmp_path, run):
    # the layer whose cache is to be shared does not see everything: an assertion of llama.cpp
    wrong = GgufSpec.of(SPECS["gemma4"] | {"attention.shared_kv_layers": 4})
    write(tmp_path / "wrong.gguf", wrong, "Q4_K_M")
    with pytest.raises(ArenaError, match=r"llama.cpp gave up on 'wrong.gguf': .*GGML_ASSERT") as fault:
        run.need(tmp_path / "wrong.gguf", Setting(2048))
    assert fault.value.hint
    write(tmp_path / "right.gguf", MODELS["Llama 3.2 1B Instruct"], "Q4_K_M")
    assert run.need(tmp_path / "right.gguf", Setting(2048)).parameters > 1e9


def test_files_that_are_no_models(tmp_path, run):
    with pytest.raises(ArenaError, match="can't be opened"):
        run.need(tmp_path / "nothing.gguf", Setting(2048))
    (tmp_path / "text.gguf").write_text("hello")
    with pytest.raises(ArenaError, match=r"can't plan for 'text\.gguf'"):
        run.need(tmp_path / "text.gguf", Setting(2048))


def test_an_answer_is_not_waited_for_forever(tmp_path):
    write(tmp_path / "x.gguf", MODELS["Llama 3.2 1B Instruct"], "Q4_K_M")
    hasty = DryRun(timeout_s=0)
    with pytest.raises(ArenaError, match="took too long"):
        hasty.need(tmp_path / "x.gguf", Setting(2048))
    assert hasty._child is None


def test_without_the_engine_it_says_how_to_get_it(tmp_path, monkeypatch):
    write(tmp_path / "x.gguf", MODELS["Llama 3.2 1B Instruct"], "Q4_K_M")
    monkeypatch.setattr(dry_run.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ArenaError, match="not installed") as fault:
        DryRunEstimate.of(tmp_path / "x.gguf", DryRun())
    assert "pip install" in fault.value.hint


def test_the_child_dies_with_its_parent(tmp_path):
    write(tmp_path / "x.gguf", MODELS["Llama 3.2 1B Instruct"], "Q4_K_M")
    story = (
        "import os, sys\n"
        "from arena.hardware.fit.dry_run import DryRun\n"
        "from arena.hardware.fit.estimate import Setting\n"
        "run = DryRun(); run.need(sys.argv[1], Setting(2048)); print(run._child._process.pid, flush=True); os._exit(9)"
    )
    told = subprocess.run(
        [sys.executable, "-c", story, str(tmp_path / "x.gguf")], capture_output=True, text=True, check=False
    )
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(told.stdout)).wait(timeout=60)


def test_the_estimate_places_what_llama_cpp_plans(tmp_path, run):
    path, setting = tmp_path / "x.gguf", Setting(8192, "q8_0")
    formula = HeaderEstimate.of(write(path, MODELS["Gemma 4 26B-A4B"], "Q4_K_M"))
    exact = DryRunEstimate.of(path, run, setting)
    planned = run.need(path, setting)
    ram, gpu = exact.in_ram(setting).parts, exact.on_gpu(setting).parts
    assert (exact.method, exact.layers, exact.trained) == ("exact", formula.layers, formula.trained)
    assert (ram.weights, ram.compute) == (planned.weights, planned.compute)
    assert ram.kv == formula.in_ram(setting).parts.kv
    shape = formula.shape
    difference = compute_bytes(shape, setting, on_gpu=True) - compute_bytes(shape, setting, on_gpu=False)
    assert gpu.compute - ram.compute == difference
    assert gpu.weights == formula.on_gpu(setting).parts.weights
    halves = exact.on_gpu(setting, gpu_layers=10).parts, exact.in_ram(setting, gpu_layers=10).parts
    assert halves[0].kv + halves[1].kv == ram.kv


def test_what_llama_cpp_does_not_plan_is_left_to_the_formula(tmp_path, run):
    # a head of 80 numbers is no whole number of blocks
    path, refused = tmp_path / "x.gguf", Setting(2048, "q8_0")
    formula = HeaderEstimate.of(write(path, MODELS["EXAONE 3.5 2.4B"], "Q4_K_M"))
    exact = DryRunEstimate.of(path, run, Setting(2048))
    assert exact.on_gpu(refused) == formula.on_gpu(refused)
    with pytest.raises(ArenaError, match="can't plan"):
        DryRunEstimate.of(path, run, refused)


def test_state_is_planned_for_one_slot_and_counted_for_all(tmp_path, run):
    path = tmp_path / "x.gguf"
    write(path, GgufSpec.of(SPECS["granitehybrid"]), "Q4_K_M")
    one, four = run.needs(path, [Setting(8192), Setting(8192, slots=4)])
    assert (four.kv, four.recurrent) == (4 * one.kv, 4 * one.recurrent)


def table(names=()):
    """Print, for each model, how far the formulas are off in all settings."""
    run, path, every = DryRun(), Path("skeleton.gguf"), []
    for name, spec in MODELS.items():
        if names and not any(wanted in name for wanted in names):
            continue
        found = [(*off(planned, parts), setting) for setting, planned, parts in errors(run, path, spec, MORE_SETTINGS)]
        every += [each for each in found if not each[2].runtime.all_logits]
        own = [each for each in found if not each[2].runtime.all_logits]
        worst = max(own, key=lambda each: abs(each[1]))
        whole = max(found, key=lambda each: abs(each[1]))
        mean = sum(abs(share) for _, share, _ in own) / len(own)
        print(  # noqa: T201
            f"{name:32} {spec.architecture:14} mean {mean:.3%}  worst {worst[1]:+.2%} {worst[0] / MIB:+.0f} MiB"
            f"  all logits {whole[1]:+.2%}  {replace(worst[2])}"
        )
    shares = sorted(abs(share) for _, share, _ in every)
    print(f"{len(shares)}: mean {sum(shares) / len(shares):.3%}, p95 {shares[len(shares) * 95 // 100]:.3%}")  # noqa: T201
    path.unlink(missing_ok=True)
    run.close()


if __name__ == "__main__":
    table(sys.argv[1:])
