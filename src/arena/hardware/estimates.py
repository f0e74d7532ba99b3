"""The best estimate that can be had of a model: llama.cpp's own plan, its header, the catalogue, or its size alone."""

from __future__ import annotations

import threading
from pathlib import Path

from arena.core.errors import ArenaError
from arena.core.gguf import GgufHeader
from arena.core.gguf_shelf import HeaderShelf
from arena.core.models import ModelInfo
from arena.core.text import clean_line
from arena.hardware.fit.dry_run import DryRun, DryRunEstimate
from arena.hardware.fit.estimate import CELL_STEP, Estimate, Setting
from arena.hardware.fit.header import HeaderEstimate
from arena.hardware.fit.ollama_rule import OllamaFacts, facts_of
from arena.hardware.fit.vision import WithVision


class Estimator:
    """Estimates by model. What was read once is remembered as long as the file stays what it is."""

    def __init__(self, headers: HeaderShelf | None = None) -> None:
        """`headers`: shared with others that read them."""
        self._headers = headers or HeaderShelf()
        self._dry_run = DryRun()
        self._lock = threading.Lock()
        self._known: dict[Path, tuple[GgufHeader, Estimate]] = {}

    def of(self, info: ModelInfo) -> Estimate | None:
        """What is known of its needs; None when that is nothing. Raises ArenaError when its header can't be read.

        The first question about a file reads its header, which takes up to 150 ms; later ones take no time.
        """
        if not info.local:
            return None
        header = self.header(info)
        if header is None:
            from arena.hardware import by_name  # noqa: PLC0415 - the catalogue, which files do not need

            return by_name.estimated(info)
        found = self._of_header(info, header)
        return WithVision(found, info.projector_bytes) if info.projector_bytes else found

    def _of_header(self, info: ModelInfo, header: GgufHeader) -> Estimate:
        with self._lock:
            known = self._known.get(_key(info))
        if known is not None and known[0] is header:
            return known[1]
        found: Estimate = HeaderEstimate.of(header)
        with self._lock:
            self._known[_key(info)] = header, found
        return found

    def sharpen(self, info: ModelInfo) -> None:
        """Have llama.cpp itself plan that model from now on. Takes about a second the first time; never raises.

        Where llama.cpp is missing, or does not know the model, its header goes on to be asked.
        """
        try:
            header = self.header(info)
            if header is None or not _is_file(info):
                return
            formula = self._of_header(info, header)
            # planned already, unless the file has changed; what was refused is remembered by the dry run
            if not isinstance(formula, HeaderEstimate):
                return
            exact = DryRunEstimate.of(Path(info.location), self._dry_run, formula=formula)
        except ArenaError:
            return
        with self._lock:
            self._known[_key(info)] = header, exact

    def header(self, info: ModelInfo) -> GgufHeader | None:
        """Its header, from its file or as its server tells it; None where neither is at hand. Raises ArenaError."""
        if not _is_file(info):
            return info.header
        try:
            return self._headers.header(Path(info.location))
        except (OSError, ValueError) as fault:
            raise ArenaError(f"'{clean_line(Path(info.location).name)}' can't be read.", "Was it moved?") from fault

    def ollama_facts(self, info: ModelInfo) -> OllamaFacts | None:
        """What Ollama itself goes by when it decides what to unload; None where that is not known."""
        try:
            header = self.header(info)
            return None if header is None else facts_of(header)
        except ArenaError:
            return None

    def smaller(self, info: ModelInfo) -> list[tuple[str, Estimate]]:
        """The published quantizations of that model that are smaller, by name; () for one that is not well known."""
        whole, header = self.of(info), self.header(info)
        if whole is None:
            return []
        from arena.hardware import by_name  # noqa: PLC0415 - likewise

        # what looks at images lies in another file than the one whose header was read
        size = info.parameters or (header.parameters if header else 0)
        found = by_name.quantized(info, size, vision=header is None)
        return [(name, other) for name, other in found if _weights(other) < _weights(whole)]

    def note(self, info: ModelInfo) -> str:
        """Why nothing, or only something rough, can be said of what a model needs; '' when all is well."""
        if not info.local:
            return "It takes the memory of another machine."
        try:
            found = self.of(info)
        except ArenaError as fault:
            return fault.sentence
        if found is None:
            return "Its endpoint tells neither a file nor a size."
        if found.method != "catalogue":
            return ""
        known = "the catalogue" if found.layers else "its size"
        return f"Estimated from {known}: its header is not at hand."

    def close(self) -> None:
        """End the process that plans."""
        self._dry_run.close()


def _weights(found: Estimate) -> int:
    return found.in_ram(Setting(CELL_STEP)).parts.weights


def _is_file(info: ModelInfo) -> bool:
    return bool(info.location) and "://" not in info.location


def _key(info: ModelInfo) -> Path:
    """The file, or where there is none the model itself."""
    return Path(info.location) if _is_file(info) else Path(str(info.ref), info.ref.digest)
