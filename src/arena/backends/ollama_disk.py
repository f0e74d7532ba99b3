"""The models that Ollama has on this disk, found through its manifests; no server is needed for it.

A manifest, `manifests/HOST/NAMESPACE/MODEL/TAG`, is a JSON object whose layers name files in `blobs/`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SERVICE = Path("/usr/share/ollama/.ollama/models")
"""Where the service of the Linux packages keeps them; often the user may not read it."""
_WEIGHTS = "application/vnd.ollama.image.model"
_PROJECTOR = "application/vnd.ollama.image.projector"
_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")
_LONGEST_MANIFEST = 1 << 20


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """One model whose weights can be read."""

    name: str
    """As Ollama shows it: `qwen3:8b`, `somebody/model:tag`, `hf.co/somebody/model:Q4_K_M`."""
    blob: Path
    """The GGUF file."""
    digest: str
    """SHA-256 of the manifest, lower-case hex: the digest that /api/tags gives."""
    projector: Path | None = None
    """The GGUF file with the vision part, where that is apart."""


def installed(environ: Mapping[str, str] = os.environ) -> list[InstalledModel]:
    """The models in $OLLAMA_MODELS; without that variable those of the user and of the service.

    Never raises: what can't be read is left out.
    """
    found: dict[tuple[str, str], InstalledModel] = {}
    for folder in _folders(environ):
        for model in models_in(folder):
            found.setdefault((model.name, model.digest), model)
    return list(found.values())


def models_in(folder: Path) -> list[InstalledModel]:
    """The models in one folder that holds `manifests` and `blobs`, by name. Never raises."""
    return sorted(_read_all(folder), key=lambda model: model.name)


def _folders(environ: Mapping[str, str]) -> list[Path]:
    if named := environ.get("OLLAMA_MODELS", "").strip():
        return [Path(named)]
    home = environ.get("HOME") or environ.get("USERPROFILE")
    return [*([Path(home) / ".ollama" / "models"] if home else []), _SERVICE]


def _read_all(folder: Path) -> Iterator[InstalledModel]:
    manifests = folder / "manifests"
    try:
        paths = list(manifests.glob("*/*/*/*"))
    except OSError:
        return
    for path in paths:
        try:
            model = _read(path, _shown_name(*path.relative_to(manifests).parts), folder / "blobs")
        except (OSError, ValueError, RecursionError):
            continue
        if model is not None:
            yield model


def _shown_name(host: str, namespace: str, model: str, tag: str) -> str:
    """The shortest name that says the same."""
    full = f"{host}/{namespace}/{model}:{tag}"
    return full.removeprefix("registry.ollama.ai/").removeprefix("library/") if host == "registry.ollama.ai" else full


def _read(path: Path, name: str, blobs: Path) -> InstalledModel | None:
    """The model of a manifest; None when it has no weights in one file. Raises OSError and ValueError."""
    if not path.is_file() or path.stat().st_size > _LONGEST_MANIFEST:
        return None
    content = path.read_bytes()
    manifest = json.loads(content)
    layers = manifest.get("layers") if isinstance(manifest, dict) else None
    found = [layer for layer in layers if isinstance(layer, dict)] if isinstance(layers, list) else []
    weights = _blob(found, _WEIGHTS, blobs)
    if weights is None:
        return None
    return InstalledModel(name, weights, hashlib.sha256(content).hexdigest(), _blob(found, _PROJECTOR, blobs))


def _blob(layers: list[dict[str, Any]], kind: str, blobs: Path) -> Path | None:
    """The file of the first layer of that kind, if it can be read. A digest is hex: it leads out of no folder."""
    for layer in layers:
        digest = _DIGEST.fullmatch(str(layer.get("digest")))
        if layer.get("mediaType") == kind and digest is not None:
            path = blobs / f"sha256-{digest[1]}"
            return path if os.access(path, os.R_OK) else None
    return None
