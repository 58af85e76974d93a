"""Oracle: the files that were written."""

from pathlib import Path

import pytest
from PIL import Image

from eclip.data.sources.lab.image_names import ImageNames
from eclip.data.sources.lab.mask_folder import read_mask_folder
from eclip.errors import InputError

TABLE = Path("table.csv")


def fill(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 6), 255).save(root / name)
    (root / ".DS_Store").write_text("")


def found(root, images):
    masks, rejected = read_mask_folder(root, ImageNames(images, TABLE), "R")
    assert all(mask.reader == "R" for masks_ in masks.values() for mask in masks_)
    of = {
        id_: sorted((m.label, m.path.relative_to(root).as_posix()) for m in of) for id_, of in masks.items()
    }
    return of, {Path(rejection.file).name: rejection.reason for rejection in rejected}


def test_masks_lie_in_the_folder_or_in_one_of_their_label(tmp_path):
    fill(tmp_path, "a.png", "Lung/a.png", "Lung/b.png", "Heart/x/b.tif")
    masks, rejected = found(tmp_path, ["x/a.jpg", "x/b.jpg"])
    assert masks == {
        "a": [("", "a.png"), ("Lung", "Lung/a.png")],
        "b": [("Heart", "Heart/x/b.tif"), ("Lung", "Lung/b.png")],
    }
    assert not rejected


def test_folders_of_images_that_share_stems_are_no_labels(tmp_path):
    fill(tmp_path, "x/a.png", "Lung/y/a.png", "a.png")
    masks, rejected = found(tmp_path, ["x/a.jpg", "y/a.jpg"])
    assert masks == {"x/a": [("", "x/a.png")], "y/a": [("Lung", "Lung/y/a.png")]}
    assert rejected == {"a.png": "'a.png' is several images of table.csv"}


def test_linked_folders_are_labels_too(tmp_path):
    fill(tmp_path / "elsewhere", "a.png")
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks/Lung").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "masks/b.png").symlink_to("gone.png")
    masks, rejected = read_mask_folder(tmp_path / "masks", ImageNames(["a.jpg", "b.jpg"], TABLE), "R")
    assert not rejected
    assert {id_: [mask.label for mask in of] for id_, of in masks.items()} == {"a": ["Lung"], "b": [""]}
    ((told,),) = (list(mask(None)) for mask in masks["b"])
    assert "no such file" in told.reason


def test_files_of_no_image_are_listed(tmp_path):
    fill(tmp_path, "a.png", "Lung/z.png")
    _, rejected = found(tmp_path, ["a.jpg"])
    assert rejected == {"z.png": "'z.png' is no image of table.csv"}
    with pytest.raises(InputError, match="no such folder"):
        found(tmp_path / "gone", ["a.jpg"])
