"""What stands in the place of recorded heatmaps: a control, drawn by (seed, step) and the map's own name."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from eclip.annotations.heatmap_controls import centre_bias, elsewhere
from eclip.data.draws import generator
from eclip.data.store import Store, Study
from eclip.errors import InputError

Heatmaps = Literal["recorded", "random", "shuffled", "uniform", "centre"]
"""The recorded maps, or a control in their place: the recorded map moved to a random place, the map of another study,
1 everywhere, or a Gaussian in the middle."""

OfOthers = Callable[[list[Study]], Tensor]
"""From one other study for each map to their maps (N, T, H, W), each in the augmentation of the map it replaces."""


class HeatmapControl:
    """Heatmaps to those of a control; all slices of a map alike.

    Args:
        store: Where other studies come from.
        heatmaps: Which control.
        seed: Of all draws.

    Raises:
        InputError: Heatmaps are to be shuffled, and fewer than two training studies have one.
    """

    def __init__(self, store: Store, heatmaps: Heatmaps, *, seed: int) -> None:
        self.store, self.heatmaps, self.seed = store, heatmaps, seed
        if heatmaps == "shuffled":
            self.annotated = store.rows(split="train", annotated=True)
            self.study_ids = np.array(store.column("study_id"))
            if len(set(self.study_ids[self.annotated])) < 2:
                raise InputError(
                    f"{store.path}: --method.heatmaps shuffled takes the annotation of another study, and there are "
                    "not two with annotations"
                )

    def __call__(
        self,
        map_NTHW: Tensor,
        *,
        rows: Sequence[int],
        names: Sequence[str],
        step: int,
        of_others: OfOthers,
    ) -> Tensor:
        """The maps, or what stands in their place.

        Args:
            map_NTHW: As recorded; those that show nothing are replaced by anything.
            rows: Of the store.
            names: What each map is drawn by.
            step: Of the run.
            of_others: How to draw the maps of other studies.
        """
        slices, height, width = map_NTHW.shape[1:]
        if self.heatmaps == "shuffled":
            return self._of_others(show_anything(map_NTHW), rows, names, step, of_others)
        if self.heatmaps == "random":
            moved_NTHW = map_NTHW.clone()
            for name, map_THW in zip(names, moved_NTHW, strict=True):
                map_THW[:] = elsewhere(map_THW, generator(self.seed, step, f"place of the heatmap of {name}"))
            return moved_NTHW
        if self.heatmaps == "uniform":
            return torch.ones_like(map_NTHW) / slices
        if self.heatmaps == "centre":
            return (centre_bias(height, width) / slices).expand_as(map_NTHW)
        return map_NTHW

    def _of_others(
        self, usable_N: Tensor, rows: Sequence[int], names: Sequence[str], step: int, of_others: OfOthers
    ) -> Tensor:
        """For each row the heatmap of another study, the first in a random order that shows anything."""
        orders = []
        for row, name in zip(rows, names, strict=True):
            others = self.annotated[self.study_ids[self.annotated] != self.study_ids[row]]
            orders.append(generator(self.seed, step, f"heatmap for {name}").permutation(others))
        tried_N = np.zeros(len(rows), int)
        while True:
            donors = [self.store[int(order[tried])] for order, tried in zip(orders, tried_N, strict=True)]
            map_NTHW = of_others(donors)
            blank_N = (usable_N & ~show_anything(map_NTHW)).numpy()
            if not blank_N.any():
                return map_NTHW
            tried_N += blank_N
            if any(tried == len(order) for order, tried in zip(orders, tried_N, strict=True)):
                raise InputError(
                    f"{self.store.path}: --method.heatmaps shuffled takes the annotation of another study, and none "
                    f"shows anything at step {step}"
                )


def show_anything(map_NTHW: Tensor) -> Tensor:
    """Which maps are not zero everywhere, (N,) bool."""
    return map_NTHW.flatten(1).amax(1) > 0
