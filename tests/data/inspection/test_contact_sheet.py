"""Oracles: where the brightest overlay and the outline must lie on the sheet; its size; no golden pixels."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from eclip.annotations import Annotation, Fixation, Region, Sentence
from eclip.annotations.reading import Rejection
from eclip.data.inspection.census import take_census
from eclip.data.inspection.contact_sheet import write_contact_sheet
from eclip.data.store import Store, write_store
from eclip.errors import InputError
from small_stores import png, small_store, small_study


def drawn(store, out):
    """The sheet as integers (H, W, 3)."""
    write_contact_sheet(out, store, take_census(store))
    with Image.open(out) as sheet:
        return np.asarray(sheet.convert("RGB")).astype(int)


def one(folder, **changes):
    """A store of one black study."""
    study = replace(
        small_study(0), image=png(np.zeros((100, 100), np.uint8)), height=100, width=100, **changes
    )
    write_store(folder, [study], source="test")
    return Store.open(folder)


def first_picture(sheet_HW3):
    """The black square below the charts, and what is drawn on it."""
    below = sheet_HW3[380:]
    black_HW = below.sum(-1) < 60
    rows, columns = np.flatnonzero(black_HW.sum(1) > 150), np.flatnonzero(black_HW.sum(0) > 150)
    return below[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@pytest.mark.parametrize(
    ("plain", "annotated", "annotation"),
    [(1, 0, "gaze"), (24, 8, "gaze"), (24, 8, "box"), (0, 3, "box"), (0, 3, "off-image")],
)
def test_a_sheet_is_drawn_whatever_the_store_holds(tmp_path, plain, annotated, annotation):
    store = small_store(
        tmp_path / "s", plain=plain, annotated=annotated, validate=0, test=0, annotation=annotation
    )
    assert drawn(store, tmp_path / "deep" / "sheet.png").shape[1] > 1000


def test_the_heatmap_is_drawn_where_the_gaze_was(tmp_path):
    gaze = Annotation(kind="gaze", fixations=(Fixation(0.3, 0.6, 0.0, 1.0),))
    store = one(tmp_path / "s", annotations=(gaze,), text="$x_{$ 肺")  # a broken formula; no such letter
    inner = first_picture(drawn(store, tmp_path / "sheet.png"))
    height, width = inner.shape[:2]
    y, x = np.unravel_index((inner[..., 0] - inner[..., 2]).argmax(), inner.shape[:2])
    assert x / width == pytest.approx(0.3, abs=0.03)
    assert y / height == pytest.approx(0.6, abs=0.03)


def test_a_region_is_outlined_where_it_is(tmp_path):
    box = Annotation(kind="box", region=Region(((0.2, 0.3), (0.7, 0.9))))
    store = one(tmp_path / "s", annotations=(box,), text="")
    inner = first_picture(drawn(store, tmp_path / "sheet.png"))
    height, width = inner.shape[:2]
    blue = (inner[..., 2] > 200) & (inner[..., 0] < 120)  # the first colour; the heatmap is orange
    (y0, x0), (y1, x1) = np.argwhere(blue).min(0), np.argwhere(blue).max(0)
    found = x0 / width, y0 / height, x1 / width, y1 / height
    assert found == pytest.approx((0.2, 0.3, 0.7, 0.9), abs=0.03)


def test_ten_sentences_are_ten_pictures_of_their_own(tmp_path):
    def height(sentences):
        gaze = Annotation(
            kind="gaze",
            fixations=tuple(Fixation(0.1 * i, 0.5, 10.0 * i, 10.0 * i + 2) for i in range(sentences)),
            sentences=tuple(Sentence(f"It is {i}.", 10.0 * i, 10.0 * i + 2) for i in range(sentences)),
        )
        folder = tmp_path / f"s{sentences}"
        return drawn(one(folder, annotations=(gaze,)), tmp_path / "sheet.png")

    none, five, ten, twelve = (height(n) for n in (0, 5, 10, 12))
    row = len(ten) - len(five)
    assert row > 250  # a second row of five
    assert len(five) - len(none) > row  # the first, and a heading
    assert len(twelve) == len(ten)  # and it says that two are not shown
    strip = ten[-2 * row :]
    orange_W = ((strip[..., 0] - strip[..., 2]) > 60).any(0)  # heat in every column of pictures
    assert [bool(part.any()) for part in np.array_split(orange_W, 5)] == [True] * 5


def test_rows_left_out_make_the_sheet_longer(tmp_path):
    heights = []
    for count in (0, 3):
        rejected = [Rejection("m.csv", f"row {i}", f"reason [x{'abc'[i]}]") for i in range(count)]
        write_store(tmp_path / f"{count}", [small_study(0)], source="test", rejected=rejected)
        heights.append(len(drawn(Store.open(tmp_path / f"{count}"), tmp_path / "sheet.png")))
    assert heights[1] > heights[0]


def test_where_the_sheet_cannot_be_written_is_told(tmp_path):
    store = small_store(tmp_path / "s", plain=1, annotated=0, validate=0, test=0)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        drawn(store, tmp_path / "file" / "sheet.png")
