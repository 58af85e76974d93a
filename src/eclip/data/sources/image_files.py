"""Where a dataset's images lie, by the ids that its tables use."""

from pathlib import Path

from eclip.errors import InputError

_DICOM = (".dcm", ".dicom")
_SUFFIXES = (*_DICOM, ".png", ".jpg", ".jpeg")


def image_files(*folders: Path) -> dict[str, Path]:
    """Find all images below folders: id (the file's name without its suffix) to file.

    A table's id is looked up among them, not joined to a path: so it cannot lead out of the folders. Of several
    files with one id a DICOM is taken, since its header tells more, and its id is unique in the world.

    Raises:
        InputError: Several others with one id: one may be the mask of the other.
    """
    found: dict[str, Path] = {}
    paths = {path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES}
    for path in sorted(paths, key=lambda path: (path.suffix.lower() not in _DICOM, path)):
        first = found.setdefault(path.stem, path)
        if first != path and first.suffix.lower() not in _DICOM:
            raise InputError(f"{first} and {path}: two images of one id; move one of them elsewhere")
    return found
