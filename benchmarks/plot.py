"""Bars as SVG, for docs/: one group of bars for each load, one bar for each way. No library, so that anyone can look at
how they are drawn."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final

FIGURES: Final = Path(__file__).resolve().parents[1] / "docs" / "figures"
COLORS: Final = ("#8a94a6", "#c08a3e", "#3b6fd4", "#3d9a6b")  # legible on light and on dark pages
HEIGHT, BAR, GAP, LEFT, TOP, FOOT = 220, 34, 40, 12, 56, 46


def bars(name: str, title: str, groups: Mapping[str, Mapping[str, float]], *, unit: str) -> Path:
    """Writes `docs/figures/<name>.svg`. `groups`: load → way → value; every group has the same ways."""
    ways = list(next(iter(groups.values())))
    highest = max(value for group in groups.values() for value in group.values()) or 1.0
    width = LEFT * 2 + sum(len(group) * BAR + GAP for group in groups.values())
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{TOP + HEIGHT + FOOT}" '
        f'font-family="sans-serif" font-size="12" fill="#6b7280" role="img" aria-label="{escape(title)}">',
        f'<text x="{LEFT}" y="18" font-size="14" font-weight="600">{escape(title)} ({escape(unit)})</text>',
        *_legend(ways),
    ]
    left = LEFT + GAP / 2
    for load, group in groups.items():
        for at, way in enumerate(ways):
            parts += _bar(left + at * BAR, group[way], highest, COLORS[at % len(COLORS)])
        middle = left + len(ways) * BAR / 2
        parts.append(f'<text x="{middle}" y="{TOP + HEIGHT + 20}" text-anchor="middle">{escape(load)}</text>')
        left += len(ways) * BAR + GAP
    FIGURES.mkdir(exist_ok=True)
    path = FIGURES / f"{name}.svg"
    path.write_text("\n".join([*parts, "</svg>", ""]))
    return path


def _legend(ways: Sequence[str]) -> list[str]:
    parts, left = [], float(LEFT)
    for at, way in enumerate(ways):
        parts.append(f'<rect x="{left}" y="28" width="10" height="10" fill="{COLORS[at % len(COLORS)]}"/>')
        parts.append(f'<text x="{left + 15}" y="37">{escape(way)}</text>')
        left += 30 + 7 * len(way)
    return parts


def _bar(left: float, value: float, highest: float, color: str) -> list[str]:
    tall = HEIGHT * 0.9 * value / highest
    top = TOP + HEIGHT - tall
    return [
        f'<rect x="{left + 2}" y="{top:.1f}" width="{BAR - 4}" height="{tall:.1f}" rx="2" fill="{color}"/>',
        f'<text x="{left + BAR / 2}" y="{top - 5:.1f}" text-anchor="middle">{value:.3g}</text>',
    ]
