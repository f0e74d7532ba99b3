"""The parent's side of a worker process: start it, talk to it, and say in words how it died."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from arena.core.errors import SeatError
from arena.core.text import clean_line

_MODULE = "arena.backends.llamacpp_worker"
_LINE_LIMIT = 1 << 20
_GRACE_S = 2.0
_FIT_HINT = "Choose a smaller model or a shorter context; `arena fit` says what fits."
_DAMAGED_HINT = "The file may be damaged, or too new for the installed llama-cpp-python: fetch it again, or update."
_TOO_NEW_HINT = (
    "It is no language model, or too new for the installed llama-cpp-python: update that, or choose another."
)
_REBUILD_HINT = (
    "It was built for another processor, or by a compiler with a fault. "
    'Build it anew: CMAKE_ARGS="-DGGML_NATIVE=OFF" pip install --force-reinstall --no-cache-dir llama-cpp-python'
)
_INSTALL_HINT = 'Install it with: pip install "local-arena[embedded]"'
_TELLING = ("error loading model: ", "failed to initialize the context: ", "ValueError: ")
"""What stands before the reason; what llama.cpp and its Python wrapper say after it only repeats that it failed."""
_NO_GPU = frozenset({"CPU", "BLAS", "RPC", "ZenDNN"})


@dataclass(frozen=True, slots=True)
class Build:
    """What the installed llama.cpp was built for."""

    kinds: tuple[str, ...]
    """Kinds of device, as ggml names them: `CUDA`, `CPU`."""
    offload: bool
    """Whether layers can go to a GPU here and now."""
    system_info: str
    """What llama.cpp says of it, in one line."""

    def __str__(self) -> str:
        """`CUDA`, `Metal`, `Vulkan`, `CPU build`."""
        gpus = ", ".join("Metal" if kind == "MTL" else kind for kind in self.kinds if kind not in _NO_GPU)
        if self.offload:
            return gpus or "GPU build"
        return f"{gpus}, which finds no GPU" if gpus else "CPU build"


@cache
def engine_version() -> str:
    """Which llama-cpp-python is installed: `0.3.36`; '' where there is none."""
    from importlib import metadata  # noqa: PLC0415 - 30 ms, and few ask

    try:
        return metadata.version("llama-cpp-python")
    except metadata.PackageNotFoundError:
        return ""


class Worker:
    """One child process with one model."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Wrap a started process; use `start`."""
        self._process = process
        self._stderr: deque[str] = deque(maxlen=40)
        self._drain = asyncio.create_task(self._read_stderr())
        self.busy = asyncio.Lock()
        """Held while an answer runs: one at a time."""
        self.gpu_layers = 0
        """How many layers were asked to go to the GPU when it was loaded; -1: all."""
        self._path = ""
        self._number = 0
        self._answering = False

    @classmethod
    async def start(cls) -> Worker:
        """Spawn the process. It has its own session, so that Ctrl+C in the terminal reaches only arena."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            _MODULE,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LINE_LIMIT,
            start_new_session=True,
        )
        return cls(process)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.returncode is None

    async def build(self) -> Build:
        """What the engine was built for. Raises SeatError when there is none."""
        await self._send(op="build")
        told = await self._receive()
        return Build(tuple(told["kinds"]), told["offload"], clean_line(told["system_info"], 1000))

    async def load(self, path: str, context: int, kv_type: str = "f16", gpu_layers: int = -1) -> float:
        """Load a GGUF file and warm it up. Returns the load time in ms. Raises SeatError.

        `gpu_layers`: -1 is all; a build for the CPU takes none.
        """
        self._path = path
        await self._send(op="load", path=path, context=context, kv_type=kv_type, gpu_layers=gpu_layers)
        ready = await self._receive()
        self.gpu_layers = ready["gpu_layers"]
        return float(ready["load_ms"])

    async def generate(
        self, messages: Sequence[dict[str, str]], sampling: dict[str, Any], thinking: str = "default"
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The worker's events `start`, `delta`, `done`, as they come. Raises SeatError. Closing it calls it off.

        `messages` are those of `Request`.
        """
        self._number += 1
        await self._send(op="generate", id=self._number, messages=messages, thinking=thinking, sampling=sampling)
        self._answering = True
        try:
            while self._answering:
                yield await self._receive()
        finally:
            if self._answering:
                self._call_off()

    async def settled(self) -> bool:
        """Wait until an answer that was called off has ended. False when that takes too long: end the worker then."""
        try:
            async with asyncio.timeout(_GRACE_S):
                while self._answering:
                    await self._receive()
        except (SeatError, TimeoutError):
            return not self._answering and self.alive
        return self.alive

    async def stop(self) -> None:
        """End the process, gently first. Its memory returns with it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(_GRACE_S):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        await asyncio.wait({self._drain})

    def _call_off(self) -> None:
        """Cancel between two tokens. Nothing is waited for here: whoever calls off must not be held up."""
        if self._process.stdin is not None and self.alive:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._process.stdin.write(json.dumps({"op": "cancel", "id": self._number}).encode() + b"\n")

    async def _send(self, **order: object) -> None:
        if self._process.stdin is None or not self.alive:
            raise await self._death()
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise await self._death() from None

    async def _receive(self) -> dict[str, Any]:
        """The next event of the answer at hand. Raises SeatError for an `error` event and when the process is gone."""
        assert self._process.stdout is not None  # noqa: S101 - it was started with pipes
        while True:
            line = await self._process.stdout.readline()
            if not line:
                self._answering = False
                raise await self._death()
            event: dict[str, Any] = json.loads(line)
            if event.get("id", self._number) != self._number:
                continue  # of an answer that was called off
            if event["event"] in ("done", "error"):
                self._answering = False
            if event["event"] == "error":
                raise self._fault(event["kind"], event["text"])
            return event

    async def _read_stderr(self) -> None:
        """Keep the last lines: llama.cpp says there why it gives up."""
        assert self._process.stderr is not None  # noqa: S101 - it was started with pipes
        while True:
            try:
                line = await self._process.stderr.readline()
            except ValueError:  # a line beyond the limit: the rest of it follows
                continue
            if not line:
                return
            self._stderr.append(line.decode("utf-8", "replace").rstrip())

    def _reason(self, text: str = "") -> str:
        """Why llama.cpp gave up: the last line of it that says so, else the last one with a fault, else `text`."""
        lines = [*self._stderr, text]
        told = [line.partition(mark)[2] for line in lines for mark in _TELLING if mark in line]
        words = ("error", "GGML_ASSERT", "failed", "Error")
        faults = told[:1] or [line for line in lines if any(word in line for word in words)][-1:] or [text]
        return clean_line(faults[0].replace(self._path or "\0", "the file"), 160).rstrip(".")

    def _fault(self, kind: str, text: str) -> SeatError:
        """The sentence for an error that the worker lived to tell."""
        if kind == "import":
            return SeatError("The embedded engine, llama-cpp-python, is not installed.", _INSTALL_HINT)
        if kind == "context":
            return SeatError(clean_line(text), "Ask something shorter, or raise the context in the settings.")
        if kind == "load":
            reason = self._reason(text)
            hint = _FIT_HINT if "alloc" in reason or "memory" in reason else _DAMAGED_HINT
            hint = _TOO_NEW_HINT if "unknown model architecture" in reason else hint
            return SeatError(f"llama.cpp could not load this model: {reason}.", hint)
        return SeatError(f"The engine stopped: {clean_line(text, 160).rstrip('.')}.", "Run the round again.")

    async def _death(self) -> SeatError:
        """The sentence for a process that is gone."""
        code = await self._process.wait()
        await asyncio.wait({self._drain})
        if code == -signal.SIGKILL:
            return SeatError(
                "The process of this model was killed, most likely by the system because memory ran out.", _FIT_HINT
            )
        if code == -signal.SIGABRT:
            return SeatError(f"llama.cpp gave up on this model: {self._reason() or 'it aborted'}.", _DAMAGED_HINT)
        if code == -signal.SIGILL:
            return SeatError("The installed llama.cpp uses instructions that fail on this processor.", _REBUILD_HINT)
        if code < 0:
            name = signal.strsignal(-code) or f"signal {-code}"
            return SeatError(f"The process of this model crashed ({name}).", _DAMAGED_HINT)
        if code == os.EX_OK:
            return SeatError("The process of this model was stopped.", "Run the round again.")
        detail = self._reason() or (clean_line(self._stderr[-1], 160) if self._stderr else f"exit code {code}")
        return SeatError(f"The process of this model ended: {detail}.", "`arena doctor` checks the engine.")
