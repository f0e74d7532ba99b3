"""The leaderboard as one HTML file: a plot and a table, no script, nothing fetched, everything foreign escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from arena.core.battles import ME, SEVERAL
from arena.core.ratings import Board, Standing, Status
from arena.core.text import clean_line, clean_name, counted

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5d6777; --line: #d7dce4; --mark: #2563c9; --paper: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ef; --soft: #9aa4b5; --line: #333b49; --mark: #7aa7f7; --paper: #14181f; }
}
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif;
  color: var(--ink); background: var(--paper); }
h1 { font-size: 1.4rem; margin-bottom: 0; }
p { color: var(--soft); }
.wide { overflow-x: auto; }
svg { width: 100%; height: auto; font: 13px system-ui, sans-serif; }
svg text { fill: var(--ink); } svg .soft { fill: var(--soft); }
svg .grid { stroke: var(--line); } svg .interval { stroke: var(--mark); stroke-width: 3; }
svg circle { fill: var(--mark); } svg .early { opacity: 0.45; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 0.3rem 0.7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
th:nth-child(2), td:nth-child(2) { text-align: left; }
"""
_WIDTH, _ROW, _NAMES, _MARGIN = 900, 26, 300, 20
_NAME_LIMIT = 38
_STEPS = (1, 2, 5)


def board_html(
    board: Board, head: Sequence[str], rows: Sequence[Sequence[str]], *, voter: str = ME, tag: str = ""
) -> str:
    """A whole page: the plot of the board, and the table with these columns and cells, raw."""
    whose = {ME: "Your", SEVERAL: "Everybody's"}.get(voter, f"{clean_line(voter, 60)}:")
    said = f"{whose} {counted(board.votes, 'vote')} in {counted(board.rounds, 'round')}"
    said += f", on prompts with the tag {clean_line(tag, 60)}." if tag else "."
    if len(board.components) > 1:
        said += " There are groups that were never compared: no rank holds between them."
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>arena: leaderboard</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Leaderboard</h1>
<p>{_safe(said)} A score is a distance from the mean of all contestants, 100 more are odds of 1.78 to 1 among decisive
votes (Davidson scale); the line is its 95 % posterior interval, a pale one stands for too few votes.</p>
{_plot([line for line in board.standings if line.votes])}
<div class="wide">
<table>
<thead><tr>{"".join(f"<th>{_safe(cell)}</th>" for cell in head)}</tr></thead>
<tbody>
{_table_rows(rows)}
</tbody>
</table>
</div>
</body>
</html>
"""


def _safe(text: str) -> str:
    return escape(clean_line(text, 400))


def _table_rows(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"<tr>{''.join(f'<td>{_safe(cell)}</td>' for cell in row)}</tr>" for row in rows)


def _plot(lines: Sequence[Standing]) -> str:
    """A line for each contestant that was voted on: its score and its interval over a common scale."""
    if not lines:
        return "<p>There are no votes yet.</p>"
    low, high, step = _scale(min(line.low for line in lines), max(line.high for line in lines))
    bottom = _ROW * len(lines) + _MARGIN

    def x(score: float) -> str:
        return f"{_NAMES + (score - low) / (high - low) * (_WIDTH - _NAMES - _MARGIN):.1f}"

    parts = [f'<svg viewBox="0 0 {_WIDTH} {bottom + _ROW}" role="img" aria-label="Scores with their intervals">']
    for tick in range(low, high + 1, step):
        parts.append(f'<line class="grid" x1="{x(tick)}" y1="0" x2="{x(tick)}" y2="{bottom}"/>')
        parts.append(f'<text class="soft" x="{x(tick)}" y="{bottom + 16}" text-anchor="middle">{tick}</text>')
    for row, line in enumerate(lines):
        y = _ROW * row + _MARGIN
        early = ' class="early"' if line.status is Status.TOO_EARLY else ""
        parts.append(
            f"<g{early}><title>{_safe(line.model)}: {line.score:.0f} ({line.low:.0f} to {line.high:.0f})</title>"
            f'<text x="{_NAMES - 12}" y="{y + 5}" text-anchor="end">'
            f"{escape(clean_name(line.model, _NAME_LIMIT))}</text>"
            f'<line class="interval" x1="{x(line.low)}" y1="{y}" x2="{x(line.high)}" y2="{y}"/>'
            f'<circle cx="{x(line.score)}" cy="{y}" r="5"/></g>'
        )
    return "\n".join([*parts, "</svg>"])


def _scale(low: float, high: float) -> tuple[int, int, int]:
    """Ends and step of an axis over these scores, in round figures."""
    raw = max(high - low, 1.0) / 8
    power = 10 ** math.floor(math.log10(raw))
    step = max(1, next((round(power * factor) for factor in _STEPS if power * factor >= raw), round(power * 10)))
    return math.floor(low / step) * step, math.ceil(high / step) * step, step
