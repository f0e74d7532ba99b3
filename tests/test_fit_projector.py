"""The part of a model that looks at images is a file of its own under Ollama, and is loaded with the model."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import arena.demo
from arena.backends.ollama import OllamaBackend
from arena.core.endpoints import Endpoint, Wire
from arena.core.gguf import read_header
from arena.core.models import ModelInfo, ModelRef
from arena.hardware.estimates import Estimator
from arena.hardware.fit.dry_run import DryRun, DryRunEstimate
from arena.hardware.fit.estimate import Setting
from arena.hardware.fit.header import HeaderEstimate
from arena.hardware.fit.split import pipeline_bytes
from arena.hardware.fit.vision import WithVision
from ollama_server import contract_server
from test_ollama import put

LARGE = Path(arena.demo.__file__).parent / "large.gguf"
DEMO_SETTING = Setting(512)


def test_its_bytes_are_weights_and_its_scratch_memory_is_a_doubt():
    alone = ModelInfo(ModelRef("ollama", "x"), location=str(LARGE), runtime="ollama")
    estimator = Estimator()
    text = estimator.of(alone).on_gpu(DEMO_SETTING)
    whole = estimator.of(replace(alone, projector_bytes=800 << 20)).on_gpu(DEMO_SETTING)
    assert whole.parts.weights - text.parts.weights == 800 << 20
    assert whole.sigma_bytes > text.sigma_bytes


def test_what_batches_under_way_take_of_several_gpus_is_that_of_the_text_model():
    formula = HeaderEstimate.of(read_header(LARGE))
    exact = DryRunEstimate(LARGE, formula, DryRun())
    told = {pipeline_bytes(WithVision(each, 800 << 20), DEMO_SETTING) for each in (formula, exact)}
    assert told == {pipeline_bytes(formula, DEMO_SETTING)}


async def test_ollamas_manifest_tells_how_large_it_is(tmp_path):
    layers = [("model", b"GGUF one"), ("projector", b"GGUF eyes")]
    path = put(tmp_path, "registry.ollama.ai/library/qwen3/8b", layers)
    with contract_server() as server:
        server.models["qwen3:8b"].digest = hashlib.sha256(path.read_bytes()).hexdigest()
        backend = OllamaBackend(Endpoint("ollama", Wire.OLLAMA, server.url), tmp_path)
        found = {info.ref.name: info.projector_bytes for info in await backend.models()}
    assert found == {"qwen3:8b": len(b"GGUF eyes"), "llama3.2:3b": 0}
