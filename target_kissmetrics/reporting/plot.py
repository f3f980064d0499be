"""Lines over the time of a run, as SVG in a page: no script, colours from the page's CSS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby

_WIDTH, _HEIGHT = 480, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 460, 12, 166
"""Of the plot proper; the rest is for the labels of the axes."""

Line = Sequence[float | None]
"""A value for each moment; None where there is none."""


def plot(title: str, unit: str, moments: Sequence[float], lines: Mapping[str, Line], *, until: float) -> str:
    """Draw at most three lines; an empty text if none has a value.

    Args:
        title: What is plotted.
        unit: Of the values.
        moments: The middle of each stretch, in seconds since the start.
        lines: By their names. A line is broken where a value is missing.
        until: Where the time ends, in seconds.
    """
    values = {name: [value for value in line if value is not None] for name, line in lines.items()}
    drawn = [name for name in lines if values[name]]
    if not drawn:
        return ""
    top = max(max(values[name]) for name in drawn) or 1.0
    until = until or 1.0
    xs = [_LEFT + (_RIGHT - _LEFT) * min(1.0, moment / until) for moment in moments]
    parts = []
    for part in (0, 0.25, 0.5, 0.75, 1):
        y, x = _BOTTOM - (_BOTTOM - _TOP) * part, _LEFT + (_RIGHT - _LEFT) * part
        parts += [
            f'<line x1="{_LEFT}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>',
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{number(part * top)}</text>',
            f'<text x="{x:.1f}" y="{_HEIGHT - 12}" text-anchor="middle">{number(part * until)} s</text>',
        ]
    for index, name in enumerate(drawn):
        for is_gap, run in groupby(zip(xs, lines[name], strict=True), key=lambda point: point[1] is None):
            points = [f"{x:.1f},{_BOTTOM - (_BOTTOM - _TOP) * (value or 0.0) / top:.1f}" for x, value in run]
            if not is_gap:
                # A line to itself is a dot: its ends are round.
                parts.append(f'<polyline class="line-{index}" points="{" ".join([*points, points[-1]])}"/>')
    words = "; ".join(f"{name}: from {number(min(values[name]))} to {number(max(values[name]))}" for name in drawn)
    names = [f'<li><span class="line-{index}"></span>{escape(name)}</li>' for index, name in enumerate(drawn)]
    return (
        f"<figure><figcaption>{escape(title)} <span class=soft>({escape(unit)})</span></figcaption>"
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(f"{title}. {words}")}">'
        + "".join(parts)
        + "</svg>"
        + (f'<ul class="legend">{"".join(names)}</ul>' if len(names) > 1 else "")
        + "</figure>"
    )


def number(value: float) -> str:
    """Write a number with three significant digits, or whole."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
