"""Folders of the user's own, which nobody else has to look into."""

from __future__ import annotations

from pathlib import Path


def private_folder(folder: Path) -> None:
    """Make a folder and what is missing above it, for their owner alone; one that exists keeps its permissions.

    `mkdir(parents=True)` would give only the last one the mode that it is told. Raises OSError.
    """
    if not folder.is_dir():
        private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
