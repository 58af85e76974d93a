"""Real input: 176 real radiographs where they are, and the commands of `docs/your-own-data.md` run on them.

What their annotators left is written anew as other tools would have: a COCO file, a folder of masks, a table of scores.
"""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from docs_commands import commands_of
from eclip.annotations.outline import inside
from eclip.cli import main
from eclip.data.images import decode
from eclip.data.store import Store

PAGE = Path(__file__).parents[1] / "docs" / "your-own-data.md"
ZONES = {"S-A": "Opacity right upper", "S-B": "Opacity right middle", "S-C": "Opacity right lower"}


@pytest.fixture(scope="module")
def tools(real_cxr, tmp_path_factory):
    """A folder with the radiographs, and beside them what the page's commands and mapping name."""
    folder = tmp_path_factory.mktemp("tools")
    (folder / "real_cxr").symlink_to(real_cxr)
    annotations = json.loads((real_cxr / "annotations.json").read_text())
    images, boxes = [], []
    for number, (name, told) in enumerate(annotations.items()):
        if "lung_boxes_imageannotation_ai" not in told:
            continue
        width, height = told["size"]
        images.append({"id": number, "file_name": Path(name).name, "width": width, "height": height})
        for box in told["lung_boxes_imageannotation_ai"]:
            x0, y0, x1, y1 = box["xyxy"]
            category = ("Right Lung", "Left Lung").index(box["label"])
            boxes.append({"image_id": number, "category_id": category, "bbox": [x0, y0, x1 - x0, y1 - y0]})
    categories = [{"id": 0, "name": "Right Lung"}, {"id": 1, "name": "Left Lung"}]
    coco = {"images": images, "annotations": boxes, "categories": categories}
    (folder / "lungs-coco.json").write_text(json.dumps(coco))

    for name, told in annotations.items():
        for label, file in told.get("masks_v7_human", {}).items():
            (folder / "lungs" / label).mkdir(parents=True, exist_ok=True)
            (folder / "lungs" / label / Path(name).with_suffix(".png").name).symlink_to(real_cxr / file)

    table = pd.read_csv(real_cxr / "metadata.csv", dtype=str, keep_default_na=False)
    scores = [json.loads(cell) if cell else {} for cell in table["brixia_zone_scores"]]
    zones = pd.DataFrame([{zone: score.get(zone, "") for zone in ZONES} for score in scores])
    pd.concat([table, zones], axis=1).to_csv(folder / "zones.csv", index=False)

    (mapping,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    (folder / "lab.yaml").write_text(mapping)
    return folder


@pytest.fixture(scope="module")
def truth(real_cxr):
    """What was annotated, by image id."""
    annotations = json.loads((real_cxr / "annotations.json").read_text())
    return {Path(name).stem: told for name, told in annotations.items()}


def built(command, folder, monkeypatch, size=256):
    """The store that a command of the page builds, and its studies by id."""
    monkeypatch.chdir(folder)
    assert main([*shlex.split(command)[1:], "--image-size", str(size)]) == 0, command
    store = Store.open(folder / shlex.split(command)[-1])
    return store, {study.image_id: study for study in store}


def command_with(word):
    (command,) = [c for c in commands_of(PAGE) if c.startswith("eclip data build") and word in c]
    return command


def check_boxes(study, told):
    boxes = [annotation for annotation in study.annotations if annotation.kind == "box"]
    expected = [(box["label"], box["xyxy"]) for box in told.get("lung_boxes_imageannotation_ai", [])]
    assert [box.label for box in boxes] == [label for label, _ in expected]
    for box, (_, corners) in zip(boxes, expected, strict=True):
        fractions = np.array(corners) / np.tile(told["size"], 2)
        np.testing.assert_allclose(np.ravel(box.region.points), fractions, atol=1e-6)
    return len(boxes)


def check_mask(annotation, study, file):
    """Equal to the file's mask, pixel by pixel; where it was scaled, in pixels that are wholly inside or outside."""
    original_HW = np.asarray(Image.open(file)) > 0
    assert original_HW.shape == (study.original_height, study.original_width)
    stored_HW = decode(annotation.region.mask) > 0
    assert stored_HW.shape == (study.height, study.width)
    covered_HW = area_shares(area_shares(original_HW, study.height).T, study.width).T
    clear = np.abs(covered_HW - 0.5) > 0.499
    np.testing.assert_array_equal(stored_HW[clear], covered_HW[clear] > 0.5)
    assert stored_HW.mean() == pytest.approx(original_HW.mean(), abs=0.003)


def area_shares(values_NM, size):
    """The first side brought to `size`: each new pixel is the mean of the old ones weighted by what it covers."""
    edges = np.linspace(0, len(values_NM), size + 1)
    old = np.arange(len(values_NM))
    overlap = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
    weights = np.clip(overlap, 0, None)
    return weights @ values_NM / weights.sum(axis=1, keepdims=True)


@pytest.mark.real
@pytest.mark.parametrize("size", [256, 320])  # of 320: as the images are
def test_boxes_from_coco_and_masks_from_a_folder_land_where_they_were_drawn(
    tools, truth, real_cxr, monkeypatch, size
):
    store, studies = built(command_with("--coco"), tools, monkeypatch, size)
    assert len(store) == 84
    boxes = masks = overlaps = 0
    for image_id, study in studies.items():
        told = truth[image_id]
        boxes += check_boxes(study, told)
        outlined = [annotation for annotation in study.annotations if annotation.kind == "mask"]
        assert {mask.label for mask in outlined} == set(told.get("masks_v7_human", {}))
        for mask in outlined:
            check_mask(mask, study, real_cxr / told["masks_v7_human"][mask.label])
        masks += len(outlined)
        if outlined and "lung_boxes_imageannotation_ai" in told:
            overlaps += 1
            lung_HW = inside(*(m for m in outlined if m.label == "Lung"), study.height, study.width)
            drawn = [a for a in study.annotations if a.kind == "box"]
            box_HW = np.any([inside(box, study.height, study.width) for box in drawn], axis=0)
            assert (lung_HW & box_HW).sum() / lung_HW.sum() > 0.8  # the lungs lie in their boxes …
            assert (lung_HW & box_HW).sum() / (
                lung_HW | box_HW
            ).sum() > 0.6  # … and fill most of them, though two groups drew them
    assert masks == sum(len(truth[image_id].get("masks_v7_human", {})) for image_id in studies) >= 47
    assert (boxes, overlaps) == (18, 7)
    assert all("no text" in rejection["reason"] for rejection in store.manifest["rejected"])


@pytest.mark.real
def test_a_mapping_brings_scores_masks_and_boxes_together(tools, truth, real_cxr, monkeypatch):
    store, studies = built(command_with("--mapping"), tools, monkeypatch)
    assert len(store) == 84
    table = pd.read_csv(real_cxr / "metadata.csv", dtype=str, keep_default_na=False)
    table.index = table["filename"].map(lambda name: Path(name).stem)
    scored = 0
    for image_id, study in studies.items():
        told, row = truth[image_id], table.loc[image_id]
        scores = told.get("brixia_zone_scores", {})
        expected = {name: int(scores[zone] > 0) for zone, name in ZONES.items() if zone in scores}
        assert {name: value for name, value in study.labels.items() if name in ZONES.values()} == expected
        scored += bool(expected)
        present = {name for name, value in study.labels.items() if value == 1} - set(ZONES.values())
        assert present == {
            part.strip().replace("Pneumocystis", "Pneumocystis Pneumonia")
            for part in row["finding"].split(",")
        }
        assert (study.view, study.sex) == (row["view"].split()[0], row["sex"])
        assert study.age == (int(float(row["age"])) if row["age"] else None)
        for annotation in study.annotations:
            if annotation.reader == "radiologist":
                check_mask(annotation, study, real_cxr / told["masks_gb_radiologist"][annotation.label])
        twice = told.get("lung_boxes_imageannotation_ai", []) * 2  # by column and from COCO
        assert check_boxes(study, told | {"lung_boxes_imageannotation_ai": twice}) == len(twice)
    assert scored == 17
    by_reader = [a.reader for study in studies.values() for a in study.annotations]
    for reader, key in {"radiologist": "masks_gb_radiologist", "V7": "masks_v7_human"}.items():
        assert by_reader.count(reader) == sum(len(truth[image_id].get(key, {})) for image_id in studies)


@pytest.mark.real
def test_commands_of_your_own_data_run_on_real_radiographs(tools, real_cxr, monkeypatch):
    monkeypatch.chdir(tools)
    for command in commands_of(PAGE):
        assert main(shlex.split(command)[1:]) == 0, command

    store = Store.open(tools / "stores" / "real")
    assert len(store) == 84
    assert {a.kind for row in range(84) for a in store[row].annotations} == {"mask"}
    assert len(store.manifest["rejected"]) == 176 - 84
    table = pd.read_csv(real_cxr / "metadata.csv")
    for rejection in store.manifest["rejected"]:
        row = int(rejection["row"].split()[-1])
        assert not isinstance(table["text"][row - 2], str)  # line 1 is the header
    results = json.loads((tools / "runs/real/evaluation/results.json").read_text())
    assert results["retrieval"]["image_to_text_recall@10"]["n"] == len(store.rows(split="test"))
    embeddings = pd.read_parquet(tools / "runs/real-embeddings.parquet")
    assert sorted(embeddings["image_id"]) == sorted(store.column("image_id"))
    assert (tools / "runs/real/evaluation/index.html").stat().st_size > 10_000
