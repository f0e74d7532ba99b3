"""From one token to the next: llama.cpp's own calls, with nothing of its Python wrapper in between.

The wrapper's loop (`Llama.generate`) fills a batch field by field and walks over the KV cache for each token: 5 to 8 %
of the time of a small model. The samplers and their order are its own, so a seed draws the same tokens.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

LAST_TOKENS = 64
"""How far back `repeat_penalty` looks: in the answer, not in the prompt."""
_AT_LEAST = 1
"""Tokens that `top_p` and `min_p` leave to choose from."""
_PIECE_BYTES = 64


class TokenLoop:
    """Draws the tokens of one loaded model."""

    def __init__(self, llm: Any) -> None:  # noqa: ANN401 - a Llama; the package may be missing
        """`llm` stays the owner of model and context; nobody else may decode while tokens are drawn."""
        import llama_cpp  # noqa: PLC0415

        self._api = llama_cpp
        self._context = llm.ctx
        self._memory = llama_cpp.llama_get_memory(llm.ctx)
        self._vocab = llama_cpp.llama_model_get_vocab(llm.model)
        self._vocabulary = llm.n_vocab()
        self._batch_tokens = llm.n_batch
        self._drawn = (llama_cpp.llama_token * 1)()
        self._one = llama_cpp.llama_batch_get_one(self._drawn, 1)
        """A batch of the token just drawn, at the place behind all that are in the KV cache."""
        self._pieces: dict[int, bytes] = {}

    def tokens(self, prompt: Sequence[int], sampling: Mapping[str, Any]) -> Iterator[int]:
        """Tokens until the model ends its turn. The KV cache is emptied first: no run profits from an earlier one.

        Each is computed when it is asked for. Raises RuntimeError when llama.cpp can't go on.
        """
        draw, is_end, vocab = self._api.llama_sampler_sample, self._api.llama_vocab_is_eog, self._vocab
        context, drawn, one = self._context, self._drawn, self._one
        self._api.llama_memory_clear(self._memory, False)  # noqa: FBT003 - the cells, not what is written in them
        chain = self._chain(sampling)
        try:
            self._read(prompt)
            while not is_end(vocab, token := draw(chain, context, -1)):
                yield token
                drawn[0] = token
                self._decode(one)
        finally:
            self._api.llama_sampler_free(chain)

    def piece(self, token: int) -> bytes:
        """The text of a token, which may be half a letter; nothing for those that only mark something."""
        known = self._pieces.get(token)
        if known is None:
            known = self._pieces[token] = self._written(token)
        return known

    def _read(self, prompt: Sequence[int]) -> None:
        for start in range(0, len(prompt), self._batch_tokens):
            part = prompt[start : start + self._batch_tokens]
            held = (self._api.llama_token * len(part))(*part)
            self._decode(self._api.llama_batch_get_one(held, len(part)))

    def _decode(self, batch: Any) -> None:  # noqa: ANN401 - a structure of ctypes
        if code := self._api.llama_decode(self._context, batch):
            raise RuntimeError(f"llama_decode returned {code}")

    def _written(self, token: int) -> bytes:
        size = _PIECE_BYTES
        while True:
            room = ctypes.create_string_buffer(size)
            length = self._api.llama_token_to_piece(self._vocab, token, room, size, 0, False)  # noqa: FBT003
            if length >= 0:
                return room.raw[:length]
            size = -length

    def _chain(self, sampling: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a pointer
        """The samplers, in the wrapper's order. Whoever asked frees them."""
        api = self._api
        temperature = sampling["temperature"]
        links = [api.llama_sampler_init_penalties(self._vocabulary, LAST_TOKENS, sampling["repeat_penalty"], 0.0, 0.0)]
        if temperature <= 0:
            links.append(api.llama_sampler_init_greedy())
        else:
            links += [
                api.llama_sampler_init_top_k(sampling["top_k"]),
                api.llama_sampler_init_top_p(sampling["top_p"], _AT_LEAST),
                api.llama_sampler_init_min_p(sampling["min_p"], _AT_LEAST),
                api.llama_sampler_init_temp(temperature),
                api.llama_sampler_init_dist(sampling["seed"]),
            ]
        chain = api.llama_sampler_chain_init(api.llama_sampler_chain_default_params())
        for link in links:
            api.llama_sampler_chain_add(chain, link)
        return chain
