"""How the models are asked in the rounds to come: the system message and the samplers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from arena.core.adjusting import adjusted, as_typed
from arena.core.models import Sampling
from arena.tui.language import _
from arena.tui.screens.form import Field, FormScreen

SYSTEM = "system"
_NAMES = tuple(field.name for field in fields(Sampling))


class SettingsScreen(FormScreen):
    """System message and samplers. An empty line is as usual."""

    def __init__(self, system: str, sampling: Sampling, usual: Sampling) -> None:
        """`usual`: what the config says."""
        hint = _(
            "For the rounds to come; an empty line is as usual. Other samplers or another context make other"
            " contestants of the models: they are rated apart. The system message stands where a prompt has none."
            " Tab: next line. Enter: take."
        )
        lines = [Field(SYSTEM, system, _("none"))]
        for name in _NAMES:
            here, before = getattr(sampling, name), getattr(usual, name)
            lines.append(Field(name, "" if here == before else as_typed(here), as_typed(before)))
        super().__init__(_("How the models are asked"), hint, tuple(lines))
        self._usual = usual

    def check(self, values: Mapping[str, str]) -> None:
        """Raise UsageError where a setting can't be that."""
        self.sampling(values, self._usual)

    @staticmethod
    def sampling(values: Mapping[str, str], usual: Sampling) -> Sampling:
        """What the lines say. Raises UsageError."""
        sampling = usual
        for name in _NAMES:
            if values[name].strip():
                sampling = adjusted(sampling, name, values[name])
        return sampling
