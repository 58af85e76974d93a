"""Whether a store is sound: what the build found, and what can be checked again at any time."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from eclip.data.store import Store

State = Literal["sound", "note", "wrong"]
_TITLES = {
    "duplicate_image_ids": "rows left out because their image id came before",
    "near_duplicate_images_across_splits": "images that look the same in different splits",
    "texts_in_several_splits": "texts that occur in more than one split",
    "gaze_off_the_image": "images whose gaze does not fit them",
    "empty_reports": "rows left out because their report was empty or missing",
}


@dataclass(frozen=True, slots=True)
class Assessment:
    """One thing that was looked for.

    Attributes:
        title: What.
        count: How often it was found.
        examples: Some of what was found.
        state: "wrong" if the store, or what is measured on its splits, cannot be trusted; a "note" is good to know.
    """

    title: str
    count: int
    examples: tuple[str, ...]
    state: State

    def __str__(self) -> str:
        example = f", such as {self.examples[0]}" if self.examples else ""
        return f"{self.title}: {self.count or 'none'}{example}"


def assess(store: Store) -> list[Assessment]:
    """Check bytes, ids and patients of a store; all of its bytes are read. The rest is as its build found it."""
    patients = store.table(["patient_id", "split"]).group_by("patient_id")
    splits = patients.aggregate([("split", "count_distinct")]).to_pydict()
    counts = zip(splits["patient_id"], splits["split_count_distinct"], strict=True)
    ids = Counter(store.column("image_id"))
    found = [
        _measured("files whose bytes are not those that were written", store.damaged_shards()),
        _measured("image ids that occur more than once", [name for name, n in ids.items() if n > 1]),
        _measured("patients in more than one split", sorted(name for name, n in counts if n > 1)),
    ]
    for name, noted in store.manifest.get("checks", {}).items():
        if name != "patients_in_several_splits":
            state: State = "sound" if not noted["count"] else "wrong" if noted["leak"] else "note"
            title = _TITLES.get(name, name.replace("_", " "))
            found.append(Assessment(title, noted["count"], tuple(noted["examples"]), state))
    return found


def _measured(title: str, found: list[str]) -> Assessment:
    return Assessment(title, len(found), tuple(found[:20]), "wrong" if found else "sound")
