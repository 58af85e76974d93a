"""Robustness: the same images under another exposure, noise, coarser, turned, and with a part hidden.

What is changed is the square that the encoder sees. *Stability* is the cosine between an image's embeddings without and
with the change; *accuracy* that of zero-shot classification. *Occlusion* hides what experts looked at or outlined, or a
part of the same size and shape elsewhere, with the image's mean grey, and takes by how much the cosine with the own
report falls: who looks where experts do loses more by the first.
"""

import zlib
from collections.abc import Callable, Sequence
from typing import overload

import numpy as np
import pandas as pd
import torch
from markupsafe import Markup
from PIL import Image

from eclip.annotations.heatmap import heatmap
from eclip.annotations.heatmap_controls import elsewhere
from eclip.data.images import decode, fit
from eclip.data.store import Store
from eclip.evaluation.embeddings import Embeddings
from eclip.evaluation.figures import interval_chart
from eclip.evaluation.results import Evaluation
from eclip.evaluation.statistics import Statistic, mean
from eclip.models.model import Model

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""Grey levels in [0, 1], (H, W), and a generator of the image's own, to the same changed."""
HIDDEN = 0.5
"""From this height on, of a heatmap, a pixel is hidden."""


def gamma(power: float) -> Change:
    """Another exposure."""
    return lambda grey_HW, _: grey_HW**power


def noise(sigma: float) -> Change:
    """Gaussian noise of so much of the whole range."""
    return lambda grey_HW, draw: grey_HW + sigma * draw.normal(size=grey_HW.shape)


def coarser(factor: int) -> Change:
    """As if taken with so many times fewer pixels a side."""

    def change(grey_HW: np.ndarray, _: np.random.Generator) -> np.ndarray:
        height, width = grey_HW.shape
        image = Image.fromarray(grey_HW.astype(np.float32))
        small = image.resize((max(1, width // factor), max(1, height // factor)), Image.Resampling.BOX)
        return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))

    return change


def turned(degrees: float) -> Change:
    """Turned counter-clockwise; what comes into sight is the mean grey."""

    def change(grey_HW: np.ndarray, _: np.random.Generator) -> np.ndarray:
        image = Image.fromarray(grey_HW.astype(np.float32))
        return np.asarray(image.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=float(grey_HW.mean())))

    return change


CHANGES: dict[str, Change] = {
    "gamma 0.7": gamma(0.7),
    "gamma 1.4": gamma(1.4),
    "noise 0.05": noise(0.05),
    "noise 0.1": noise(0.1),
    "half resolution": coarser(2),
    "quarter resolution": coarser(4),
    "turned 10": turned(10),
    "turned -10": turned(-10),
}


def per_sample(
    model: Model,
    store: Store,
    rows: np.ndarray,
    embeddings: Embeddings,
    right: Callable[[np.ndarray], np.ndarray] | None,
    *,
    seed: int,
) -> pd.DataFrame:
    """What becomes of each image's embedding under each of `CHANGES`.

    Args:
        model: What embeds.
        store: The studies.
        rows: (N,) those that are judged.
        embeddings: Of the unchanged images, in this order.
        right: Image embeddings to whether each is classified right (N,), NaN where that is not known; None without
            classes.
        seed: Of the noise and the places elsewhere; each image has a generator of its own.

    Returns:
        `stability@CHANGE`, with `right` also `accuracy@CHANGE` and `accuracy@unchanged`; and `occlusion_drop_annotated`
        and `occlusion_drop_elsewhere`, NaN but for annotated images with a report, if there are any.
    """
    size = model.encoder.preprocessing.size
    columns: dict[str, np.ndarray] = {}
    if right is not None:
        columns["accuracy@unchanged"] = right(embeddings.image_ND)
    for name, change in CHANGES.items():
        changed_ND = model.embed_images(_Changed(store, rows, size, _alone(change), seed), progress=True)
        columns[f"stability@{name}"] = (embeddings.image_ND * changed_ND).sum(1, dtype=np.float64)
        if right is not None:
            columns[f"accuracy@{name}"] = right(changed_ND)
    columns |= _occlusion(model, store, rows, embeddings, seed=seed)
    return pd.DataFrame(columns)


def statistics(per_sample: pd.DataFrame) -> dict[str, Statistic]:
    """Means of all columns, and `occlusion_excess`: how much more is lost by hiding what experts marked."""
    numbers = {name: mean(per_sample[name].to_numpy(float)) for name in per_sample.columns}
    if "occlusion_drop_annotated" in numbers:
        excess = per_sample["occlusion_drop_annotated"] - per_sample["occlusion_drop_elsewhere"]
        numbers["occlusion_excess"] = mean(excess.to_numpy(float), chance=0.0)
    return numbers


def what_changes(evaluation: Evaluation) -> Markup:
    """Accuracy under each change, else stability, for the page."""
    found = evaluation.metrics["robustness"]
    quality = "accuracy" if "accuracy@unchanged" in found else "stability"
    names = [*(["unchanged"] if quality == "accuracy" else []), *CHANGES]
    rows = [(name, found[f"{quality}@{name}"]) for name in names if f"{quality}@{name}" in found]
    return interval_chart(
        rows, title="zero-shot accuracy" if quality == "accuracy" else "cosine with the unchanged"
    )


def _occlusion(
    model: Model, store: Store, rows: np.ndarray, embeddings: Embeddings, *, seed: int
) -> dict[str, np.ndarray]:
    annotated = set(store.rows(split=None, annotated=True).tolist())
    kept = [i for i, row in enumerate(rows) if int(row) in annotated and embeddings.text[i]]
    size = model.encoder.preprocessing.size
    masks = {int(rows[i]): mask for i in kept if (mask := _marked(store, int(rows[i]), size)) is not None}
    kept = [i for i in kept if int(rows[i]) in masks]
    if not kept:
        return {}

    def hidden(grey_HW: np.ndarray, mask_HW: np.ndarray) -> np.ndarray:
        return np.where(mask_HW, grey_HW.mean(), grey_HW)

    def own(row: int, grey_HW: np.ndarray, _: np.random.Generator) -> np.ndarray:
        return hidden(grey_HW, masks[row])

    def other(row: int, grey_HW: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        moved_HW = elsewhere(torch.from_numpy(masks[row].astype(np.float32)), draw).numpy()
        return hidden(grey_HW, moved_HW >= HIDDEN)

    columns = {}
    before = (embeddings.image_ND[kept] * embeddings.text_ND[kept]).sum(1, dtype=np.float64)
    for name, change in (("annotated", own), ("elsewhere", other)):
        changed = model.embed_images(_Changed(store, rows[kept], size, change, seed), progress=True)
        drop_N = np.full(len(rows), np.nan)
        drop_N[kept] = before - (changed * embeddings.text_ND[kept]).sum(1, dtype=np.float64)
        columns[f"occlusion_drop_{name}"] = drop_N
    return columns


def _marked(store: Store, row: int, size: int) -> np.ndarray | None:
    """What experts looked at or outlined in the square, bool; None where nothing shows, or everything."""
    study = store[row]
    map_HW = heatmap(study.annotations, study.height, study.width)
    if map_HW is None:
        return None
    mask_HW = fit((map_HW * 255).astype(np.uint8), size) >= 255 * HIDDEN
    return mask_HW if 0 < mask_HW.mean() < 1 else None


def _alone(change: Change) -> Callable[[int, np.ndarray, np.random.Generator], np.ndarray]:
    return lambda _, grey_HW, draw: change(grey_HW, draw)


class _Changed(Sequence[np.ndarray]):
    """Squares of stored images, changed when they are asked for: memory for one batch."""

    def __init__(
        self,
        store: Store,
        rows: np.ndarray,
        size: int,
        change: Callable[[int, np.ndarray, np.random.Generator], np.ndarray],
        seed: int,
    ) -> None:
        self.store, self.rows, self.size, self.change, self.seed = store, rows, size, change, seed

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> list[np.ndarray]: ...
    def __getitem__(self, index: int | slice) -> np.ndarray | list[np.ndarray]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        row = int(self.rows[index])
        study = self.store[row]
        draw = np.random.default_rng([self.seed, zlib.crc32(study.image_id.encode())])
        grey_HW = fit(decode(study.image), self.size) / 255
        return (np.clip(self.change(row, grey_HW, draw), 0, 1) * 255).round().astype(np.uint8)
