"""A study: one image with its report, labels and annotations, and how it lies in Parquet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from eclip.annotations.annotation import Annotation, Fixation, Region, Sentence

SCHEMA_VERSION = 2
FRONTAL = ("PA", "AP", "FRONTAL")
"""Frontal views; "FRONTAL" where a dataset does not tell PA from AP."""


def _struct(fields: Mapping[str, pa.DataType]) -> pa.StructType:
    return pa.struct(list(fields.items()))


_FRACTIONS_AND_SECONDS = ("x", "y", "start", "end", "sigma_x", "sigma_y")
_FIXATION = _struct(
    {name: pa.float64() for name in _FRACTIONS_AND_SECONDS} | {"visible": pa.list_(pa.float64())}
)
_ANNOTATION = _struct(
    {
        "kind": pa.string(),
        "reader": pa.string(),
        "label": pa.string(),
        "fixations": pa.list_(_FIXATION),
        "sentences": pa.list_(_struct({"text": pa.string(), "start": pa.float64(), "end": pa.float64()})),
        "region": _struct(
            {"points": pa.list_(_struct({"x": pa.float64(), "y": pa.float64()})), "mask": pa.binary()}
        ),
        "certainty": pa.float64(),
    }
)
SCHEMA = pa.schema(
    {
        "image_id": pa.string(),
        "study_id": pa.string(),
        "patient_id": pa.string(),
        "split": pa.string(),
        "view": pa.string(),
        "sex": pa.string(),
        "age": pa.int16(),
        "image": _struct({"bytes": pa.binary(), "path": pa.string()}),
        "height": pa.int32(),
        "width": pa.int32(),
        "original_height": pa.int32(),
        "original_width": pa.int32(),
        "image_hash": pa.string(),
        "report": pa.string(),
        "findings": pa.string(),
        "impression": pa.string(),
        "text": pa.string(),
        "labels": pa.list_(_struct({"name": pa.string(), "value": pa.int8()})),
        "annotations": pa.list_(_ANNOTATION),
    }
)
_PLAIN = tuple(name for name in SCHEMA.names if name not in {"image", "labels", "annotations"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One row of a store.

    Attributes:
        image_id: Unique in the store (DICOM id, file stem).
        study_id: Images of one examination share it.
        patient_id: Splits never separate one patient.
        split: train, validate or test.
        view: PA, AP, FRONTAL, LATERAL, LL, as the dataset tells it, or "".
        sex: F, M, or "".
        age: Years; None where it is not told.
        image: An encoded 8-bit grayscale image.
        height: Of the stored image, in pixels.
        width: Of the stored image, in pixels.
        original_height: Of the image it was made from, in pixels.
        original_width: Of the image it was made from, in pixels.
        image_hash: Perceptual hash: 64 hex digits that hardly change when the image is scaled or encoded anew.
        report: The whole report.
        findings: Its findings section, or "".
        impression: Its impression section, or "".
        text: What training reads: findings and impression, else the report.
        labels: 1 present, 0 absent, -1 uncertain; not listed = not mentioned.
        annotations: What experts left on the image.
    """

    image_id: str
    study_id: str
    patient_id: str
    split: str
    view: str = ""
    sex: str = ""
    age: int | None = None
    image: bytes = b""
    height: int = 0
    width: int = 0
    original_height: int = 0
    original_width: int = 0
    image_hash: str = ""
    report: str = ""
    findings: str = ""
    impression: str = ""
    text: str = ""
    labels: dict[str, int] = field(default_factory=dict)
    annotations: tuple[Annotation, ...] = ()


def to_row(study: Study) -> dict[str, Any]:
    """Lay a study out as one row of `SCHEMA`."""
    suffix = ".png" if study.image.startswith(b"\x89PNG") else ".jpg"
    return {name: getattr(study, name) for name in _PLAIN} | {
        "image": {"bytes": study.image, "path": study.image_id + suffix},
        "labels": [{"name": name, "value": value} for name, value in study.labels.items()],
        "annotations": [_annotation_row(annotation) for annotation in study.annotations],
    }


def from_row(row: Mapping[str, Any]) -> Study:
    """Read a study from a row; the inverse of `to_row`."""
    return Study(
        **{name: row[name] for name in _PLAIN},
        image=row["image"]["bytes"],
        labels={label["name"]: label["value"] for label in row["labels"]},
        annotations=tuple(_annotation(annotation) for annotation in row["annotations"]),
    )


def _annotation_row(annotation: Annotation) -> dict[str, Any]:
    region = annotation.region
    return {
        "kind": annotation.kind,
        "reader": annotation.reader,
        "label": annotation.label,
        "fixations": [
            {name: getattr(fixation, name) for name in _FRACTIONS_AND_SECONDS} | {"visible": fixation.visible}
            for fixation in annotation.fixations
        ],
        "sentences": [{"text": s.text, "start": s.start, "end": s.end} for s in annotation.sentences],
        "region": region and {"points": [{"x": x, "y": y} for x, y in region.points], "mask": region.mask},
        "certainty": annotation.certainty,
    }


def _annotation(row: Mapping[str, Any]) -> Annotation:
    region = row["region"]
    return Annotation(
        kind=row["kind"],
        reader=row["reader"],
        label=row["label"],
        fixations=tuple(Fixation(**f | {"visible": tuple(f["visible"])}) for f in row["fixations"]),
        sentences=tuple(Sentence(**sentence) for sentence in row["sentences"]),
        region=region and Region(tuple((p["x"], p["y"]) for p in region["points"]), region["mask"]),
        certainty=row["certainty"],
    )
