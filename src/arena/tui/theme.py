"""arena's own themes: calm surfaces, one warm accent for what matters now."""

from __future__ import annotations

from textual.theme import Theme

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
    accent="#b45309",
    warning="#a16207",
    error="#b91c1c",
    success="#3f7d20",
    foreground="#1f2430",
    background="#fbfaf7",
    surface="#f3f1ea",
    panel="#e6e2d6",
    dark=False,
    variables={
        "footer-key-foreground": "#b45309",
        "footer-background": "#f3f1ea",
        "border": "#b9b3a3",
        "text-muted": "#6b6658",
        "text-disabled": "#a39d8d",
    },
)
THEMES = (DARK, LIGHT)
