"""From a real load to the table of `arena fit --check`: measured, stored, learnt from, and silent about open rounds."""

from __future__ import annotations

import importlib.util
import json
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import gguf_files as files
from arena.backends.llamacpp import LlamaCppBackend
from arena.cli.commands import main_group
from arena.cli.loads import NOTHING, as_json, as_text
from arena.config import load as settings_of
from arena.core.loads import ALL_LAYERS, RAM, Load, LoadFacts
from arena.core.machine import MIB, Fits
from arena.core.models import Contestant, ModelInfo, ModelRef, Sampling
from arena.core.prompts import Prompt
from arena.core.rounds import Pace, Round, RoundState, Schedule, Seat
from arena.hardware.host import HostReader
from arena.hardware.nvidia import NvidiaReader
from arena.hardware.probe import MachineProbe
from arena.store.ledger import SqliteLedger
from arena.wiring import Arena
from nvml_cards import NOT_SUPPORTED, Nvml

needs_engine = pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is missing")
FACTS = LoadFacts(os.getpid(), ALL_LAYERS, "CUDA 0.3.36")
DIGEST = "cd" * 16


def probe_of(nvml):
    return MachineProbe(NvidiaReader(nvml), HostReader(), others=())


@pytest.fixture
def model(tmp_path):
    path = files.write_gguf(tmp_path / "model.gguf", *files.llama_like())
    return ModelInfo(ModelRef("gguf", "model", DIGEST), location=str(path), size_bytes=path.stat().st_size)


def held(mib, pid=None, cards=1, **faults):
    return Nvml(cards, running={"Compute": [(pid or os.getpid(), None if mib is None else mib * MIB)]}, **faults)


def test_a_load_on_a_gpu_is_measured_and_believed_the_next_time(model):
    nvml = held(0)
    probe = probe_of(nvml)
    before = probe.fit(model, probe.read(), context=4096)
    took = before.need_bytes + 25 * MIB
    nvml.running["Compute"] = [(os.getpid(), took), (1, 5 * MIB)]
    found = probe.measure(model, FACTS, context=4096)
    assert (found.device, found.device_name, found.measured_bytes) == ("gpu:GPU-0", "Card 0", took)
    assert (found.predicted_bytes, found.predicted_sigma_bytes) == (before.need_bytes, before.sigma_bytes)
    assert found.buffers_bytes == before.need_bytes - before.parts.overhead
    assert (found.method, found.difference_bytes, found.gpu_layers) == (before.method, 25 * MIB, ALL_LAYERS)
    probe.learn([found])
    after = probe.fit(model, probe.read(), context=4096)
    assert (after.method, after.need_bytes) == ("measured", took)
    assert after.sigma_bytes < before.sigma_bytes
    longer = probe.fit(model, probe.read(), context=8192)
    assert longer.method == before.method
    assert longer.parts.overhead == before.parts.overhead + 25 * MIB, "the overhead is the same for every context"
    again = probe.measure(model, FACTS, context=4096)
    assert (again.method, again.difference_bytes, again.buffers_bytes) == ("measured", 0, found.buffers_bytes)
    assert probe.together([model], probe.read(), context=4096).need_bytes == took


@pytest.mark.parametrize("nvml", [held(None), held(4000, pid=1), held(0), held(4000, init=NOT_SUPPORTED)])
def test_where_the_driver_does_not_tell_nothing_is_measured(model, nvml):
    assert probe_of(nvml).measure(model, FACTS, context=4096) is None


def test_a_model_over_two_cards_is_one_row_that_teaches_nothing(model):
    probe = probe_of(held(2600, cards=2))
    found = probe.measure(model, FACTS, context=4096)
    assert (found.device, found.device_name) == ("gpu:GPU-0+gpu:GPU-1", "Card 0 + Card 1")
    assert found.measured_bytes == 5200 * MIB
    alone = probe.fit(model, probe.read(), context=4096)
    assert found.predicted_bytes > alone.need_bytes
    probe.learn([found])
    assert probe.fit(model, probe.read(), context=4096) == alone


def test_a_part_of_the_layers_is_held_against_that_part(model):
    found = probe_of(held(2000)).measure(model, replace(FACTS, gpu_layers=12), context=4096)
    assert found.gpu_layers == 12
    assert found.predicted_bytes < 3000 * MIB


def test_without_a_gpu_the_memory_of_the_process_is_measured(model):
    probe = probe_of(Nvml(0))
    found = probe.measure(model, replace(FACTS, gpu_layers=0, build="CPU build 0.3.36"), context=4096)
    assert (found.device, found.gpu_layers) == (RAM, 0)
    assert 0 < found.measured_bytes < found.predicted_bytes
    before = probe.fit(model, probe.read(), context=4096)
    probe.learn([found])
    assert probe.fit(model, probe.read(), context=4096).need_bytes == before.need_bytes
    assert before.verdict is not Fits.UNKNOWN
    assert probe.measure(model, replace(FACTS, gpu_layers=0, pid=2**22 + 7), context=4096) is None, "it is gone"


def a_load(minute, name="model", **facts):
    known = {"context": 4096, "kv_type": "f16", "gpu_layers": 0, "method": "header", "runtime": "embedded"}
    sizes = {"predicted_bytes": 70 * MIB, "predicted_sigma_bytes": 30 * MIB, "buffers_bytes": 10 * MIB}
    known |= {"measured_bytes": 60 * MIB, "build": "CPU build 0.3.36", "device": RAM, "device_name": ""} | sizes
    return Load(f"2026-03-01T00:{minute:02d}:00.000+00:00", ref=ModelRef("demo", name, DIGEST), **known | facts)


def a_round(at):
    seats = tuple(Seat(index, Contestant(ModelRef("demo", name)), index) for index, name in enumerate("xy"))
    facts = {"schedule": Schedule.TURN, "pace": Pace.EVEN, "blind": True, "propensity": None}
    return Round("r1", Prompt("Hello?"), seats, Sampling(), created_at=at, **facts)


def test_the_store_keeps_loads_newest_first(tmp_path):
    with SqliteLedger(tmp_path / "arena.db") as ledger:
        assert ledger.loads() == ledger.open_loads() == []
        past = [a_load(minute, "a\0\udfff" if minute == 2 else "b") for minute in range(5)]
        for each in past:
            ledger.note_load(each)
        assert [each.at for each in ledger.loads(3)] == [each.at for each in past[:1:-1]]
        assert ledger.loads()[0] == past[4]
        assert ledger.loads()[2].ref.name == "a\0\ufffd"


def test_while_a_round_waits_nobody_is_told_which_model_was_loaded_first(tmp_path):
    with SqliteLedger(tmp_path / "arena.db") as ledger:
        for minute, name in ((1, "z"), (2, "c"), (8, "y"), (9, "x"), (9, "y")):
            ledger.note_load(a_load(minute, name))
        before = ledger.open_loads()
        assert before == ledger.loads()
        ledger.open_round(a_round("2026-03-01T00:05:00.000+00:00"))
        told = [(each.at, each.ref.name) for each in ledger.open_loads()]
        assert told[:3] == [("2026-03-01", "x"), ("2026-03-01", "y"), ("2026-03-01", "y")]
        assert told[3:] == [(each.at, each.ref.name) for each in before[3:]]
        assert [each.ref.name for each in ledger.loads()] == [each.ref.name for each in before]
        ledger.close_round("r1", RoundState.VOID)
        assert ledger.open_loads() == before


def test_the_table_says_what_figures_of_ram_mean():
    assert as_text([]) == NOTHING
    text = as_text([a_load(1), a_load(2, device="gpu:x", device_name="Card 0", measured_bytes=80 * MIB)])
    assert "demo/model" in text
    assert "-10 MiB" in text
    assert "-16.7 %" in text
    assert "+10 MiB" in text
    assert "Card 0" in text
    assert "lower bound" in text
    assert "lower bound" not in as_text([a_load(2, device="gpu:x", device_name="Card 0")])
    assert "Only the day" in as_text([replace(a_load(1), at="2026-03-01")])
    assert "Only the day" not in text


def test_json_has_everything():
    (row,) = as_json([a_load(1)])["loads"]
    assert (row["model"], row["difference_bytes"], row["difference_percent"]) == ("demo/model", -10 * MIB, -16.67)
    assert {"at", "device", "build", "context", "kv_type", "predicted_bytes", "predicted_sigma_bytes"} <= set(row)


def test_nothing_is_no_fault(tmp_path):
    done = CliRunner().invoke(main_group, ["fit", "--check", "--db", str(tmp_path / "arena.db")])
    assert (done.exit_code, done.output) == (0, NOTHING + "\n")


def test_what_fits_is_said_without_making_a_database(tmp_path):
    path = tmp_path / "arena.db"
    done = CliRunner().invoke(main_group, ["fit", "demo/small", "--db", str(path)])
    assert done.exit_code == 0, done.output
    assert not path.exists()


def test_what_fits_is_said_where_the_database_is_none(tmp_path):
    path = tmp_path / "arena.db"
    path.write_bytes(b"no database")
    done = CliRunner().invoke(main_group, ["fit", "demo/small", "--db", str(path)])
    assert done.exit_code == 0, done.output


@needs_engine
@pytest.mark.engine
def test_a_real_load_is_stored_and_printed(tmp_path):
    db = tmp_path / "arena.db"
    arena = Arena(settings_of(db=db))
    try:
        info = arena.lineup.find("demo/small").result()
        arena.lineup.try_model(info, Prompt("What is 2 + 3?")).result()
        arena.watch.machine().result()  # the watch does one thing after another
    finally:
        arena.close()
    done = CliRunner().invoke(main_group, ["fit", "--check", "--json", "--db", str(db)])
    (row,) = json.loads(done.output)["loads"]
    assert (row["model"], row["digest"]) == ("demo/small", info.ref.digest)
    assert row["build"].split()[-1].count(".") >= 2
    assert row["predicted_bytes"] > 0
    assert row["measured_bytes"] > 0
    shown = CliRunner().invoke(main_group, ["fit", "--check", "demo/small", "--db", str(db)])
    assert "demo/small" in shown.output
    assert CliRunner().invoke(main_group, ["fit", "--check", "demo/large", "--db", str(db)]).output == NOTHING + "\n"


@needs_engine
@pytest.mark.engine
async def test_the_backend_tells_of_a_load_once():
    import arena.demo

    told = []
    backend = LlamaCppBackend(Path(arena.demo.__file__).parent, on_load=lambda *facts: told.append(facts))
    info = await backend.find(ModelRef("demo", "small"))
    contestant = Contestant.of(info, Sampling())
    await backend.prepare(contestant)
    await backend.prepare(contestant)
    (worker,) = backend._workers.values()
    (found,) = told
    await backend.close()
    assert found[:2] == (info, contestant)
    assert (found[2].pid, found[2].gpu_layers) == (worker.pid, worker.gpu_layers)


class Scripted(MachineProbe):
    """Measures what it is told, or fails."""

    fault = None
    learnt = ()

    def measure(self, info, facts, *, context, kv_type="f16"):  # noqa: ARG002
        if self.fault:
            raise self.fault
        return a_load(7, info.ref.name, context=context)

    def learn(self, loads):
        self.learnt = tuple(loads)
        super().learn(loads)


def test_what_was_measured_is_stored_and_learnt_from_at_once(tmp_path):
    probe = Scripted()
    with SqliteLedger(tmp_path / "arena.db") as ledger:
        ledger.note_load(a_load(1, "old", build="CPU build 0.0.0"))
        ledger.note_load(a_load(2, "served", runtime="ollama", build="1"))
    arena = Arena(settings_of(db=tmp_path / "arena.db"), [], probe)
    info = ModelInfo(ModelRef("demo", "new"))
    arena._note_load(info, Contestant.of(info, Sampling()), FACTS)
    arena.watch.machine().result()
    assert [load.ref.name for load in arena.loads().result()] == ["new", "served", "old"]
    assert [load.ref.name for load in probe.learnt] == ["new", "served"], "another version has buffers of its own"
    arena.close()
    arena._note_load(info, Contestant.of(info, Sampling()), FACTS)  # too late, and no matter


def test_a_fault_while_measuring_is_a_note_and_nothing_else(tmp_path):
    probe = Scripted()
    probe.fault = ValueError("no such thing")
    arena = Arena(settings_of(db=tmp_path / "arena.db"), [], probe)
    info = ModelInfo(ModelRef("demo", "new"))
    arena._note_load(info, Contestant.of(info, Sampling()), FACTS)
    assert any("no such thing" in note for note in arena.watch.machine().result().notes)
    assert arena.loads().result() == []
    arena.close()


def test_a_fault_while_storing_is_a_note_too(tmp_path):
    arena = Arena(settings_of(db=tmp_path / "arena.db"), [], Scripted())
    arena.loads().result()
    with closing(sqlite3.connect(tmp_path / "arena.db")) as conn, conn:
        conn.execute("DROP TABLE loads")
    info = ModelInfo(ModelRef("demo", "new"))
    arena._note_load(info, Contestant.of(info, Sampling()), FACTS)
    arena.watch.machine().result()
    arena._desk.do(lambda ledger: ledger.path).result()
    assert any("could not be kept" in note for note in arena.watch.machine().result().notes)
    arena.close()
