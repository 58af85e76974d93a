"""A folder of mask files named like the images they mark."""

from pathlib import Path

from eclip.annotations.reading import Rejection
from eclip.data.sources.image_files import files_below
from eclip.data.sources.lab.annotation_cells import MaskFile, Part
from eclip.data.sources.lab.image_names import ImageNames
from eclip.errors import InputError


def read_mask_folder(
    folder: Path, names: ImageNames, reader: str
) -> tuple[dict[str, list[Part]], list[Rejection]]:
    """Find the masks of images: image id to its masks, and the files that belong to no image.

    `STEM.png` marks the image of this stem; `LABEL/STEM.png` does so with a label. Where stems are not unique, the
    image's path stands in the stem's place.

    Raises:
        InputError: No such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected mask files named like the images")
    found: dict[str, list[Part]] = {}
    rejected = []
    for path in sorted(path for path in files_below(folder) if not path.name.startswith(".")):
        name = path.relative_to(folder).as_posix()
        of_image = "/" not in name or names.exactly(name) is not None
        label, _, bare = ("", "", name) if of_image else name.partition("/")
        try:
            image_id = names.find(bare)
            found.setdefault(image_id, []).append(MaskFile(path=path, label=label, reader=reader))
        except InputError as error:
            rejected.append(Rejection(str(path), "", str(error)))
    return found, rejected
