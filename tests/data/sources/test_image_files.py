"""Oracle: the files that were made."""

import pytest

from eclip.data.sources.image_files import image_files
from eclip.errors import InputError


def test_images_are_found_at_any_depth_by_their_stem(tmp_path):
    for name in ("a.dcm", "b/c.PNG", "b/d/1.2.840.1.jpeg", "e.dicom", "f.jpg", "notes.txt", "table.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = {
        image_id: path.relative_to(tmp_path).as_posix() for image_id, path in image_files(tmp_path).items()
    }
    assert found == {
        "a": "a.dcm",
        "c": "b/c.PNG",
        "1.2.840.1": "b/d/1.2.840.1.jpeg",
        "e": "e.dicom",
        "f": "f.jpg",
    }


def test_of_several_with_one_id_the_dicom_counts(tmp_path):
    for name in ("1/a.jpg", "2/a.dcm", "3/a.dicom", "4/a.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    found = {"a": tmp_path / "2/a.dcm"}
    assert (
        image_files(*(tmp_path / name for name in "1234")) == image_files(tmp_path, tmp_path / "2") == found
    )


def test_an_image_and_its_mask_are_not_mistaken(tmp_path):
    for name in ("masks/a.png", "png/a.PNG"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"masks/a.png and .*png/a.PNG: two images of one id"):
        image_files(tmp_path)


def test_a_folder_that_is_not_there_holds_none(tmp_path):
    assert image_files(tmp_path / "gone") == {}
