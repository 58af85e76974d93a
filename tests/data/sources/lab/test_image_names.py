"""Oracle: names written by hand."""

from pathlib import Path

import pytest

from eclip.data.sources.lab.image_names import ImageNames
from eclip.errors import InputError

TABLE = Path("table.csv")


def test_ids_are_stems_as_long_as_they_tell_images_apart():
    assert ImageNames(["x/a.png", "./x/b.jpg", "c"], TABLE).ids == ["a", "b", "c"]
    assert ImageNames(["x/a.png", "y/a.png"], TABLE).ids == ["x/a", "y/a"]
    assert ImageNames(["x/a.png", "x/a.png"], TABLE).ids == ["a", "a"]  # one image, listed twice


def test_the_last_number_of_a_dicom_uid_is_no_suffix():
    names = ImageNames(["1.2.840.1", "1.2.840.2.dcm"], TABLE)
    assert names.ids == ["1.2.840.1", "1.2.840.2"]
    assert names.find("1.2.840.2") == "1.2.840.2"


@pytest.mark.parametrize("name", ["x/a.png", "a.jpg", "a", "other/a.json", "..\\images\\a.png", " a "])
def test_path_name_or_stem_finds_an_image(name):
    assert ImageNames(["x/a.png", "x/b.png"], TABLE).find(name) == "a"


def test_images_that_share_a_stem_are_told_apart_by_their_path_only():
    names = ImageNames(["x/a.png", "y/a.png"], TABLE)
    assert names.find("y/a.json") == "y/a"
    with pytest.raises(InputError, match=r"'a\.png' is several images of table\.csv"):
        names.find("a.png")
    with pytest.raises(InputError, match=r"'b\.png' is no image of table\.csv"):
        names.find("b.png")
    assert names.exactly("a") is None


@pytest.mark.parametrize("name", ["", " ", ".png", "/"])
def test_a_blank_cell_has_no_name(name):
    with pytest.raises(InputError, match="is no image of"):
        ImageNames(["", "a.png"], TABLE).find(name)
