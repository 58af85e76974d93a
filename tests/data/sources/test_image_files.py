"""Oracle: the files that were made."""

import os
from pathlib import Path

import pytest

from eclip.data.sources.image_files import files_below, image_files
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


def test_links_to_folders_are_followed(tmp_path):
    for name in ("elsewhere/a.png", "elsewhere/deep/b.jpg", "data/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "data/linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "all").symlink_to("data", target_is_directory=True)
    assert image_files(tmp_path / "all") == {
        "a": tmp_path / "all/linked/a.png",
        "b": tmp_path / "all/linked/deep/b.jpg",
        "c": tmp_path / "all/c.png",
    }


def test_a_folder_that_is_there_twice_holds_one_image_not_two(tmp_path):
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1/a.png").touch()
    (tmp_path / "current").symlink_to("v1", target_is_directory=True)
    assert image_files(tmp_path) == {"a": tmp_path / "current/a.png"}


def test_links_in_a_circle_end(tmp_path, monkeypatch):
    for name in ("a/x/1.png", "b/2.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    for link, folder in {
        "a/x/up": "..",
        "a/b": "../b",
        "b/a": "../a",
        "self": "self",
        "gone": "nowhere",
    }.items():
        (tmp_path / link).symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    found = sorted(path.as_posix() for path in files_below(Path()))
    assert found == sorted(
        ["a/x/1.png", "a/b/2.png", "b/2.png", "b/a/x/1.png", "gone", "self"]
    )  # links that lead nowhere are told as missing by whoever reads them


def test_a_folder_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("closed"):  # root, who may run this, can read all
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    with pytest.raises(InputError, match=r"closed: cannot be read \(Permission denied\)"):
        image_files(tmp_path)
