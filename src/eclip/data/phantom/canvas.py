"""Drawing in the chest's own coordinates: a frame that maps them to pixels, filled outlines, strokes, noise.

Chest coordinates: the midline is x = 0, the patient's left is positive (right in the image), the inner chest
wall at its widest is |x| = 1 (about 14.5 cm); y runs down from the lung apices (0) to the costophrenic angles
(1.8).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Field = NDArray[np.float32]  # (H, W)
Points = NDArray[np.float64]  # (N, 2), chest coordinates

MILLIMETRE = 1 / 145
_SUPERSAMPLING = 2  # shapes are drawn larger and averaged down: smooth edges for little
_COARSE = 2
_CORTEX = 0.009  # width of a bone's bright edge
_SHEET = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Where the chest lies on the picture.

    Attributes:
        height: Pixels.
        width: Pixels.
        matrix: (2, 3), chest coordinates to pixels.
        unit: Pixels that one chest unit is long, on average.
        x: Chest x of each pixel centre.
        y: Chest y of each pixel centre.
    """

    height: int
    width: int
    matrix: NDArray[np.float64]
    unit: float
    x: Field
    y: Field

    @classmethod
    def place(cls, height: int, width: int, matrix: NDArray[np.float64]) -> "Frame":
        """A frame for an affine map from chest coordinates to pixels."""
        linear = np.linalg.inv(matrix[:, :2])
        column = (np.arange(width) + 0.5 - matrix[0, 2])[None, :]
        row = (np.arange(height) + 0.5 - matrix[1, 2])[:, None]
        x, y = (
            (linear[k, 0] * column).astype(np.float32) + (linear[k, 1] * row).astype(np.float32)
            for k in range(2)
        )
        return cls(height, width, matrix, float(np.sqrt(abs(np.linalg.det(matrix[:, :2])))), x, y)

    def pixels(self, points: Points) -> Points:
        """Chest coordinates (…, 2) as pixels."""
        return points @ self.matrix[:, :2].T + self.matrix[:, 2]

    def fractions(self, points: Points) -> Points:
        """Chest coordinates (…, 2) as fractions of width and height."""
        return self.pixels(points) / (self.width, self.height)

    def coarser(self) -> "Frame":
        """The same view with half the pixels along each side, for what has no fine detail."""
        matrix = self.matrix / _COARSE
        return Frame.place(-(-self.height // _COARSE), -(-self.width // _COARSE), matrix)

    def enlarged(self, coarse: Field) -> Field:
        """A field of the coarser frame on this one, bicubic."""
        box = (0, 0, self.width / _COARSE, self.height / _COARSE)
        size = (self.width, self.height)
        return np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC, box))

    def fill(self, shapes: Iterable[tuple[Points, float]], *, blur: float = 0.0) -> Field:
        """Filled outlines (…, N, 2) with their values in [0, 1]; a later one covers an earlier one.

        Edges are antialiased, or blurred by a Gaussian of `blur` chest units.
        """
        scale = 1 if blur else _SUPERSAMPLING
        canvas, draw = self._canvas(scale)
        for points, value in shapes:
            for outline in self._paths(points, scale):
                draw.polygon(outline, fill=round(255 * value))
        if blur:
            canvas = canvas.filter(ImageFilter.GaussianBlur(blur * self.unit))
        return _field(canvas, scale)

    def stroke(self, lines: Iterable[tuple[Points, float, float]]) -> Field:
        """Lines (…, N, 2) with their widths in chest units and values in [0, 1]."""
        canvas, draw = self._canvas(_SUPERSAMPLING)
        for points, width, value in lines:
            thickness = self._thickness(width)
            for path in self._paths(points, _SUPERSAMPLING):
                draw.line(path, round(255 * value), thickness, "curve" if thickness > 3 else None)
        return _field(canvas, _SUPERSAMPLING)

    def segments(self, ends_N4: Points, widths_N: Points, values_N: Points) -> Field:
        """Many straight segments (x0, y0, x1, y1), widths in chest units, values in [0, 1]."""
        canvas, draw = self._canvas(_SUPERSAMPLING)
        paths = self._paths(ends_N4.reshape(-1, 2, 2), _SUPERSAMPLING)
        thickness = np.maximum(np.rint(widths_N * self.unit * _SUPERSAMPLING), 1).astype(int).tolist()
        values = np.rint(np.clip(values_N, 0, 1) * 255).astype(int).tolist()
        for path, width, value in zip(paths, thickness, values, strict=True):
            draw.line(path, value, width)
        return _field(canvas, _SUPERSAMPLING)

    def bands(self, edges: Iterable[tuple[Points, Points]], *, inside: float, edge: float) -> Field:
        """Bands between two edges (…, N, 2), with one value inside and another along both edges."""
        canvas, draw = self._canvas(_SUPERSAMPLING)
        thickness, inner, outer = self._thickness(_CORTEX), round(255 * inside), round(255 * edge)
        for upper, lower in edges:
            there, back = (self._paths(side, _SUPERSAMPLING) for side in (upper, lower[..., ::-1, :]))
            for one, other in zip(there, back, strict=True):
                draw.polygon(one + other, fill=inner)
                draw.line(one, outer, thickness)
                draw.line(other, outer, thickness)
        return _field(canvas, _SUPERSAMPLING)

    def _paths(self, points: Points, scale: int) -> list[list[float]]:
        """Chest points (…, N, 2) as flat pixel lists of the supersampled canvas."""
        pixels = self.pixels(points) * scale
        return pixels.reshape(-1, 2 * points.shape[-2]).tolist()

    def _thickness(self, width: float) -> int:
        return max(1, round(width * self.unit * _SUPERSAMPLING))

    def _canvas(self, scale: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
        canvas = Image.new("L", (self.width * scale, self.height * scale))
        return canvas, ImageDraw.Draw(canvas)


def _field(canvas: Image.Image, scale: int) -> Field:
    if scale > 1:
        canvas = canvas.reduce(scale)
    return np.asarray(canvas) * np.float32(1 / 255)


def clouds(frame: Frame, rng: np.random.Generator, *, lump: int) -> Field:
    """Smooth noise of about unit variance with lumps of `lump` pixels; 1 gives white noise.

    A random window of a larger sheet that is made once: noise is the dearest part of a picture otherwise.
    """
    sheet = _sheet(lump)
    top, left = (int(rng.integers(len(sheet) - side + 1)) for side in (frame.height, frame.width))
    window = sheet[top : top + frame.height, left : left + frame.width]
    return window[:: int(rng.choice((-1, 1))), :: int(rng.choice((-1, 1)))]


@cache
def _sheet(lump: int) -> Field:
    rng = np.random.default_rng(lump)
    coarse = rng.standard_normal((_SHEET // lump, _SHEET // lump), dtype=np.float32)
    if lump == 1:
        return coarse
    return np.asarray(Image.fromarray(coarse).resize((_SHEET, _SHEET), Image.Resampling.BICUBIC))


def curve(points: Sequence[tuple[float, float]] | Points, *, closed: bool = False, steps: int = 8) -> Points:
    """A smooth (Catmull-Rom) curve through control points, `steps` samples a segment."""
    knots = np.asarray(points, dtype=np.float64)
    around = [knots[-1:], knots, knots[:2]] if closed else [knots[:1], knots, knots[-1:]]
    padded = np.concatenate(around)
    windows_N42 = np.stack([padded[k : len(padded) - 3 + k] for k in range(4)], axis=1)
    samples = (_catmull_rom(steps) @ windows_N42).reshape(-1, 2)
    return samples if closed else np.concatenate([samples, knots[-1:]])


@cache
def _catmull_rom(steps: int) -> NDArray[np.float64]:
    """(steps, 4) weights of the four knots around a segment."""
    t = np.arange(steps)[:, None] / steps
    basis = np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]]) / 2
    return t ** np.arange(4) @ basis


def ellipse(x: float, y: float, radius_x: float, radius_y: float) -> Points:
    """The outline of an ellipse."""
    angle = np.linspace(0, 2 * np.pi, 33)[:-1]
    return np.stack([x + radius_x * np.cos(angle), y + radius_y * np.sin(angle)], axis=1)


def moved(points: Points, x: float, y: float = 0.0) -> Points:
    """Points shifted by (x, y)."""
    return points + np.array([x, y])


def mirrored(points: Points, sign: float) -> Points:
    """Points given for the patient's left, on the side of `sign` (-1 right, +1 left)."""
    return points * (sign, 1.0)
