"""GPUs that are not there: `8GB,24GB` asks what would fit on such cards."""

from __future__ import annotations

import re

from arena.core.errors import UsageError
from arena.core.machine import GIB, MIB, Gpu
from arena.core.text import clean_line

MAX_GPUS = 16
MAX_BYTES = 1 << 42

_SIZE = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*(gib|gb|g|mib|mb|m)?", re.ASCII | re.IGNORECASE)
_RESERVED_SHARE, _RESERVED_MOST = 0.05, 512 * MIB


def parse_gpus(text: str) -> tuple[Gpu, ...]:
    """Empty GPUs of the sizes listed. Raises UsageError on anything but sizes.

    Sizes are as printed on cards: `8`, `8G`, `8GB` and `8GiB` all mean 8 GiB, `512MB` means 512 MiB. Of an empty card
    about 5 % is the driver's own, at most 512 MiB.
    """
    words = [word.strip() for word in text.split(",")]
    if len(words) > MAX_GPUS:
        raise UsageError(f"{len(words)} GPUs are more than the {MAX_GPUS} that can be asked about.", "Name fewer.")
    return tuple(_gpu(index, word) for index, word in enumerate(words))


def _gpu(index: int, word: str) -> Gpu:
    match = _SIZE.fullmatch(word)
    if match is None:
        raise UsageError(f"'{clean_line(word, 40)}' is no size of a GPU.", "Write sizes such as 8GB,24GB.")
    unit = MIB if (match[2] or "g").lower().startswith("m") else GIB
    total = int(float(match[1]) * unit)
    if not MIB <= total <= MAX_BYTES:
        raise UsageError(f"No GPU has {clean_line(word, 40)}.", "Write sizes such as 8GB,24GB.")
    reserved = min(int(_RESERVED_SHARE * total), _RESERVED_MOST)
    return Gpu(
        index=index,
        name=f"what if: {match[1]} {'MiB' if unit == MIB else 'GiB'}",
        total_bytes=total,
        free_bytes=total - reserved,
        reserved_bytes=reserved,
    )
