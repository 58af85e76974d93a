"""The names of files in a lab's table, and those by which other files know its images: path, file name, or stem."""

import re
from collections.abc import Sequence
from pathlib import Path

from eclip.data.sources.cells import path_inside
from eclip.errors import InputError

_SUFFIX = re.compile(r"\.[a-z][a-z0-9]{0,4}$", re.IGNORECASE)  # not the last number of a DICOM UID


def file_inside(root: Path, cell: str) -> Path:
    """The file that a cell names, be it with the backslashes of Windows, in a folder.

    Raises:
        InputError: No path, or one that leaves the folder.
    """
    return path_inside(root, cell.replace("\\", "/"))


class ImageNames:
    """Finds a table's images by the names that other files give them; where it does not matter, suffixes do not.

    Args:
        paths: Image files, as the table has them.
        table: The table, for errors.

    Attributes:
        ids: Of each path: its stem, or the path without suffix where two images share a stem.
    """

    def __init__(self, paths: Sequence[str], table: Path) -> None:
        self._table = table
        bare = [_bare(path) for path in paths]
        stems = [_stem(path) for path in bare]
        self.ids = stems if len(set(stems)) == len(set(bare)) else bare
        self._of_path = dict(zip(bare, self.ids, strict=True))
        self._of_path.pop("", None)  # a blank cell has no name
        self._of_stem: dict[str, set[str]] = {}
        for stem, image_id in zip(stems, self.ids, strict=True):
            self._of_stem.setdefault(stem, set()).add(image_id)

    def find(self, name: str) -> str:
        """The id of the image with this path or, whatever its folder, this stem.

        Raises:
            InputError: No such image, or several.
        """
        found = self.exactly(name)
        if found is not None:
            return found
        stem = _stem(_bare(name))
        ids = self._of_stem.get(stem, set()) if stem else set()
        if len(ids) != 1:
            many = "several images" if ids else "no image"
            raise InputError(f"{name[:200]!a} is {many} of {self._table}")
        return next(iter(ids))

    def exactly(self, name: str) -> str | None:
        """The id of the image with this path, or None."""
        return self._of_path.get(_bare(name))


def _bare(path: str) -> str:
    """Without suffix, with the slashes of one kind."""
    path = path.strip().replace("\\", "/")
    while path.startswith("./"):
        path = path[2:]
    return _SUFFIX.sub("", path)


def _stem(path: str) -> str:
    return path.rpartition("/")[2]
