"""arena's own themes: calm surfaces, one warm accent for what matters now."""

from __future__ import annotations

from textual.theme import BUILTIN_THEMES, Theme

DARK = Theme(
    name="arena-dark",
    primary="#7aa2f7",
    secondary="#8bd5ca",
    accent="#ffb454",
    warning="#e5c07b",
    error="#f07178",
    success="#9ece6a",
    foreground="#d5d9e5",
    background="#12141b",
    surface="#181b24",
    panel="#222634",
    dark=True,
    variables={
        "footer-key-foreground": "#ffb454",
        "footer-background": "#181b24",
        "border": "#3a4054",
        "text-muted": "#8b93a8",
        "text-disabled": "#565d73",
    },
)
LIGHT = Theme(
    name="arena-light",
    primary="#2f5fb3",
    secondary="#0f766e",
    accent="#a64d08",
    warning="#8f5706",
    error="#b91c1c",
    success="#39731d",
    foreground="#1f2430",
    background="#fbfaf7",
    surface="#f3f1ea",
    panel="#e6e2d6",
    dark=False,
    variables={
        "footer-key-foreground": "#a64d08",
        "footer-background": "#f3f1ea",
        "border": "#b9b3a3",
        "text-muted": "#6b6658",
        "text-disabled": "#a39d8d",
    },
)
CONTRAST_DARK = Theme(
    name="arena-contrast-dark",
    primary="#9ecbff",
    secondary="#7ff0e0",
    accent="#ffd75f",
    warning="#ffd75f",
    error="#ffa3a3",
    success="#a6f26b",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#303030",
    dark=True,
    variables={
        "footer-key-foreground": "#ffd75f",
        "footer-background": "#000000",
        "border": "#d0d0d0",
        "text-muted": "#e4e4e4",
        "text-disabled": "#bcbcbc",
    },
)
CONTRAST_LIGHT = Theme(
    name="arena-contrast-light",
    primary="#003a8c",
    secondary="#00504a",
    accent="#7a2e00",
    warning="#6b3f00",
    error="#8b0000",
    success="#1d4f00",
    foreground="#000000",
    background="#ffffff",
    surface="#ffffff",
    panel="#b8b8b8",
    dark=False,
    variables={
        "footer-key-foreground": "#7a2e00",
        "footer-background": "#ffffff",
        "border": "#303030",
        "text-muted": "#262626",
        "text-disabled": "#4a4a4a",
    },
)
SIXTEEN = Theme(
    name="arena-16",
    ansi=True,
    primary="ansi_blue",
    secondary="ansi_cyan",
    accent="ansi_yellow",
    warning="ansi_yellow",
    error="ansi_red",
    success="ansi_green",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    dark=True,
    variables={
        **BUILTIN_THEMES["ansi-dark"].variables,
        "footer-key-foreground": "ansi_yellow",
        "border": "ansi_default",
        "border-blurred": "ansi_default",
        "scrollbar-background": "ansi_default",
        "scrollbar-background-hover": "ansi_default",
        "scrollbar-background-active": "ansi_default",
    },
)
"""The terminal's own sixteen colours on its own ground, which may be dark or light."""
THEMES = (DARK, LIGHT, CONTRAST_DARK, CONTRAST_LIGHT, SIXTEEN)


def exists(name: str) -> bool:
    """Whether a theme of arena's own or of Textual's has that name."""
    return name in BUILTIN_THEMES or any(theme.name == name for theme in THEMES)
