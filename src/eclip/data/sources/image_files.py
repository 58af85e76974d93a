"""Where a dataset's files lie: all below a folder, and its images by the ids that its tables use."""

import os
from collections.abc import Iterator
from pathlib import Path

from eclip.errors import InputError

_DICOM = (".dcm", ".dicom")
_SUFFIXES = (*_DICOM, ".png", ".jpg", ".jpeg")


def files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder, in no order; none if it is not there.

    Links to folders are followed, but for those that lead back up.

    Raises:
        InputError: A folder that cannot be read.
    """
    for place, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        folders[:] = [name for name in folders if not _leads_back(Path(place, name).absolute())]
        yield from (Path(place, name) for name in files)


def _leads_back(folder: Path) -> bool:
    return folder.is_symlink() and any(folder.samefile(above) for above in folder.parents)


def _refuse(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise InputError(f"{error.filename}: cannot be read ({error.strerror})") from error


def image_files(*folders: Path) -> dict[str, Path]:
    """Find all images below folders: id (the file's name without its suffix) to file.

    A table's id is looked up among them, not joined to a path: so it cannot lead out of the folders. Of several
    files with one id a DICOM is taken, since its header tells more, and its id is unique in the world.

    Raises:
        InputError: Several others with one id: one may be the mask of the other.
    """
    found: dict[str, Path] = {}
    paths = {path for folder in folders for path in files_below(folder) if path.suffix.lower() in _SUFFIXES}
    for path in sorted(paths, key=lambda path: (path.suffix.lower() not in _DICOM, path)):
        first = found.setdefault(path.stem, path)
        if first.suffix.lower() not in _DICOM and first.resolve() != path.resolve():
            raise InputError(f"{first} and {path}: two images of one id; move one of them elsewhere")
    return found
