"""The child process that holds one model: JSON lines in on stdin, JSON lines out on stdout.

In:   {"op": "build"}, {"op": "load", "path", "context", "kv_type", "gpu_layers"},
      {"op": "generate", "id", "messages", "thinking", "sampling"}, {"op": "cancel", "id"}
Out:  build (kinds, offload, system_info), ready (load_ms, gpu_layers, offload, system_info),
      start (thinking, at_ns), delta (text, at_ns), done (counts and times), error (kind, text)

What belongs to an answer carries its id: ids only grow, so a late cancel hits no later answer, and a late event of an
answer that was called off is told from those of the next.

The path comes over the pipe and not in the command line, so that a process list names no model. When stdin ends, the
parent is gone and the worker leaves at once, also in the middle of a load.
"""

from __future__ import annotations

import codecs
import ctypes
import json
import os
import queue
import re
import sys
import threading
import time
from typing import Any, TextIO

from arena.backends.llamacpp_loop import TokenLoop

WARM_UP_TOKENS = 8

KV_NUMBERS = {"f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "iq4_nl": 20, "bf16": 30}
"""ggml.h, enum ggml_type; llama-cpp-python does not name all of them."""

THINKING: dict[str, dict[str, Any]] = {
    "default": {},
    # Qwen, GLM, SmolLM and Hunyuan ask for `enable_thinking`, DeepSeek and Granite for `thinking`, gpt-oss for an
    # effort. A template takes no notice of what it does not ask for.
    "on": {"enable_thinking": True, "thinking": True},
    "off": {"enable_thinking": False, "thinking": False},
    **{
        effort: {"enable_thinking": True, "thinking": True, "reasoning_effort": effort}
        for effort in ("low", "medium", "high")
    },
}
"""What a chat template is told."""


class Wire:
    """The private pipe to the parent. Whatever else prints to stdout lands on stderr."""

    def __init__(self) -> None:
        """Take stdout away from everybody else, and listen on stdin in a thread."""
        self._out: TextIO = os.fdopen(os.dup(1), "w", encoding="ascii")
        os.dup2(2, 1)
        self.orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.cancelled_up_to = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def send(self, event: str, **facts: object) -> None:
        """One line to the parent."""
        self._out.write(json.dumps({"event": event, **facts}) + "\n")
        self._out.flush()

    def _listen(self) -> None:
        for line in sys.stdin:
            order = json.loads(line)
            if order["op"] == "cancel":
                self.cancelled_up_to = order["id"]
            else:
                self.orders.put(order)
        os._exit(0)


def build_facts() -> dict[str, Any]:
    """What the installed llama.cpp was built for: kinds of device, whether it can offload now, its own line on it."""
    import llama_cpp  # noqa: PLC0415 - seconds of import, and only the worker may pay them

    told = " ".join(llama_cpp.llama_print_system_info().decode("utf-8", "replace").split())
    return {
        "kinds": _registered() or re.findall(r"(\w+) : ", told),
        "offload": bool(llama_cpp.llama_supports_gpu_offload()),
        "system_info": told,
    }


def _registered() -> list[str]:
    """The backends in ggml's register, such as `CUDA` and `CPU`; [] where it can't be asked.

    `llama_print_system_info` names only those that have features to tell, and Vulkan has none.
    """
    try:
        from llama_cpp._ggml import libggml  # noqa: PLC0415

        libggml.ggml_backend_reg_count.restype = ctypes.c_size_t
        libggml.ggml_backend_reg_get.argtypes = [ctypes.c_size_t]
        libggml.ggml_backend_reg_get.restype = ctypes.c_void_p
        libggml.ggml_backend_reg_name.argtypes = [ctypes.c_void_p]
        libggml.ggml_backend_reg_name.restype = ctypes.c_char_p
        handles = [libggml.ggml_backend_reg_get(index) for index in range(libggml.ggml_backend_reg_count())]
        return [libggml.ggml_backend_reg_name(handle).decode("ascii", "replace") for handle in handles]
    except (ImportError, AttributeError):
        return []


def ask_for_one_output() -> None:
    """Have llama.cpp reserve room for the logits of one token, not of a whole batch.

    Only the last token of a batch is ever sampled here, and the answers are the same; with a vocabulary of 128k
    tokens it saves 250 MiB per model. `Llama` has no argument for it, so its default is changed.
    """
    import llama_cpp.llama_cpp as api  # noqa: PLC0415

    made = api.llama_context_default_params
    if not hasattr(made(), "n_outputs_max"):
        return  # a version that reserves as it likes

    def with_one_output() -> Any:  # noqa: ANN401 - a structure of ctypes
        params = made()
        params.n_outputs_max = 1
        return params

    api.llama_context_default_params = with_one_output


class Model:
    """One loaded GGUF with its chat template."""

    def __init__(self, path: str, context: int, kv_type: str = "f16", gpu_layers: int = -1) -> None:
        """Load and warm up. `gpu_layers`: -1 is all; a build for the CPU takes none.

        Raises ValueError when llama.cpp refuses the file.
        """
        import llama_cpp  # noqa: PLC0415
        import psutil  # noqa: PLC0415
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter  # noqa: PLC0415

        self.gpu_layers = gpu_layers if llama_cpp.llama_supports_gpu_offload() else 0
        # One core stays free for the screen and for the clock that stamps the tokens.
        threads = max(1, (psutil.cpu_count(logical=False) or os.cpu_count() or 1) - 1)
        ask_for_one_output()
        self.llm = llama_cpp.Llama(
            path,
            n_ctx=context,
            n_gpu_layers=self.gpu_layers,
            n_threads=threads,
            n_threads_batch=threads,
            # As llama-server runs them: without these an 8B model at 32k asks for 2 GiB more of compute buffers, and
            # one with a sliding window for five times the KV cache. `hardware.fit.estimate.EMBEDDED` counts on them.
            # A quantised V cache needs flash attention too.
            flash_attn=True,
            swa_full=False,
            type_k=KV_NUMBERS[kv_type],
            type_v=KV_NUMBERS[kv_type],
            verbose=True,
        )
        self.loop = TokenLoop(self.llm)
        template = self.llm.metadata.get("tokenizer.chat_template", "")
        self._bos = self._token_text(self.llm.token_bos())
        eos = self._token_text(self.llm.token_eos())
        self._formatter = Jinja2ChatFormatter(template, eos, self._bos) if template else None
        self.llm.eval([max(self.llm.token_bos(), 0)] * min(WARM_UP_TOKENS, context))
        self.llm.reset()

    def _token_text(self, token: int) -> str:
        return self.llm.detokenize([token], special=True).decode("utf-8", "replace") if token >= 0 else ""

    def tokens(self, messages: list[dict[str, str]], thinking: str = "default") -> tuple[list[int], bool]:
        """The conversation in the model's chat template, and whether that template opens thinking."""
        if self._formatter is None:
            text, special = "\n\n".join(message["content"] for message in messages), False
        else:
            text, special = self._in_template(messages, THINKING[thinking]), True
        add_bos = not (special and self._bos and text.startswith(self._bos))
        found = self.llm.tokenize(text.encode("utf-8", "replace"), add_bos=add_bos, special=special)
        return found, text.rstrip().endswith("<think>")

    def _in_template(self, messages: list[Any], told: dict[str, Any]) -> str:
        assert self._formatter is not None  # noqa: S101 - asked by the caller
        try:
            return str(self._formatter(messages=messages, **told).prompt)
        except Exception:
            if messages[0]["role"] != "system":
                raise
            # Templates raise what they like; most that do refuse the system role: the user says it then.
            system, first, *rest = messages
            merged: Any = {"role": "user", "content": f"{system['content']}\n\n{first['content']}"}
            return str(self._formatter(messages=[merged, *rest], **told).prompt)


def answer(wire: Wire, model: Model, order: dict[str, Any]) -> None:
    """Answer one prompt: deltas, then `done` with what was counted."""
    sampling, number = order["sampling"], order["id"]
    tokens, thinking = model.tokens(order["messages"], order["thinking"])
    room = model.llm.n_ctx() - len(tokens)
    if room <= 0:
        text = f"The prompt has {len(tokens)} tokens, and the context holds {model.llm.n_ctx()}."
        wire.send("error", id=number, kind="context", text=text)
        return
    limit, finish, count = min(sampling["max_tokens"], room), "stop", 0
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    began = first = last = time.monotonic_ns()
    wire.send("start", id=number, thinking=thinking, at_ns=began)
    for token in model.loop.tokens(tokens, sampling):
        last = time.monotonic_ns()
        first = last if count == 0 else first
        count += 1
        if text := decoder.decode(model.loop.piece(token)):
            wire.send("delta", id=number, text=text, at_ns=last)
        if wire.cancelled_up_to >= number:
            finish = "cancelled"
            break
        if count >= limit:
            finish = "length"
            break
    if text := decoder.decode(b"", final=True):
        wire.send("delta", id=number, text=text, at_ns=last)
    wire.send(
        "done",
        id=number,
        finish=finish,
        prompt_tokens=len(tokens),
        out_tokens=count,
        began_ns=began,
        first_ns=first,
        last_ns=last,
    )


def load(wire: Wire, order: dict[str, Any]) -> Model:
    """Load a model and say so."""
    began = time.monotonic_ns()
    model = Model(order["path"], order["context"], order["kv_type"], order["gpu_layers"])
    load_ms, facts = (time.monotonic_ns() - began) / 1e6, build_facts()
    wire.send(
        "ready",
        load_ms=load_ms,
        gpu_layers=model.gpu_layers,
        offload=facts["offload"],
        system_info=facts["system_info"],
    )
    return model


def serve(wire: Wire) -> None:
    """Carry out orders until the parent closes the pipe."""
    model: Model | None = None
    while True:
        order = wire.orders.get()
        try:
            if order["op"] == "build":
                wire.send("build", **build_facts())
            elif order["op"] == "load":
                model = load(wire, order)
            elif model is not None:
                answer(wire, model, order)
        except ImportError as fault:
            wire.send("error", kind="import", text=str(fault))
        except Exception as fault:  # noqa: BLE001 - the boundary of a seat: the parent makes a sentence of it
            wire.send("error", id=order.get("id", 0), kind=order["op"], text=f"{type(fault).__name__}: {fault}")


if __name__ == "__main__":
    serve(Wire())
