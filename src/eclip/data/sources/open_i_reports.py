"""The reports of Open-I: one XML file each (NLM), or a table (Kaggle); and which views their images are."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from eclip.annotations.reading import Reject, Rejection
from eclip.annotations.recording_table import read_table
from eclip.data.sources.cells import view_code
from eclip.errors import InputError

SECTIONS = ("indication", "comparison", "findings", "impression")
_UID = re.compile(r"(?:CXR)?0*([0-9]{1,9})")
_IMAGE = re.compile(r"(?:CXR)?([0-9]+)_(?:\1_)?(IM-.*)", re.DOTALL)
_LARGEST = 2**20  # bytes; the released files have a few thousand
_NAMES = {
    "View Position": "projection",
    "ViewPosition": "projection",
    "view": "projection",
    "image_id": "filename",
    "imageid": "filename",
    "image": "filename",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One report.

    Attributes:
        uid: Its number; the "1000" of CXR1000.
        sections: Text of each of `SECTIONS`, white space collapsed; "" where there is none.
        terms: What it was indexed with: MeSH headings with qualifiers, as "Cardiomegaly/mild".
        images: File names of its images.
        file: Where it stands.
        row: Where in that file; "" for the whole file.
        images_file: The file that lists its images.
    """

    uid: str
    sections: dict[str, str]
    terms: tuple[str, ...]
    images: tuple[str, ...]
    file: str
    row: str
    images_file: str


def uid_of(cell: str) -> str:
    """The number of a report, from "1000" or "CXR1000".

    Raises:
        InputError: Anything else.
    """
    match = _UID.fullmatch(cell.strip())
    if match is None:
        raise InputError(f"uid is {cell[:40]!r}; expected a number, as 1000 or CXR1000")
    return match[1]


def image_id_of(file_name: str) -> str:
    """One id for an image in both releases.

    "1000_IM-0003-2001" for CXR1000_IM-0003-2001.png and 1000_IM-0003-2001.dcm.png; CXR1_1_IM-0001-3001, which has
    its report's number twice, is 1_IM-0001-3001.
    """
    stem = file_name.strip().removesuffix(".png").removesuffix(".dcm")
    match = _IMAGE.fullmatch(stem)
    return f"{match[1]}_{match[2]}" if match else stem


class _Builder(ET.TreeBuilder):
    """A tree without document type, so without entities that grow."""

    def doctype(self, *_: object) -> None:
        raise InputError("has a DOCTYPE, which the files of the release do not have")


def read_xml(path: Path) -> Report:
    """Read a report of the NLM release (`ecgen-radiology/<n>.xml`).

    Raises:
        InputError: Not XML that can be read, or not such a report.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise InputError("larger than 1 MiB: not a report")
        root = ET.XML(data, ET.XMLParser(target=_Builder()))  # noqa: S314 (no DOCTYPE, so no entities)
    except InputError:
        raise
    except (OSError, ET.ParseError, LookupError, ValueError) as error:  # a LookupError: an unknown encoding
        raise InputError(f"not XML that can be read ({error})") from error
    uid = root.find("uId")
    if uid is None:
        raise InputError("no element uId: not a report of Open-I")
    texts: dict[str, list[str]] = {name: [] for name in SECTIONS}
    for element in root.findall("MedlineCitation/Article/Abstract/AbstractText"):
        texts.get(element.get("Label", "").lower(), []).extend(element.itertext())
    return Report(
        uid=uid_of(uid.get("id", "")),
        sections={name: " ".join(" ".join(parts).split()) for name, parts in texts.items()},
        terms=tuple("".join(element.itertext()) for element in root.findall("MeSH/major")),
        images=tuple(f"{element.get('id', '')}.png" for element in root.findall("parentImage")),
        file=str(path),
        row="",
        images_file=str(path),
    )


def read_reports(
    path: Path, projections: pd.DataFrame, projections_path: Path
) -> Iterator[Report | Rejection]:
    """Read the reports of the Kaggle release.

    Args:
        path: `indiana_reports.csv`.
        projections: What `read_projections` gives, with the column `uid`.
        projections_path: Where that was read.

    Raises:
        InputError: No such file, or not a table with these columns.
    """
    rejected: list[Rejection] = []
    frame = read_table(path, columns=("uid", "MeSH", "Problems", *SECTIONS), reject=rejected.append)
    yield from rejected
    images = projections.groupby("uid")["filename"].agg(tuple).to_dict()
    known = set()
    columns = (frame[name] for name in ("uid", "MeSH", "Problems"))
    sections = zip(*(frame[name] for name in SECTIONS), strict=True)
    for line, cell, mesh, problems, texts in zip(frame.index, *columns, sections, strict=True):
        try:
            uid = uid_of(cell)
        except InputError as error:
            yield Rejection(str(path), f"line {line}", str(error))
            continue
        known.add(uid)
        yield Report(
            uid=uid,
            sections={name: " ".join(text.split()) for name, text in zip(SECTIONS, texts, strict=True)},
            terms=tuple((mesh.strip() or problems).split(";")),
            images=images.get(uid, ()),
            file=str(path),
            row=f"line {line}",
            images_file=str(projections_path),
        )
    strays = projections[~projections["uid"].isin(known)]
    for line, uid in zip(strays.index, strays["uid"], strict=True):
        yield Rejection(
            str(projections_path), f"line {line}", f"uid {uid[:40]!r} has no report in {path.name}"
        )


def read_projections(path: Path, *, uid: bool, reject: Reject) -> pd.DataFrame:
    """Read which view each image is: columns `filename`, `projection` (as `Study.view`; "" if unknown), `uid`.

    Args:
        path: `indiana_projections.csv`, or another table with an image's name (filename, imageid, image_id or image)
            and its view (projection, View Position, ViewPosition or view).
        uid: Whether it has to have the column `uid`.
        reject: Takes the rows that are left out.

    Raises:
        InputError: No such file, or not such a table.
    """
    columns = ("filename", "projection", *(["uid"] if uid else []))
    frame = read_table(path, columns=columns, optional=(), aliases=_NAMES, reject=reject)
    frame["projection"] = frame["projection"].map(view_code)
    if uid:
        frame["uid"] = frame["uid"].str.strip().str.replace(rf"^{_UID.pattern}$", r"\1", regex=True)
    return frame
