"""The child process that has llama.cpp plan its buffers without loading weights: JSON lines in, JSON lines out.

In:   {"id", "op": "plan", "path", "contexts": [fields of llama_context_params]},
      {"id", "op": "quantize", "path", "type": a llama_ftype}
Out:  {"id", "weights", "parameters", "contexts": [{"kv", "recurrent", "compute"}]}, {"id", "types"},
      or {"id", "error", "kind"}; everything in bytes

The model that was asked last stays open: opening it takes longer than planning a context. What llama.cpp logs goes
nowhere but into the numbers; where it aborts, this process ends, and the parent says so. When stdin ends, so does it.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

MIB = 1 << 20
_SIZES = {
    "kv": re.compile(r"llama_kv_cache\w*: size = +([0-9.]+) MiB"),
    "recurrent": re.compile(r"llama_memory_recurrent: size = +([0-9.]+) MiB"),
    "compute": re.compile(r"compute buffer size = +([0-9.]+) MiB"),
}
_TENSOR = re.compile(r"\[ *\d+/ *\d+\] +(\S+) +- \[[^\]]*\], type = +\w+, size = [^()\n]*(?:\((\w+)\))?")


class Planner:
    """llama.cpp, and the model that it looks at."""

    def __init__(self) -> None:
        """Load the library. Raises ImportError where there is none."""
        from llama_cpp import llama_cpp as api  # noqa: PLC0415 - only the child may pay for it

        self._api = api
        self._log: list[str] = []
        self._note = api.llama_log_callback(
            lambda _level, text, _data: self._log.append(text.decode("utf-8", "replace"))
        )
        api.llama_log_set(self._note, ctypes.c_void_p(0))
        self._key: tuple[object, ...] = ()
        self._model: Any = None

    def plan(self, path: str, contexts: list[dict[str, Any]]) -> dict[str, Any]:
        """The weights of a model, and what each context of it takes. Raises ValueError when llama.cpp refuses."""
        self._open(path)
        return {
            "weights": self._api.llama_model_size(self._model),
            "parameters": self._api.llama_model_n_params(self._model),
            "contexts": [self._context(each) for each in contexts],
        }

    def quantize(self, path: str, file_type: int) -> dict[str, Any]:
        """The type of each tensor after quantization to that llama_ftype; '' where it stays. Raises ValueError."""
        params = self._api.llama_model_quantize_default_params()
        params.ftype, params.dry_run, params.nthread = file_type, True, 1
        self._log.clear()
        if self._api.llama_model_quantize(path.encode(), b"/dev/null", params):
            raise ValueError(self._last_words())
        return {"types": dict(_TENSOR.findall("".join(self._log)))}

    def _open(self, path: str) -> None:
        status = Path(path).stat()
        key = (path, status.st_size, status.st_mtime_ns)
        if key == self._key:
            return
        if self._model is not None:
            self._api.llama_model_free(self._model)
        self._key, self._model = (), None
        self._log.clear()
        params = self._api.llama_model_default_params()
        # `no_alloc` aborts with any load mode that maps the file; the extra buffer types are the CPU's, in other sizes
        params.no_alloc, params.load_mode, params.use_extra_bufts, params.n_gpu_layers = True, 0, False, 0
        model = self._api.llama_model_load_from_file(path.encode(), params)
        if not model:
            raise ValueError(self._last_words())
        self._key, self._model = key, model

    def _context(self, wanted: dict[str, Any]) -> dict[str, int]:
        slots = wanted.get("n_seq_max", 1)
        if slots == 1 or not self._has_state():
            return self._plan(wanted)
        # recurrent state is allocated even now, so it is planned for one slot: what the others share differs by MiB
        one = self._plan({**wanted, "n_seq_max": 1, "n_ctx": wanted["n_ctx"] // slots})
        return {**one, "kv": one["kv"] * slots, "recurrent": one["recurrent"] * slots}

    def _has_state(self) -> bool:
        return bool(self._api.llama_model_is_recurrent(self._model) or self._api.llama_model_is_hybrid(self._model))

    def _plan(self, wanted: dict[str, Any]) -> dict[str, int]:
        self._log.clear()
        params = self._api.llama_context_default_params()
        for name, value in wanted.items():
            setattr(params, name, value)
        context = self._api.llama_init_from_model(self._model, params)
        if not context:
            raise ValueError(self._last_words())
        self._api.llama_free(context)
        text = "".join(self._log)
        # with `no_alloc` the lines on buffers say 0; these lines are on what would be in them
        return {name: round(sum(map(float, pattern.findall(text))) * MIB) for name, pattern in _SIZES.items()}

    def _last_words(self) -> str:
        lines = [line.strip() for line in "".join(self._log).splitlines() if line.strip()]
        return next((line for line in lines if "error" in line), lines[-1] if lines else "it gives no reason")


def serve() -> None:
    """Answer until stdin ends."""
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # whatever else prints must not come between the lines
    planner: Planner | None = None
    for line in sys.stdin:
        order = json.loads(line)
        answer: dict[str, Any]
        try:
            planner = planner or Planner()
            if order["op"] == "plan":
                answer = planner.plan(order["path"], order["contexts"])
            else:
                answer = planner.quantize(order["path"], order["type"])
        except ImportError as fault:
            answer = {"kind": "import", "error": str(fault)}
        except Exception as fault:  # noqa: BLE001 - the boundary of the process: the parent makes a sentence of it
            answer = {"kind": "refused", "error": f"{fault}" or type(fault).__name__}
        out.write(json.dumps({"id": order["id"], **answer}) + "\n")
        out.flush()


if __name__ == "__main__":
    serve()
