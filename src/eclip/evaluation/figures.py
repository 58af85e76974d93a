"""The page's drawings: SVG and small pictures, inside the page, in its own colours and type.

Colours and strokes are CSS classes of `page.html` (`s0`, `s1`, … for series, `g0`, `g1`, … for groups), so that a
drawing follows the reader's light or dark mode.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from matplotlib.ticker import MaxNLocator
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from eclip.evaluation.statistics import Metric

Range = tuple[float, float]
SERIES = 6  # colours for models; a seventh starts again
_HEAT_RGB = np.array([255.0, 150.0, 30.0])
_POINTS_A_LINE = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One curve.

    Attributes:
        name: For the reader of the chart and its description.
        x: (n,) rising.
        y: (n,).
        style: CSS classes, e.g. "s0" or "s1 validation".
        band_2n: Low and high ends of an interval around each y, (2, n), if there are any.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    style: str
    band_2n: np.ndarray | None = None


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    x_label: str,
    x_range: Range | None = None,
    y_range: Range | None = None,
    x_names: Mapping[float, str] | None = None,
) -> Markup:
    """A small chart of curves with a quiet grid.

    Args:
        lines: At least one.
        title: What the description starts with.
        x_label: Under the chart.
        x_range: From where to where; without it x are counts, and all of them are shown.
        y_range: The same; without it the outermost 1 % of the values at each end are left out.
        x_names: What stands at which x, instead of round numbers.
    """
    width, height, right, top, bottom = 340, 210, 18, 10, 34
    x_all = np.concatenate([line.x for line in lines])
    bands = [line.band_2n.ravel() for line in lines if line.band_2n is not None]
    y_all = np.concatenate([*(line.y for line in lines), *bands])
    x_low, x_high = x_range or (min(0.0, float(x_all.min())), max(1.0, float(x_all.max())))
    y_shown = y_range or _padded(*np.percentile(y_all, (1, 99)))
    y_ticks = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(*y_shown)
    y_low, y_high = float(y_ticks[0]), float(y_ticks[-1])
    y_names = [f"{tick:.6g}" for tick in y_ticks]
    left = max(46, 10 + 7 * max(map(len, y_names)))
    ticks = MaxNLocator(4, integer=x_range is None).tick_values(x_low, x_high)
    x_ticks = x_names or {tick: _tick(tick) for tick in ticks if x_low <= tick <= x_high}

    def across(x: np.ndarray | float) -> np.ndarray:
        return left + (np.asarray(x) - x_low) / (x_high - x_low) * (width - left - right)

    def up(y: np.ndarray | float) -> np.ndarray:
        inside = np.clip(y, y_low, y_high)
        return height - bottom - (inside - y_low) / (y_high - y_low) * (height - top - bottom)

    parts = []
    for tick, name in zip(y_ticks, y_names, strict=True):
        y = up(tick)
        parts.append(f'<line class="grid" x1="{left}" x2="{width - right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 3.5:.1f}" text-anchor="end">{name}</text>')
    parts += [
        f'<text x="{across(tick):.1f}" y="{height - bottom + 15}" text-anchor="middle">{escape(name)}</text>'
        for tick, name in x_ticks.items()
    ]
    parts.append(
        f'<text x="{(left + width - right) / 2}" y="{height - 3}" text-anchor="middle">{escape(x_label)}</text>'
    )

    def points(x: np.ndarray, y: np.ndarray) -> str:
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across(x), up(y), strict=True))

    for line in lines:
        if line.band_2n is not None:
            low_n, high_n = line.band_2n
            around = points(np.r_[line.x, line.x[::-1]], np.r_[low_n, high_n[::-1]])
            parts.append(f'<polygon class="band {line.style}" points="{around}"/>')
    for line in lines:
        parts.append(f'<polyline class="line {line.style}" points="{points(line.x, line.y)}"/>')
        parts.append(
            f'<circle class="dot {line.style}" r="2.2" cx="{across(line.x[-1]):.1f}" cy="{up(line.y[-1]):.1f}"/>'
        )
    last = ", ".join(f"{line.name} ends at {line.y[-1]:.3g}" for line in lines)
    return _svg(parts, width, height, label=f"{title}: {last}.")


def smoothed(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of neighbours in at most 240 equal groups: fewer points, the same curve without its noise."""
    groups = min(len(x), max(1, min(_POINTS_A_LINE, len(x) // 5) if len(x) > 25 else len(x)))
    starts = np.linspace(0, len(x), groups, endpoint=False).astype(int)
    sizes = np.diff(np.r_[starts, len(x)])
    return np.add.reduceat(x, starts) / sizes, np.add.reduceat(y, starts) / sizes


def scatter(
    points_N2: np.ndarray, groups: Sequence[int], names: Sequence[str], hollow: Sequence[bool], *, label: str
) -> Markup:
    """A map without axes: filled dots and rings, one colour a group; the name shows under the pointer."""
    side, margin = 400.0, 10.0
    low, high = points_N2.min(0), points_N2.max(0)
    at_N2 = margin + (points_N2 - low) / np.maximum(high - low, 1e-9) * (side - 2 * margin)
    parts = [
        f'<circle class="{"ring" if ring else "disc"} g{group}" cx="{x:.1f}" cy="{y:.1f}" r="{2.9 if ring else 3.2}">'
        f"<title>{escape(name)}</title></circle>"
        for (x, y), group, name, ring in zip(at_N2, groups, names, hollow, strict=True)
    ]
    return _svg(parts, side, side, label=label)


def flat_map(vectors_ND: np.ndarray) -> np.ndarray:
    """Lay vectors out in the plane, (N, 2): PCA to 50 dimensions, then t-SNE, from a fixed seed."""
    count, dimensions = vectors_ND.shape
    with threadpool_limits(1):  # for so few points threads only wait for each other
        pca = PCA(min(50, count, dimensions), svd_solver="full")
        reduced = pca.fit_transform(vectors_ND.astype(np.float64))
        if count < 20 or reduced.shape[1] < 3:
            return np.pad(reduced, ((0, 0), (0, 2)))[:, :2]
        perplexity = min(30.0, (count - 1) / 4)
        return TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(reduced)


def intervals(metrics: Sequence[Metric | None]) -> Markup:
    """One whisker a model that has the metric, on a scale that holds them all; a dotted tick marks chance."""
    width, step = 150, 12
    height = step * len(metrics) + 4
    known = [(i, m) for i, m in enumerate(metrics) if m is not None]
    chance = known[0][1].chance
    guess = [] if chance is None else [chance]
    low, high = min([m.low for _, m in known] + guess), max([m.high for _, m in known] + guess)

    def across(value: float) -> float:
        return 4 + float(np.clip((value - low) / max(high - low, 1e-12), 0, 1)) * (width - 8)

    parts = [f'<line class="grid" x1="4" x2="{width - 4}" y1="{height / 2}" y2="{height / 2}"/>']
    if chance is not None:
        x = f"{across(chance):.1f}"
        parts.append(f'<line class="chance" x1="{x}" x2="{x}" y1="1" y2="{height - 1}"/>')
    for i, m in known:
        y, style = 2 + step * (i + 0.5), f"s{i % SERIES}"
        parts.append(
            f'<line class="whisker {style}" x1="{across(m.low):.1f}" x2="{across(m.high):.1f}" y1="{y}" y2="{y}"/>'
            f'<circle class="dot {style}" r="3.4" cx="{across(m.value):.1f}" cy="{y}"/>'
        )
    return Markup(  # noqa: S704 (names are escaped above)
        f'<svg class="whiskers" viewBox="0 0 {width} {height}" aria-hidden="true">{"".join(parts)}</svg>'
    )


def interval_chart(rows: Sequence[tuple[str, Metric]], *, title: str) -> Markup:
    """Named values with their intervals on one scale, one above the other; dotted ticks mark chance.

    Args:
        rows: At least one; from top to bottom.
        title: Under the axis.
    """
    step, top, bottom, width, right = 20, 6, 34, 340, 18
    height = top + step * len(rows) + bottom
    ends = [end for _, m in rows for end in (m.low, m.high, m.value if m.chance is None else m.chance)]
    ticks = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(*_padded(min(ends), max(ends)))
    left = 12 + 6.2 * max(len(name) for name, _ in rows)

    def across(value: float) -> str:
        return f"{left + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (width - left - right):.1f}"

    base = height - bottom
    parts = []
    for tick in ticks:
        x = across(tick)
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{top}" y2="{base}"/>')
        parts.append(f'<text x="{x}" y="{base + 14}" text-anchor="middle">{tick:.6g}</text>')
    for i, (name, m) in enumerate(rows):
        y = top + step * (i + 0.5)
        parts.append(f'<text x="{left - 8}" y="{y + 3.5}" text-anchor="end">{escape(name)}</text>')
        if m.chance is not None:
            x = across(m.chance)
            parts.append(f'<line class="chance" x1="{x}" x2="{x}" y1="{y - 8}" y2="{y + 8}"/>')
        parts.append(
            f'<line class="whisker s0" x1="{across(m.low)}" x2="{across(m.high)}" y1="{y}" y2="{y}"/>'
        )
        parts.append(f'<circle class="dot s0" r="3.4" cx="{across(m.value)}" cy="{y}"/>')
    middle = (left + width - right) / 2
    parts.append(f'<text x="{middle}" y="{height - 4}" text-anchor="middle">{escape(title)}</text>')
    values = ", ".join(f"{name} {m.value:.3g}" for name, m in rows)
    return _svg(parts, width, height, label=f"{title}: {values}.")


def picture(image: np.ndarray) -> str:
    """An image, uint8 (H, W) or (H, W, 3), as the address of a JPEG inside the page."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def overlay(image_HW: np.ndarray, heatmap_HW: np.ndarray) -> np.ndarray:
    """An image, uint8, with its heatmap in [0, 1] laid over it in one warm colour, uint8 (H, W, 3)."""
    strength = 0.7 * np.clip(heatmap_HW, 0, 1)[..., None]
    return (image_HW[..., None] * (1 - strength) + _HEAT_RGB * strength).astype(np.uint8)


def _tick(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:.6g}"


def _padded(low: float, high: float) -> tuple[float, float]:
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(high) + 0.5)


def _svg(parts: Sequence[str], width: float, height: float, *, label: str) -> Markup:
    return Markup(  # noqa: S704 (names are escaped above)
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )
