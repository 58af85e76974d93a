"""The page: parses, loads nothing, says what the store holds, and survives what people write into tables."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from eclip.annotations import Annotation, Fixation, Region, Sentence, render
from eclip.annotations.reading import Rejection
from eclip.data.images import decode
from eclip.data.inspection.census import take_census
from eclip.data.inspection.inspect import facts
from eclip.data.inspection.page import write_inspection_page
from eclip.data.inspection.pictures import overlay
from eclip.data.inspection.soundness import assess
from eclip.data.store import Store, write_store
from eclip.errors import InputError
from small_stores import small_store, small_study

NASTY = "\"'><script>alert(1)</script> & {{ 7 * 7 }} {% raw %}"
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Elements with the text inside them, and whether every tag is closed."""

    def __init__(self, source):
        super().__init__()
        self.found, self.open, self.source = [], [], source
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        element = (tag, dict(attrs), [])
        self.found.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs), []))

    def handle_endtag(self, tag):
        if tag in {"td", "th", "li", "p"}:
            self.handle_data(" ")
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for _, _, words in self.open:
            words.append(data)

    def all(self, tag, style=""):
        return [attrs for name, attrs, _ in self.found if name == tag and style in attrs.get("class", "")]

    def texts(self, tag, style=""):
        return [
            " ".join("".join(words).split())
            for name, attrs, words in self.found
            if name == tag and style in attrs.get("class", "")
        ]


def page(store, out):
    census = take_census(store)
    write_inspection_page(out, store, census, assess(store), facts(store, census))
    return Page(out.read_text(encoding="utf-8"))


def of(folder, *studies, **told):
    write_store(folder, studies, source="test", **told)
    return page(Store.open(folder), folder.with_suffix(".html"))


def picture(address):
    prefix = "data:image/jpeg;base64,"
    assert address.startswith(prefix)
    with Image.open(io.BytesIO(base64.b64decode(address[len(prefix) :]))) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_it_loads_nothing_and_runs_nothing(tmp_path):
    shown = page(small_store(tmp_path / "s"), tmp_path / "deep" / "s.html")
    tags = {tag for tag, _, _ in shown.found}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base"}
    for _, attributes, _ in shown.found:
        for name in ("src", "href"):
            assert attributes.get(name, "data:").startswith("data:")
    assert "url(" not in shown.source
    assert "@import" not in shown.source
    assert "prefers-color-scheme: dark" in shown.source
    assert "@media print" in shown.source


def test_it_says_what_the_store_holds(tmp_path):
    shown = page(small_store(tmp_path / "s", plain=24, annotated=8, validate=6, test=12), tmp_path / "s.html")
    rows = shown.texts("tr")
    assert "train 32 32 32 8 32" in rows
    assert "validate 6 6 6 – 6" in rows
    assert "all 50 50 50 8 50" in rows
    assert "Atelectasis 17 – 33 34.4 % 33.3 % 33.3 %" in rows
    assert "gaze 8 8 1 r1 8" in rows
    assert "✓ patients in more than one split –" in rows
    assert len(shown.all("article", "study")) == 18
    bars = [title for title in shown.texts("title") if "more: " in title]
    assert bars == [
        *[f"5 and more: {n}" for n in (32, 6, 12)],  # words: "There is edema, study 3."
        "1 and more: 8",  # fixations
        "0 and more: 8",  # seconds
        "400 and more: 8",  # milliseconds
    ]


def test_what_people_write_stays_text(tmp_path):
    box = Annotation(kind="box", label=NASTY, reader=NASTY, region=Region(((0.1, 0.1), (0.5, 0.5))))
    gaze = Annotation(
        kind="gaze",
        reader=NASTY,
        fixations=(Fixation(0.5, 0.5, 0, 1),),
        sentences=(Sentence(NASTY, 0, 1),),
    )
    study = replace(
        small_study(0),
        image_id=NASTY,
        study_id=NASTY + "s",
        patient_id=NASTY + "p",
        view=NASTY,
        text=NASTY,
        labels={NASTY: 1},
        annotations=(box, gaze),
    )
    shown = of(
        tmp_path / "s",
        study,
        rejected=[Rejection(NASTY, NASTY, NASTY)],
        options={NASTY: NASTY},
        skipped={NASTY: 1},
        subset={NASTY: [NASTY]},
        checks={NASTY: {"count": 2, "examples": [NASTY, NASTY], "leak": True}},
    )
    assert not shown.all("script")
    plain = " ".join(NASTY.split())
    assert shown.texts("p", "report") == [plain]
    assert plain in shown.texts("figcaption")[-1]
    assert all(plain in words for words in shown.texts("table", "rejected"))
    assert shown.source.count("{{ 7 * 7 }} {% raw %}") > 10


def test_each_sentence_stands_under_the_heatmap_of_its_own_fixations(tmp_path):
    places = [(0.2, 0.3), (0.8, 0.7), (0.5, 0.2)]
    fixations = tuple(Fixation(x, y, 10.0 * i, 10.0 * i + 3) for i, (x, y) in enumerate(places))
    sentences = tuple(Sentence(f"Sentence {i}.", 10.0 * i + 1, 10.0 * i + 4) for i in range(3))
    readers = [
        Annotation(kind="gaze", reader="forwards", fixations=fixations, sentences=sentences),
        Annotation(kind="gaze", reader="silent", fixations=fixations),
        Annotation(kind="gaze", reader="second", fixations=fixations[:1], sentences=sentences[:1]),
    ]
    study = replace(small_study(0, shape=(160, 192)), annotations=tuple(readers))
    shown = of(tmp_path / "s", study)
    strips = shown.texts("article", "reading")
    assert [name in strip for strip, name in zip(strips, ("forwards", "second"), strict=True)] == [True] * 2
    assert [c[:11] for c in shown.texts("figcaption")[-4:]] == [f"Sentence {i}." for i in (0, 1, 2, 0)]
    image_HW = decode(study.image)
    for address, fixation in zip(shown.all("img"), [*fixations, fixations[0]], strict=True):
        expected = overlay(image_HW, render([fixation], *image_HW.shape)).astype(int)
        warmth, wanted = (x[..., 0] - x[..., 2] for x in (picture(address["src"]), expected))
        assert np.corrcoef(warmth.ravel(), wanted.ravel())[0, 1] > 0.95
        assert np.abs(warmth - wanted).mean() < 10  # JPEG


def test_regions_are_outlined_in_pixels_with_label_reader_and_certainty(tmp_path):
    region = Region(((0.25, 0.1), (0.75, 0.6)))
    marks = (
        Annotation(kind="box", label="Edema", reader="R1", certainty=0.5, region=region),
        Annotation(kind="mask", label="torn", region=Region(mask=b"nothing")),
        Annotation(kind="ellipse", label="Edema", reader="R2", region=region),
    )
    shown = of(tmp_path / "s", replace(small_study(0), annotations=marks))
    assert shown.texts("li")[-3:] == [
        "1Edema (R1, 50 % certain)",
        "2torn (a mask that cannot be drawn)",
        "3Edema (R2)",
    ]
    box, ellipse = shown.all("path")
    assert box["class"] == ellipse["class"] == "outline o0"
    numbers = [float(n) for n in re.findall(r"[\d.]+", box["d"])]
    np.testing.assert_allclose(numbers, [12, 4, 36, 4, 36, 24, 12, 24])  # of 48 × 40 pixels
    points = np.array(re.findall(r"([\d.]+),([\d.]+)", ellipse["d"]), float)
    np.testing.assert_allclose(
        ((points[:, 0] - 24) / 12) ** 2 + ((points[:, 1] - 14) / 10) ** 2, 1, atol=0.01
    )
    assert shown.texts("text", "number") == ["1", "3"]
    assert all(svg["viewbox"] == "0 0 48 40" for svg in shown.all("svg")[-2:])


def test_coordinates_far_off_stay_short(tmp_path):
    far = Annotation(kind="box", region=Region(((-1e300, 0.5), (1e300, 0.9))))
    shown = of(tmp_path / "s", replace(small_study(0), annotations=(far,)))
    assert len(shown.all("path")[0]["d"]) < 100


def test_everything_left_out_is_listed_up_to_a_thousand(tmp_path):
    rejected = [Rejection("m.csv", f"row {i}", f"age {i} is no number") for i in range(1203)]
    rejected.append(Rejection("other.csv", "", "no image"))
    shown = of(tmp_path / "s", small_study(0), rejected=rejected)
    assert "age … is no number 1,203 m.csv, row 0: age 0 is no number" in shown.texts("tr")
    assert "no image 1 other.csv: no image" in shown.texts("tr")
    listed = [row for row in shown.texts("tr") if re.fullmatch(r"m\.csv row (\d+) age \1 is no number", row)]
    assert len(listed) == 1000
    assert "The first 1,000 of 1,204 rows; manifest.json lists the other 204, too" in shown.texts("summary")


def test_checks_of_the_build_are_told(tmp_path):
    checks = {"texts_in_several_splits": {"count": 12, "examples": [], "leak": False}}
    checks["near_duplicate_images_across_splits"] = {"count": 1, "examples": ["a and b"], "leak": True}
    shown = of(tmp_path / "s", small_study(0), checks=checks)
    assert "! texts that occur in more than one split 12" in shown.texts("tr")
    assert "✗ images that look the same in different splits 1 a and b" in shown.texts("tr")


def test_a_store_with_next_to_nothing_in_it(tmp_path):
    shown = of(tmp_path / "s", replace(small_study(0), text="", view="", labels={}))
    assert shown.texts("h2") == ["Splits", "Checks", "Left out", "Studies"]
    assert shown.texts("p", "report") == ["No text."]
    assert len(shown.all("image")) == 1  # nothing to lay over it


def test_sex_and_age_are_shown_where_they_are_told(tmp_path):
    studies = [replace(small_study(i), sex="FM"[i % 2], age=40 + 10 * i) for i in range(4)]
    shown = of(tmp_path / "s", *studies, *[replace(small_study(9), split="test")])
    assert "train 4 4 4 – 4 2 2 55" in shown.texts("tr")
    assert "test 1 1 1 – 1 – – –" in shown.texts("tr")
    assert "Years of age" in shown.texts("h3")


def test_where_the_page_cannot_be_written_is_told(tmp_path):
    store = small_store(tmp_path / "s", plain=1, annotated=0, validate=0, test=0)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        page(store, tmp_path / "file" / "s.html")
