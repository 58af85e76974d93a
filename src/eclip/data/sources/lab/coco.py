"""COCO JSON: boxes, polygons and run-length masks of many images in one file (cocodataset.org, "Data format")."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eclip.annotations.annotation import Annotation, Region
from eclip.annotations.outline import inside
from eclip.annotations.reading import Rejection
from eclip.data.images import Shrunk
from eclip.data.sources.lab.annotation_cells import Part
from eclip.data.sources.lab.image_names import ImageNames
from eclip.data.sources.lab.json_values import a_list, a_name, a_number, an_object, read_json, shown
from eclip.data.sources.lab.shapes import Size, box_region, frame, polygon_region
from eclip.data.sources.masks import mask_of_runs, mask_region
from eclip.errors import InputError

_MOST_PIXELS = 100_000_000  # of a run-length code, which can claim to be of any size


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoObjects:
    """What a COCO file says of one image.

    Attributes:
        file: The COCO file.
        image: Its entry in "images".
        objects: (place in "annotations", label, entry) of each object.
        reader: Who drew them.
    """

    file: str
    image: dict[str, Any]
    objects: tuple[tuple[int, str, dict[str, Any]], ...]
    reader: str

    def __call__(self, image: Shrunk) -> Iterator[Annotation | Rejection]:
        """One annotation an object: its segmentation if there is one, else its box."""
        try:
            size = frame(self.image.get("width"), self.image.get("height"), image)
        except InputError as error:
            yield Rejection(self.file, f"image {shown(self.image.get('id'))}", str(error))
            return
        for place, label, entry in self.objects:
            try:
                if entry.get("segmentation"):
                    region = _segmentation(entry["segmentation"], size, image)
                    yield Annotation("mask", self.reader, label, region=region)
                else:
                    yield Annotation("box", self.reader, label, region=_box(entry.get("bbox"), size))
            except InputError as error:
                yield Rejection(self.file, f"annotations[{place}]", str(error))


def read_coco(path: Path, names: ImageNames, reader: str) -> tuple[dict[str, list[Part]], list[Rejection]]:
    """Read a file: image id to its objects, and what belongs to no image.

    Raises:
        InputError: No such file, or not in COCO's form.
    """
    content = an_object(read_json(path), str(path))
    lists = {
        name: a_list(content.get(name), f"{path}: {name!r}")
        for name in ("images", "annotations", "categories")
    }
    rejected: list[Rejection] = []

    def entries(name: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """(place, id, entry) of those that are entries."""
        for place, value in enumerate(lists[name]):
            try:
                entry = an_object(value, "entry")
                yield place, a_name(entry.get("id"), "id"), entry
            except InputError as error:
                rejected.append(Rejection(str(path), f"{name}[{place}]", str(error)))

    def listed(name: str) -> dict[str, tuple[int, dict[str, Any]]]:
        """(place, entry) by id; none of an id that comes twice, since nobody knows which is meant."""
        found = list(entries(name))
        times = Counter(key for _, key, _ in found)
        for place, key, _ in found:
            if not key or times[key] > 1:
                reason = f"id {key[:60]} comes {times[key]} times" if key else "no id"
                rejected.append(Rejection(str(path), f"{name}[{place}]", reason))
        return {key: (place, entry) for place, key, entry in found if key and times[key] == 1}

    labels: dict[str, str] = {}
    for key, (place, entry) in listed("categories").items():
        try:
            labels[key] = a_name(entry.get("name"), "name")
        except InputError as error:
            rejected.append(Rejection(str(path), f"categories[{place}]", str(error)))
    images = listed("images")
    objects: dict[str, list[tuple[int, str, dict[str, Any]]]] = {}
    for place, _, entry in entries("annotations"):
        try:
            image = a_name(entry.get("image_id"), "image_id")
            label = labels.get(a_name(entry.get("category_id"), "category_id"))
            if image not in images or label is None:
                what = "image" if image not in images else "category"
                raise InputError(
                    f"{what} {shown(entry.get(f'{what}_id'))} is not listed in the file, or twice"
                )
            objects.setdefault(image, []).append((place, label, entry))
        except InputError as error:
            rejected.append(Rejection(str(path), f"annotations[{place}]", str(error)))
    found: dict[str, list[Part]] = {}
    for key, (place, entry) in images.items():
        of_image = tuple(objects.get(key, ()))
        try:
            image_id = names.find(a_name(entry.get("file_name"), "file_name"))
            part = CocoObjects(file=str(path), image=_brief(entry), objects=of_image, reader=reader)
            found.setdefault(image_id, []).append(part)
        except InputError as error:
            reason = f"{error}; its {len(of_image)} annotations are left out"
            rejected.append(Rejection(str(path), f"images[{place}]", reason))
    return found, rejected


def _brief(image: dict[str, Any]) -> dict[str, Any]:
    return {name: image.get(name) for name in ("id", "width", "height")}


def _box(value: Any, size: Size) -> Region:
    if not isinstance(value, list) or len(value) != 4:
        raise InputError("expected a bbox as [x, y, width, height]")
    x, y, width, height = (a_number(number, "bbox") for number in value)
    return box_region([x, y, x + width, y + height], size)


def _segmentation(value: Any, size: Size, image: Shrunk) -> Region:
    """One polygon as it is; several, which are parts of one object, and run-length codes as a mask."""
    if isinstance(value, dict):
        return _runs(value, image)
    polygons = [polygon_region(_pairs(part), size) for part in a_list(value, "segmentation")]
    if len(polygons) == 1:
        return polygons[0]
    inside_HW = np.any(
        [inside(Annotation("mask", region=part), *image.pixels.shape) for part in polygons], axis=0
    )
    if not inside_HW.any():
        raise InputError("polygons without a pixel inside")
    return mask_region(inside_HW, image)


def _pairs(value: Any) -> list[list[Any]]:
    numbers = a_list(value, "polygon")
    if len(numbers) % 2:
        raise InputError(f"polygon of {len(numbers)} numbers; expected x, y, x, y, …")
    return [numbers[i : i + 2] for i in range(0, len(numbers), 2)]


def _runs(value: dict[str, Any], image: Shrunk) -> Region:
    size, counts = value.get("size"), value.get("counts")
    if isinstance(counts, str):
        raise InputError("compressed run-length code; write it as a list of counts")
    sides = [_whole(side, "size") for side in a_list(size, "size")]
    if len(sides) != 2 or min(sides) < 1 or sides[0] * sides[1] > _MOST_PIXELS:
        raise InputError(f"run-length code of size {shown(size)}; expected [height, width]")
    runs = [_whole(count, "counts") for count in a_list(counts, "counts")]
    if sum(runs) != sides[0] * sides[1]:
        raise InputError(f"run-length code whose counts do not add up to {sides[0]} × {sides[1]} pixels")
    inside_HW = mask_of_runs(runs, *sides)
    if not inside_HW.any():
        raise InputError("the mask is empty")
    return mask_region(inside_HW, image)


def _whole(value: Any, what: str) -> int:
    number = a_number(value, what)
    if number != int(number):
        raise InputError(f"{what}: {shown(value)} is no whole number")
    return int(number)
