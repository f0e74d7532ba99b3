"""The child process that holds one model: JSON lines in on stdin, JSON lines out on stdout.

In:   {"op": "load", "path", "context"}, {"op": "generate", "id", "system", "prompt", "sampling"},
      {"op": "cancel", "id"}
Out:  ready (load_ms), start (thinking, at_ns), delta (text, at_ns), done (counts and times), error (kind, text)

What belongs to an answer carries its id: ids only grow, so a late cancel hits no later answer, and a late event of an
answer that was called off is told from those of the next.

The path comes over the pipe and not in the command line, so that a process list names no model. When stdin ends, the
parent is gone and the worker leaves at once, also in the middle of a load.
"""

from __future__ import annotations

import codecs
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, TextIO

WARM_UP_TOKENS = 8


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


class Model:
    """One loaded GGUF with its chat template."""

    def __init__(self, path: str, context: int) -> None:
        """Load and warm up. Raises ValueError when llama.cpp refuses the file."""
        import llama_cpp  # noqa: PLC0415 - seconds of import, and only the worker may pay them
        import psutil  # noqa: PLC0415
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter  # noqa: PLC0415

        self._api = llama_cpp
        gpu_layers = -1 if llama_cpp.llama_supports_gpu_offload() else 0
        # One core stays free for the screen and for the clock that stamps the tokens.
        threads = max(1, (psutil.cpu_count(logical=False) or os.cpu_count() or 1) - 1)
        self.llm = llama_cpp.Llama(
            path,
            n_ctx=context,
            n_gpu_layers=gpu_layers,
            n_threads=threads,
            n_threads_batch=threads,
            # As llama-server runs them: without these an 8B model at 32k asks for 2 GiB more of compute buffers, and
            # one with a sliding window for five times the KV cache. `hardware.fit.estimate.EMBEDDED` counts on them.
            flash_attn=True,
            swa_full=False,
            verbose=True,
        )
        self._vocab = llama_cpp.llama_model_get_vocab(self.llm.model)
        template = self.llm.metadata.get("tokenizer.chat_template", "")
        self._bos = self._token_text(self.llm.token_bos())
        eos = self._token_text(self.llm.token_eos())
        self._formatter = Jinja2ChatFormatter(template, eos, self._bos) if template else None
        self.llm.eval([max(self.llm.token_bos(), 0)] * min(WARM_UP_TOKENS, context))
        self.llm.reset()

    def _token_text(self, token: int) -> str:
        return self.llm.detokenize([token], special=True).decode("utf-8", "replace") if token >= 0 else ""

    def tokens(self, system: str, prompt: str) -> tuple[list[int], bool]:
        """The prompt in the model's chat template, and whether that template opens thinking."""
        messages: list[Any] = [{"role": "user", "content": prompt}]
        if system:
            messages.insert(0, {"role": "system", "content": system})
        if self._formatter is None:
            text, special = "\n\n".join(message["content"] for message in messages), False
        else:
            try:
                text = self._formatter(messages=messages).prompt
            except Exception:  # noqa: BLE001 - templates raise what they like; most that do refuse the system role
                merged: list[Any] = [
                    {"role": "user", "content": "\n\n".join(message["content"] for message in messages)}
                ]
                text = self._formatter(messages=merged).prompt
            special = True
        add_bos = not (special and self._bos and text.startswith(self._bos))
        found = self.llm.tokenize(text.encode("utf-8", "replace"), add_bos=add_bos, special=special)
        return found, text.rstrip().endswith("<think>")

    def generate(self, tokens: list[int], sampling: dict[str, Any]) -> Iterator[int]:
        """Tokens until the model ends its turn. The KV cache is emptied first: no run profits from an earlier one."""
        self.llm.reset()
        self.llm.set_seed(sampling["seed"])
        for token in self.llm.generate(
            tokens,
            temp=sampling["temperature"],
            top_k=sampling["top_k"],
            top_p=sampling["top_p"],
            min_p=sampling["min_p"],
            repeat_penalty=sampling["repeat_penalty"],
        ):
            if self._api.llama_vocab_is_eog(self._vocab, token):
                return
            yield token


def answer(wire: Wire, model: Model, order: dict[str, Any]) -> None:
    """Answer one prompt: deltas, then `done` with what was counted."""
    sampling, number = order["sampling"], order["id"]
    tokens, thinking = model.tokens(order["system"], order["prompt"])
    room = model.llm.n_ctx() - len(tokens)
    if room <= 0:
        text = f"The prompt has {len(tokens)} tokens, and the context holds {model.llm.n_ctx()}."
        wire.send("error", id=number, kind="context", text=text)
        return
    limit, finish, count = min(sampling["max_tokens"], room), "stop", 0
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    began = first = last = time.monotonic_ns()
    wire.send("start", id=number, thinking=thinking, at_ns=began)
    for token in model.generate(tokens, sampling):
        last = time.monotonic_ns()
        first = last if count == 0 else first
        count += 1
        if text := decoder.decode(model.llm.detokenize([token])):
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


def serve(wire: Wire) -> None:
    """Carry out orders until the parent closes the pipe."""
    model: Model | None = None
    while True:
        order = wire.orders.get()
        try:
            if order["op"] == "load":
                began = time.monotonic_ns()
                model = Model(order["path"], order["context"])
                wire.send("ready", load_ms=(time.monotonic_ns() - began) / 1e6)
            elif model is not None:
                answer(wire, model, order)
        except ImportError as fault:
            wire.send("error", kind="import", text=str(fault))
        except Exception as fault:  # noqa: BLE001 - the boundary of a seat: the parent makes a sentence of it
            wire.send("error", id=order.get("id", 0), kind=order["op"], text=f"{type(fault).__name__}: {fault}")


if __name__ == "__main__":
    serve(Wire())
