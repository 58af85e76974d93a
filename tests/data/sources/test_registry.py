"""What every source promises, on a whole sound tree of its own format."""

from dataclasses import is_dataclass
from importlib import import_module

import pytest

import small_trees
from eclip.data.build import build
from eclip.data.sources.registry import SOURCES
from eclip.data.store import SPLITS, Store

FEW = {"mimic-cxr": {"each": 2}, "chexpert": {"single": 2}, "nih-cxr14": {"single": 1}}


def sound(name, root):
    """A source on a tree that was written for it."""
    kind = SOURCES[name]
    if name in {"egd-cxr", "reflacx"}:
        images = small_trees.write_mimic(root / "mimic", range(8))
        recordings = root / name
        recordings.mkdir()
        path = [(40, 15, 0.5, 0.75), (8, 54, 1.0, 1.5)]
        if name == "egd-cxr":
            small_trees.write_egd(recordings, dict.fromkeys(range(8), path))
        else:
            small_trees.write_reflacx(recordings, [(number, path) for number in range(8)])
        return kind(root=recordings, images=images)
    module = import_module(f"fabricated.{'lab' if name == 'csv' else name.replace('-', '_')}")
    module.write(root / name, **FEW.get(name, {}))
    if name == "csv":
        return kind(mapping=next((root / name).glob("*.yaml")))
    if name == "gazeintent":  # its sets show the same recordings: one at a time
        recordings = sorted((root / name).glob("*.json"))[0]
        return kind(root=recordings, images=root / name / "mimic-cxr-jpg")
    if name == "gazesearch":
        return kind(root=root / name, images=root / name / "mimic-cxr-jpg")
    return kind(root=root / name)


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_offers_the_same_drafts_again_and_counts_them(name, tmp_path):
    source = sound(name, tmp_path)
    assert is_dataclass(source)
    selection = source.select()
    first = [repr(draft) for draft in selection.drafts()]
    assert first == [repr(draft) for draft in selection.drafts()]
    assert first == [repr(draft) for draft in source.select().drafts()]
    assert len(first) == selection.total
    assert " at 0x" not in "".join(first)  # an address: a resumed build would do everything again


@pytest.mark.parametrize("name", SOURCES)
def test_a_sound_tree_is_built_whole_without_leaks(name, tmp_path):
    manifest = build(sound(name, tmp_path), tmp_path / "store", image_size=32, workers=2)
    assert manifest["source"] == name
    assert manifest["counts"]["rows"] > 0
    store = Store.open(tmp_path / "store")
    assert set(store.column("split")) <= set(SPLITS)
    assert len(set(store.column("image_id"))) == len(store)
