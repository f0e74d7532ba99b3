"""What a model needs, as llama.cpp itself plans it: a child process opens the file without reading its weights.

Weights, cache and state are what a real load takes, to the byte. The compute buffer is that of a build for CPUs; what
a GPU has otherwise (no token table, an unpacked copy of a quantized cache) is taken from the formulas of
`arena.hardware.fit.header`. What the driver takes for itself stays an estimate.

Sources: llama.h (`no_alloc`), common/fit.cpp, which asks in the same way; llama-cpp-python 0.3.36.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from arena.core.errors import ArenaError
from arena.core.gguf import FILE_TYPES, read_header
from arena.core.text import clean_line
from arena.hardware.fit.estimate import Need, Setting
from arena.hardware.fit.header import HeaderEstimate, compute_bytes, kv_bytes

_MODULE = "arena.hardware.fit.dry_run_worker"
_GGML_TYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "iq4_nl": 20, "bf16": 30}
_TIMEOUT_S = 60.0
_PATIENCE_S = 3.0
"""For a verdict that somebody waits for: after that the formula answers."""
_GRACE_S = 2.0
_DYING_S = 0.5
"""A process that hangs in the kernel outlives its end; nobody waits for that."""
_ROUNDING_BYTES = 64 << 10
"""llama.cpp prints hundredths of MiB, a line per cache."""
_INSTALL = 'Install it with: pip install "local-arena[embedded]"'
_GO_ON = "The estimate from its header is used instead."


@dataclass(frozen=True, slots=True)
class DryRunResult:
    """What llama.cpp plans for one model in one setting, all of it in RAM. Bytes."""

    weights: int
    parameters: int
    kv: int
    recurrent: int
    compute: int


class DryRun:
    """Asks a child process, which starts with the first question. May be asked from several threads.

    The first question takes about a second, the first about a file up to another (its tokenizer is read), later ones
    10 to 60 ms; what was asked before is remembered, refusals included: a setting that makes llama.cpp abort or hang
    costs one child, not one per reading.
    """

    def __init__(self, timeout_s: float = _TIMEOUT_S) -> None:
        """`timeout_s`: how long an answer is waited for; then the child is ended."""
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._asked_s: float | None = None
        """When the question began that is being asked, on the monotonic clock."""
        self._closed = False
        self._child: _Child | None = None
        self._known: dict[tuple[object, ...], DryRunResult | _RefusedError] = {}
        self._late: set[tuple[object, ...]] = set()
        """Files that made the child hang."""

    def need(self, path: str | Path, setting: Setting, patience_s: float | None = None) -> DryRunResult:
        """What the model in that file takes. Raises ArenaError when that can't be found out, or not that soon."""
        return self.needs(path, [setting], patience_s)[0]

    def needs(self, path: str | Path, settings: list[Setting], patience_s: float | None = None) -> list[DryRunResult]:
        """The same for several settings in one question. Raises ArenaError."""
        path = Path(path)
        stamp = _stamp(path)
        # what is known waits for no other question
        if any((stamp, setting) not in self._known for setting in settings):
            if patience_s is not None and stamp in self._late:
                raise ArenaError(f"llama.cpp took too long to look at '{clean_line(path.name)}'.", _GO_ON)
            with self._turn(patience_s) as limit_s:
                self._plan(path, stamp, settings, limit_s)
        return [self._told(stamp, setting) for setting in settings]

    def quantized(self, path: str | Path, quantization: str) -> dict[str, str]:
        """The type that each tensor of an F16 model would get, by name; '' where it stays. Raises ArenaError."""
        number = next(number for number, name in FILE_TYPES.items() if name == quantization.upper())
        with self._turn() as limit_s:
            answer = self._ask(Path(path), limit_s, op="quantize", path=str(path), type=number)
        return {name: kind.upper() for name, kind in answer["types"].items()}

    def close(self) -> None:
        """Ask nothing any more, and end the child: whoever waits for its answer gets an ArenaError at once."""
        self._closed = True
        self._end()  # without the lock, which is held as long as the child is asked

    @contextlib.contextmanager
    def _turn(self, patience_s: float | None = None) -> Iterator[float]:
        """Be the only one who asks; gives how long the answer may take. Raises ArenaError after too long a wait.

        A question that has run for longer than `patience_s` hangs, and is not waited for at all.
        """
        limit_s = self._timeout_s if patience_s is None else min(patience_s, self._timeout_s)
        began, wait_s = self._asked_s, limit_s
        if patience_s is not None and began is not None:
            wait_s = max(0.0, began + limit_s - time.monotonic())
        if not self._lock.acquire(timeout=wait_s):
            raise ArenaError("llama.cpp is busy with another model.", _GO_ON)
        try:
            self._asked_s = time.monotonic()
            yield limit_s
        finally:
            self._asked_s = None
            self._lock.release()

    def _plan(self, path: Path, stamp: tuple[object, ...], settings: list[Setting], limit_s: float) -> None:
        """Ask what is not known yet. Raises ArenaError."""
        new = [setting for setting in dict.fromkeys(settings) if (stamp, setting) not in self._known]
        if not new:
            return
        asked = [context_params(setting) for setting in new]
        try:
            answer = self._ask(path, limit_s, op="plan", path=str(path), contexts=asked)
        except _RefusedError as fault:
            if not self._closed:
                # of several settings, nobody says which one it was
                self._known.update({(stamp, setting): fault for setting in new} if len(new) == 1 else {})
                self._late.update({stamp} if isinstance(fault, _LateError) else ())
            raise
        for setting, sizes in zip(new, answer["contexts"], strict=True):
            found = DryRunResult(weights=answer["weights"], parameters=answer["parameters"], **sizes)
            self._known[stamp, setting] = found

    def _told(self, stamp: tuple[object, ...], setting: Setting) -> DryRunResult:
        found = self._known[stamp, setting]
        if isinstance(found, _RefusedError):
            raise ArenaError(found.sentence, found.hint)
        return found

    def _ask(self, about: Path, limit_s: float, **order: object) -> dict[str, Any]:
        if not self._closed and self._child is None:
            self._child = _Child.start()
        child = self._child
        if self._closed or child is None:  # perhaps only now, and `close` did not see that child
            self._end()
            raise ArenaError("llama.cpp is not asked any more.", _GO_ON)
        try:
            return child.ask(order, limit_s, clean_line(about.name))
        except _ChildGoneError:
            self._end()
            raise

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end()


class _RefusedError(ArenaError):
    """What the child would say, or not say, the next time, too."""


class _ChildGoneError(_RefusedError):
    """The child can't be asked any more."""


class _LateError(_ChildGoneError):
    """It hangs, or is too slow."""


class _Child:
    """The process, and threads that read what it writes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process, self._number = process, 0
        self._answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._ended = False
        self._stderr: deque[str] = deque(maxlen=20)
        self._readers = [threading.Thread(target=each, daemon=True) for each in (self._listen, self._drain)]
        for reader in self._readers:
            reader.start()

    @classmethod
    def start(cls) -> _Child:
        """Raises ArenaError where llama-cpp-python is missing or no process can be started."""
        if importlib.util.find_spec("llama_cpp") is None:
            raise ArenaError("The embedded engine, llama-cpp-python, is not installed.", _INSTALL)
        # With a GPU in sight it would take hundreds of MiB of it for itself, and plan for that very card.
        hidden = {"CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": "", "GGML_NO_BACKTRACE": "1"}
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", _MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **hidden},
                start_new_session=True,
            )
        except OSError as fault:
            raise ArenaError(f"No process could be started: {fault.strerror}.", _GO_ON) from fault
        return cls(process)

    def ask(self, order: dict[str, object], timeout_s: float, name: str) -> dict[str, Any]:
        """One question, one answer. Raises ArenaError, and _ChildGoneError when the child must not be asked again."""
        self._number += 1
        line = json.dumps({"id": self._number, **order}).encode() + b"\n"
        with contextlib.suppress(OSError, ValueError):  # then it is gone, and its last words are read below
            self._process.stdin.write(line)  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]
        try:
            answer = self._answers.get(timeout=timeout_s)
        except queue.Empty:
            raise _LateError(f"llama.cpp took too long to look at '{name}'.", _GO_ON) from None
        if self._ended:
            raise _ChildGoneError(f"llama.cpp was ended while it looked at '{name}'.", _GO_ON)
        if answer is None:
            raise _ChildGoneError(f"llama.cpp gave up on '{name}': {self._reason()}.", _GO_ON)
        if answer.get("kind") == "import":
            raise _ChildGoneError("The embedded engine, llama-cpp-python, can't be loaded.", _INSTALL)
        if "error" in answer:
            why = clean_line(answer["error"], 160).rstrip(".")
            raise _RefusedError(f"llama.cpp can't plan for '{name}': {why}.", _GO_ON)
        return answer

    def end(self) -> None:
        """End the process, which has nothing to lose, and let go whoever waits for it. Any thread may do so."""
        self._ended = True
        self._process.kill()
        self._answers.put(None)
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.close()  # type: ignore[union-attr]
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_DYING_S)
        for reader, pipe in zip(self._readers, (self._process.stdout, self._process.stderr), strict=True):
            reader.join(_DYING_S)
            if pipe is not None and not reader.is_alive():  # closing waits for whoever reads
                pipe.close()

    def _listen(self) -> None:
        with contextlib.suppress(ValueError):  # a line that broke off
            for line in self._process.stdout or ():
                self._answers.put(json.loads(line))
        self._answers.put(None)

    def _drain(self) -> None:
        self._stderr.extend(line.decode("utf-8", "replace").strip() for line in self._process.stderr or ())

    def _reason(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        self._readers[1].join(_GRACE_S)
        told = next((line for line in self._stderr if "GGML_ASSERT" in line or "error" in line), "")
        words = told.rsplit(": ", 1)[-1] if told else f"exit code {self._process.returncode}"
        return clean_line(words, 160).rstrip(".")


@dataclass(frozen=True, slots=True)
class DryRunEstimate:
    """The needs of a model in a file, as llama.cpp plans them, placed on devices by the formulas."""

    path: Path
    formula: HeaderEstimate
    dry_run: DryRun
    method: str = "exact"

    @classmethod
    def of(
        cls,
        path: str | Path,
        dry_run: DryRun,
        setting: Setting | None = None,
        formula: HeaderEstimate | None = None,
    ) -> DryRunEstimate:
        """Raises ArenaError when the header can't be read, or llama.cpp can't plan for that setting: ask the header.

        `formula` is what its header gives, for those who have read it already.
        """
        path = Path(path)
        found = cls(path, formula or HeaderEstimate.of(read_header(path)), dry_run)
        dry_run.need(path, setting or Setting(4096))
        return found

    @property
    def trained(self) -> int | None:
        """The longest context that the model was trained for, in tokens."""
        return self.formula.trained

    @property
    def layers(self) -> int:
        """Layers, and the output as one more."""
        return self.formula.layers

    def in_ram(self, setting: Setting, *, gpu_layers: int = 0) -> Need:
        """What it takes in RAM when a GPU has the last `gpu_layers` layers."""
        return self._corrected(self.formula.in_ram(setting, gpu_layers=gpu_layers), setting)

    def on_gpu(self, setting: Setting, *, gpu_layers: int | None = None, multiprocessors: int | None = None) -> Need:
        """What it takes on one GPU that gets the last `gpu_layers` layers; None: everything."""
        need = self.formula.on_gpu(setting, gpu_layers=gpu_layers, multiprocessors=multiprocessors)
        return self._corrected(need, setting)

    def _corrected(self, need: Need, setting: Setting) -> Need:
        """What the formulas say, less what they are off by; as they say it where llama.cpp won't plan that setting."""
        try:
            told = self.dry_run.need(self.path, setting, _PATIENCE_S)
        except ArenaError:
            return need
        shape, parts = self.formula.shape, need.parts
        kv = kv_bytes(shape, shape.layers, setting)
        recurrent = setting.slots * sum(layer.state for layer in shape.layers)
        off = told.compute - compute_bytes(shape, setting, on_gpu=False)
        corrected = replace(
            parts,
            weights=_scaled(parts.weights, shape.weights, told.weights),
            kv=_scaled(parts.kv, kv, told.kv),
            recurrent=_scaled(parts.recurrent, recurrent, told.recurrent),
            compute=max(0, parts.compute + off),
        )
        return Need(corrected, need.sigma_bytes)


def context_params(setting: Setting) -> dict[str, int | bool]:
    """A setting in the fields of llama_context_params."""
    runtime = setting.runtime
    kv_type = _GGML_TYPES[setting.kv_type]
    return {
        "n_ctx": setting.cells * setting.slots,
        "n_batch": runtime.batch,
        "n_ubatch": runtime.ubatch,
        "n_seq_max": setting.slots,
        "kv_unified": False,
        "flash_attn_type": int(setting.flash_attention),
        "swa_full": runtime.full_window,
        # 0 is the whole batch; fewer than there are slots makes llama.cpp abort
        "n_outputs_max": 0 if runtime.all_logits else setting.slots,
        "type_k": kv_type,
        "type_v": kv_type,
    }


def _scaled(part: int, formula: int, told: int) -> int:
    """That part of what llama.cpp tells that it is of what the formula says."""
    if abs(told - formula) <= _ROUNDING_BYTES or not formula:
        return part
    return part * told // formula


def _stamp(path: Path) -> tuple[object, ...]:
    try:
        status = path.stat()
    except (OSError, ValueError) as fault:
        raise ArenaError(f"'{clean_line(path.name)}' can't be opened.", "Check the path.") from fault
    return str(path), status.st_size, status.st_mtime_ns
