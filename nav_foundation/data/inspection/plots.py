"""Plots as SVG, in the colours of the page."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np

_POINTS = 160  # of a drawn trajectory
_MARK = "#dc2626"


def colour_of(number: int) -> str:
    """A colour for each of many things, neighbours far apart."""
    return f"hsl({(number * 137.508) % 360:.0f} 65% 50%)"  # the golden angle


def trajectories(
    paths: Sequence[np.ndarray], labels: Sequence[str], marks: Sequence[Sequence[int]], size: tuple[int, int],
    colours: Sequence[str] | None = None,
) -> str:
    """Paths [T, 2 or more] in metres seen from above, x to the right and y up; `marks` are frames ringed in red."""
    width, height = size
    every = np.concatenate([path[:, :2] for path in paths]) if paths else np.zeros((1, 2))
    lower, upper = every.min(axis=0), every.max(axis=0)
    room = np.maximum(upper - lower, 1.0)  # m; what stands still is no plot of its trembling
    scale = float(min((width - 24) / room[0], (height - 24) / room[1]))
    middle = (lower + upper) / 2

    def pixels(points: np.ndarray) -> np.ndarray:
        return (points[:, :2] - middle) * (scale, -scale) + (width / 2, height / 2)

    wide, thin = (2.0, 0.9) if len(paths) <= 40 else (1.2, 0.5)
    parts = []
    for number, (path, label, marked) in enumerate(zip(paths, labels, marks)):
        at = np.unique(np.linspace(0, len(path) - 1, min(_POINTS, len(path))).round().astype(int))
        colour = colours[number] if colours else colour_of(number)
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in pixels(path[at]))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="{wide}" opacity="{thin}" '
                     f'stroke-linejoin="round"><title>{html.escape(label)}</title></polyline>')
        x, y = pixels(path[:1])[0]
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{1.6 * wide:.1f}" fill="{colour}"/>')
        for x, y in pixels(path[list(marked)]) if len(marked) else ():
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="none" stroke="{_MARK}" stroke-width="2"/>')
    return _svg(width, height, "".join(parts) + _scale_bar(scale, height))


def histogram(counts: np.ndarray, edges: np.ndarray, unit: str, size: tuple[int, int] = (560, 200)) -> str:
    """Bars of counts [N] between edges [N + 1], those at empty ends left away."""
    filled = np.flatnonzero(counts)
    if not len(filled):
        return '<p class="quiet">nothing moves</p>'
    first, end = max(0, filled[0] - 1), min(len(counts), filled[-1] + 2)
    counts, edges = counts[first:end], edges[first : end + 1]
    width, height = size
    floor, step = height - 34, (width - 20) / len(counts)
    tallest, total = counts.max(), counts.sum()
    bars = []
    for k, count in enumerate(counts):
        tall = max(1.0, float(count / tallest) * (floor - 8)) if count else 0.0
        about = f"{edges[k]:.2f} to {edges[k + 1]:.2f} {unit}: {count / total:.1%}"
        bars.append(f'<rect x="{10 + k * step:.1f}" y="{floor - tall:.1f}" width="{max(1.0, step - 1):.1f}" '
                    f'height="{tall:.1f}" rx="1" fill="var(--accent)"><title>{about}</title></rect>')
    for value in _ticks(float(edges[0]), float(edges[-1])):
        x = 10 + (value - edges[0]) / (edges[-1] - edges[0]) * (width - 20)
        bars.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{floor}" y2="{floor + 4}" stroke="currentColor"/>'
                    f'<text x="{x:.1f}" y="{floor + 17}" text-anchor="middle">{value:g}</text>')
    bars.append(f'<line x1="10" x2="{width - 10}" y1="{floor}" y2="{floor}" stroke="currentColor"/>'
                f'<text x="{width - 10}" y="{floor + 31}" text-anchor="end">{unit}</text>')
    return _svg(width, height, "".join(bars))


def _ticks(low: float, high: float) -> list[float]:
    steps = (0.05, 0.1, 0.2, 0.5, 1.0)
    step = next((s for s in steps if (high - low) / s <= 10), steps[-1])
    return [round(k * step, 2) for k in range(int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9)) + 1)]


def _scale_bar(scale: float, height: int) -> str:
    """A round number of metres, about 60 px long."""
    rounded = [base * 10.0**power for power in range(-2, 5) for base in (1, 2, 5)]
    metres = min(rounded, key=lambda length: abs(length * scale - 60))
    return (f'<path d="M10,{height - 10} h{metres * scale:.1f}" stroke="currentColor" stroke-width="2"/>'
            f'<text x="10" y="{height - 15}">{metres:g} m</text>')


def _svg(width: int, height: int, inside: str) -> str:
    return (f'<svg class="plot" viewBox="0 0 {width} {height}" role="img" xmlns="http://www.w3.org/2000/svg">'
            f"{inside}</svg>")
