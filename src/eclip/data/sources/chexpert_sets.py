"""The evaluation sets made of CheXpert: 5×200, a released list of images, 8×200."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from eclip.annotations.reading import Rejection
from eclip.data.sources.cells import read_rows
from eclip.data.sources.chexpert_tables import EXPECTED, LABELS, SIDES, image_names, read_images
from eclip.data.sources.subset import COMPETITION, draw
from eclip.errors import InputError

QUERIED = (
    "Atelectasis",
    "Cardiomegaly",
    "Edema",
    "Fracture",
    "Pleural Effusion",
    "Pneumonia",
    "Pneumothorax",
    "No Finding",
)
"""The classes of 8×200."""
_FINDINGS = [*COMPETITION, *(name for name in LABELS if name not in {*COMPETITION, "No Finding"})]
_PRESENT, _ABSENT, _UNCERTAIN = {"1", "1.0"}, {"", "0", "0.0"}, {"-1", "-1.0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The images of a set.

    Attributes:
        rows: As `read_images` gives them.
        rejected: Rows of tables that could not be used.
        skipped: Why rows were not asked for, and how many.
        groups: Of a subset, group to ids or texts.
    """

    rows: pd.DataFrame
    rejected: Sequence[Rejection]
    skipped: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, list[str]] = field(default_factory=dict)


def drawn(home: Path, *, per_class: int, seed: int) -> Chosen:
    """5×200: frontal images of train.csv with one competition label as their only finding, by GLoRIA's rule.

    One of the five labels is 1; the other four, and all other labels except No Finding, are 0 or blank, so not
    uncertain. Rows that are broken are kept, to be listed as such.

    Raises:
        InputError: A table or column is missing, or a class has too few images.
    """
    rejected: list[Rejection] = []
    table = home / "train.csv"
    rows = read_images(table, split="test", reject=rejected.append)
    finding = _only_finding(rows).where(rows["Frontal/Lateral"].eq("Frontal"), "")
    finding = finding.where(~rows["image_id"].duplicated() & rows["image_id"].ne(""), "")
    pools = {name: rows["image_id"][finding.eq(name)].tolist() for name in COMPETITION}
    groups = draw(pools, per_class=per_class, seed=seed, where=str(table))
    kept = rows["image_id"].isin({image_id for ids in groups.values() for image_id in ids}) | _broken(rows)
    skipped = {"not drawn for 5x200": int((~kept).sum())}
    return Chosen(rows=rows[kept], rejected=rejected, skipped=skipped, groups=groups)


def listed(home: Path, ids: Path) -> Chosen:
    """The images that a table lists in its column Path; as groups their only findings, or "others".

    Raises:
        InputError: A table or column is missing.
    """
    rejected: list[Rejection] = []
    rows = _train_and_valid(home, rejected)
    listing = read_rows(ids, columns=("Path",), reject=rejected.append)
    wanted = _found(listing["Path"], {*rows["image_id"]}, table=ids, rejected=rejected)
    rows = rows[rows["image_id"].isin(wanted.values())]
    finding = _only_finding(rows).replace("", "others")
    groups = {str(name): group.tolist() for name, group in rows["image_id"].groupby(finding)}
    return Chosen(rows=rows, rejected=rejected, groups=groups)


def queried(home: Path, folder: Path) -> Chosen:
    """8×200: candidates and queries of ConVIRT's release, from image-retrieval/ or text-retrieval/ or both.

    A query image has the labels that CheXpert's own tables give it; a candidate those of its list.

    Raises:
        InputError: A folder, table or column is missing.
    """
    folders = {kind: folder / f"{kind}-retrieval" for kind in ("image", "text")}
    folders = {kind: place for kind, place in folders.items() if place.is_dir()}
    if not folders:
        raise InputError(
            f"{folder}: neither image-retrieval nor text-retrieval; expected the folders of CheXpert 8×200"
        )
    rejected: list[Rejection] = []
    groups: dict[str, list[str]] = {}
    tables: list[pd.DataFrame] = []
    stored = {""}
    for kind, place in folders.items():
        rows = read_images(place / "candidate.csv", split="test", reject=rejected.append)
        groups[f"{kind} candidates"] = rows["image_id"][rows["image_id"].ne("")].unique().tolist()
        tables.append(rows[rows["image_id"].eq("") | ~rows["image_id"].isin(stored)])
        stored.update(rows["image_id"])
    if "image" in folders:
        table = folders["image"] / "query.csv"
        queries = _queries(table, "Path", rejected)
        rows = _train_and_valid(home, rejected)
        wanted = _found(queries["Path"], stored.union(rows["image_id"]), table=table, rejected=rejected)
        _group(groups, "image queries", queries["Variable"], wanted)
        tables.append(rows[rows["image_id"].isin({*wanted.values()} - stored)])
    if "text" in folders:
        table = folders["text"] / "query.csv"
        queries = _queries(table, "Text", rejected)
        _group(groups, "text queries", queries["Variable"], _by_row(queries["Text"]))
    return Chosen(rows=pd.concat(tables, ignore_index=True), rejected=rejected, groups=groups)


def _only_finding(rows: pd.DataFrame) -> "pd.Series[str]":
    """The competition label that is a row's only finding, or ""."""
    cells = rows[_FINDINGS].apply(lambda column: column.str.strip())
    present = cells.isin(_PRESENT)
    single = (present | cells.isin(_ABSENT)).all(axis=1) & present.sum(axis=1).eq(1)
    found = pd.Series("", index=rows.index, dtype=object)
    for name in COMPETITION:
        found[single & present[name]] = name
    return found


def _broken(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Rows that no study can be made of, whatever is drawn."""
    values = (
        rows[list(LABELS)].apply(lambda column: column.str.strip()).isin({*_PRESENT, *_ABSENT, *_UNCERTAIN})
    )
    return rows["image_id"].eq("") | ~rows["Frontal/Lateral"].isin(SIDES) | ~values.all(axis=1)


def _train_and_valid(home: Path, rejected: list[Rejection]) -> pd.DataFrame:
    tables = [home / name for name in ("train.csv", "valid.csv")]
    rows = [read_images(table, split="test", reject=rejected.append) for table in tables if table.is_file()]
    return pd.concat(rows, ignore_index=True)


def _found(
    paths: "pd.Series[str]", known: set[str], *, table: Path, rejected: list[Rejection]
) -> dict[int, str]:
    """Row to image id, of the paths whose image is known; the others are rejected."""
    ids = _by_row(image_names(paths)["image_id"])
    for number, image_id in ids.items():
        if image_id not in known or not image_id:
            reason = f"{image_id} is in neither train.csv nor valid.csv"
            if not image_id:
                reason = f"Path is {paths[number][:80]!r}; expected {EXPECTED}"
            rejected.append(Rejection(str(table), f"row {number}", reason))
    return {number: image_id for number, image_id in ids.items() if image_id in known and image_id}


def _queries(table: Path, column: str, rejected: list[Rejection]) -> pd.DataFrame:
    """Variable and `column` of queries, stripped, without those that ask for no class or with nothing."""
    rows = read_rows(table, columns=("Variable", column), reject=rejected.append)
    rows = rows.apply(lambda cells: cells.str.split().str.join(" "))
    usable = rows["Variable"].isin(QUERIED) & rows[column].ne("")
    for number, (variable, query) in zip(rows.index[~usable], rows[~usable].to_numpy(), strict=True):
        reason = f"Variable is {variable[:60]!r}; expected one of {', '.join(QUERIED)}"
        if not query:
            reason = f"nothing in column {column!r}"
        rejected.append(Rejection(str(table), f"row {number}", reason))
    return rows[usable]


def _by_row(cells: "pd.Series[str]") -> dict[int, str]:
    return dict(zip(cells.index.tolist(), cells, strict=True))


def _group(
    groups: dict[str, list[str]], name: str, variables: "pd.Series[str]", queries: Mapping[int, str]
) -> None:
    for number, query in queries.items():
        groups.setdefault(f"{name}: {variables[number]}", []).append(query)
