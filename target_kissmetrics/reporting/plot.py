"""Lines over the time of a run, as SVG that stands in a page: no script, colours from the page's CSS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 480, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 20, 12, 34
_TICKS = 4

STYLE = """
.plot { width: 100%; height: auto; background: var(--panel); border: 1px solid var(--line); border-radius: .4rem; }
.plot text { fill: var(--soft); font: 12px system-ui, sans-serif; }
.plot .grid { stroke: var(--line); stroke-width: 1; }
.plot polyline { fill: none; stroke-width: 2; stroke-linejoin: round; } .plot circle { stroke: none; }
.line-0 { stroke: var(--link); fill: var(--link); } .line-1 { stroke: var(--warn); fill: var(--warn);
  stroke-dasharray: 6 4; } .line-2 { stroke: var(--id); fill: var(--id); stroke-dasharray: 2 3; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; list-style: none; padding: 0; margin: .3rem 0 .6rem; }
.legend svg { width: 2rem; height: .6rem; margin-right: .4rem; vertical-align: middle; }
.legend line { stroke-width: 3; }
figure { margin: .5rem 0 0; } figcaption { font-weight: 600; padding: .25rem 0; }
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plot.

    Attributes:
        name: For the legend.
        values: One for each moment; None where there is none.
    """

    name: str
    values: Sequence[float | None]


def plot(title: str, unit: str, moments: Sequence[float], lines: Sequence[Line], *, until: float) -> str:
    """Draw lines.

    Args:
        title: What is seen.
        unit: Of the values.
        moments: The middle of each stretch, in seconds since the start.
        lines: Three at most; those without any value are left out.
        until: Where the time ends, in seconds.
    """
    drawn = [line for line in lines if any(value is not None for value in line.values)]
    if not drawn:
        return ""
    highest = max(value for line in drawn for value in line.values if value is not None)
    step = nice_step(highest / _TICKS)
    top = step * max(1, math.ceil(highest / step - 1e-9))
    parts = [*_grid(step, top), *_times(until)]
    for number, line in enumerate(drawn):
        parts += _line(number, line, moments, top, until)
    told = "; ".join(f"{line.name}: {_told(line)}" for line in drawn)
    return (
        f"<figure><figcaption>{escape(title)} <span class=soft>({escape(unit)})</span></figcaption>"
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(f"{title}. {told}")}">'
        f"{''.join(parts)}</svg>{_legend(drawn)}</figure>"
    )


def number(value: float) -> str:
    """Write a number with three digits that count, without an exponent."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{min(digits, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def nice_step(least: float) -> float:
    """Give 1, 2 or 5 times a power of ten, the smallest that is not below `least`."""
    if least <= 0:
        return 1.0
    power = float(10.0 ** math.floor(math.log10(least)))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))


def _grid(step: float, top: float) -> list[str]:
    parts = []
    for index in range(round(top / step) + 1):
        y = _y(index * step, top)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{number(index * step)}</text>'
        )
    return parts


def _times(until: float) -> list[str]:
    step = nice_step(until / 5)
    parts = []
    for index in range(int(until / step) + 1):
        x = _x(index * step, until)
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 12}" text-anchor="middle">{number(index * step)} s</text>')
    return parts


def _line(index: int, line: Line, moments: Sequence[float], top: float, until: float) -> list[str]:
    """Draw a line; where a value is missing, it is broken, and a value alone is a dot."""
    stretches: list[list[str]] = [[]]
    for moment, value in zip(moments, line.values, strict=True):
        if value is None:
            stretches.append([])
        else:
            stretches[-1].append(f"{_x(moment, until):.1f},{_y(value, top):.1f}")
    parts = []
    for points in stretches:
        if len(points) == 1:
            x, _, y = points[0].partition(",")
            parts.append(f'<circle class="line-{index}" cx="{x}" cy="{y}" r="3"/>')
        elif points:
            parts.append(f'<polyline class="line-{index}" style="fill:none" points="{" ".join(points)}"/>')
    return parts


def _legend(lines: Sequence[Line]) -> str:
    items = "".join(
        f'<li><svg viewBox="0 0 32 10" aria-hidden="true"><line class="line-{index}" x1="0" x2="32" y1="5" y2="5"/>'
        "</svg>"
        f"{escape(line.name)}</li>"
        for index, line in enumerate(lines)
    )
    return "" if len(lines) == 1 else f'<ul class="legend">{items}</ul>'


def _told(line: Line) -> str:
    values = [value for value in line.values if value is not None]
    return f"from {number(min(values))} to {number(max(values))}"


def _x(moment: float, until: float) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * min(1.0, moment / until if until > 0 else 0.0)


def _y(value: float, top: float) -> float:
    return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * value / top
