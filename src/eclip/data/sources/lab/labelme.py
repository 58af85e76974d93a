"""LabelMe: a JSON file an image, of shapes that people drew (github.com/wkentaro/labelme)."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import dist
from pathlib import Path
from typing import Any

import numpy as np

from eclip.annotations.annotation import Annotation
from eclip.annotations.outline import inside
from eclip.annotations.reading import Rejection
from eclip.data.images import Shrunk
from eclip.data.sources.image_files import files_below
from eclip.data.sources.lab.annotation_cells import Part
from eclip.data.sources.lab.image_names import ImageNames
from eclip.data.sources.lab.json_values import a_list, a_name, an_object, read_json, shown
from eclip.data.sources.lab.shapes import Size, box_region, ellipse_region, frame, points_of, polygon_region
from eclip.data.sources.masks import mask_region
from eclip.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMeFile:
    """The shapes of one image: rectangles become boxes, circles ellipses, polygons masks; others are rejected.

    Shapes of one label and one group are parts of one object, and become one mask.
    """

    path: Path
    reader: str

    def __call__(self, image: Shrunk) -> Iterator[Annotation | Rejection]:
        """One annotation an object."""
        file = str(self.path)
        try:
            content = an_object(read_json(self.path), file)
            size = frame(content.get("imageWidth"), content.get("imageHeight"), image)
            shapes = a_list(content.get("shapes"), "shapes")
        except InputError as error:
            yield Rejection(file, "", str(error))
            return
        objects: dict[tuple[str, str], list[Annotation]] = {}
        for place, shape in enumerate(shapes):
            try:
                group = a_name(an_object(shape, "shape").get("group_id"), "group_id")
                drawn = self._shape(shape, size)
                objects.setdefault((drawn.label, group or f"shape {place}"), []).append(drawn)
            except InputError as error:
                yield Rejection(file, f"shapes[{place}]", str(error))
        for parts in objects.values():
            try:
                yield parts[0] if len(parts) == 1 else _joined(parts, image)
            except InputError as error:
                yield Rejection(file, f"group of {len(parts)} shapes {parts[0].label!r}", str(error))

    def _shape(self, shape: dict[str, Any], size: Size) -> Annotation:
        label, kind = a_name(shape.get("label"), "label"), shape.get("shape_type", "polygon")
        points = points_of(shape.get("points"))
        if kind == "polygon":
            return Annotation(
                "mask", self.reader, label, region=polygon_region([list(p) for p in points], size)
            )
        if kind not in ("rectangle", "circle"):
            raise InputError(f"shape {shown(kind)}; expected polygon, rectangle or circle")
        if len(points) != 2:
            raise InputError(f"{kind} of {len(points)} points; expected two")
        if kind == "circle":
            region = ellipse_region(points[0], dist(*points), size)
            return Annotation("ellipse", self.reader, label, region=region)
        (x0, x1), (y0, y1) = (sorted(side) for side in zip(*points, strict=True))
        return Annotation("box", self.reader, label, region=box_region([x0, y0, x1, y1], size))


def read_labelme(
    folder: Path, names: ImageNames, reader: str
) -> tuple[dict[str, list[Part]], list[Rejection]]:
    """Find the files of images, named like them: image id to its file, and the files that belong to no image.

    Raises:
        InputError: No such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected LabelMe's JSON files named like the images")
    found: dict[str, list[Part]] = {}
    rejected = []
    for path in sorted(path for path in files_below(folder) if path.suffix.lower() == ".json"):
        try:
            image_id = names.find(path.relative_to(folder).as_posix())
            found.setdefault(image_id, []).append(LabelMeFile(path=path, reader=reader))
        except InputError as error:
            rejected.append(Rejection(str(path), "", str(error)))
    return found, rejected


def _joined(parts: list[Annotation], image: Shrunk) -> Annotation:
    inside_HW = np.any([inside(part, *image.pixels.shape) for part in parts], axis=0)
    if not inside_HW.any():
        raise InputError("no pixel is inside")
    return Annotation("mask", parts[0].reader, parts[0].label, region=mask_region(inside_HW, image))
