"""What heatmap processors do after priming alone: errors to the image and to plain masking, keys and values swapped.

    python benchmarks/processor_diagnosis.py [--steps 1000 --size 128 --seed 0]

Phantom images and gaze; AdamW at 2e-4, batch 16, mean squared error of h(I, 1) to I, as in the cold start of eCLIP.
Measured on 64 annotated studies of patients that were not primed on, with their gaze, with one wide Gaussian in the
middle, and with E = 0.5. Residual forms and `mask` need no priming.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from eclip.annotations.heatmap_controls import centre_bias
from eclip.data.build import build
from eclip.data.expert_loading import ExpertLoader, as_pixels
from eclip.data.phantom.trees import write_phantom
from eclip.data.sources.mimic_cxr import MimicCxr
from eclip.data.store import Store
from eclip.models.heatmap_processor import HeatmapProcessor, HeatmapProcessorConfig, build_processor
from eclip.models.preprocessing import Preprocessing
from eclip.models.processor_diagnosis import diagnose

BATCH, LEARNING_RATE, MEASURED = 16, 2e-4, 64
PROCESSORS = {
    "attention (published)": HeatmapProcessorConfig(),
    "convolution": HeatmapProcessorConfig(kind="convolution"),
    "attention, query masked+image": HeatmapProcessorConfig(query="masked+image"),
    "attention, positions": HeatmapProcessorConfig(positions=True),
    "mask": HeatmapProcessorConfig(kind="mask"),
}
UNPRIMED = "attention (published), unprimed"


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in (("steps", 1000), ("size", 128), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    primed_on, image, gaze = _phantom(arguments.size, arguments.seed)
    centre = centre_bias(arguments.size, arguments.size).expand_as(gaze)
    heatmaps = {"gaze": gaze, "centre": centre, "E = 0.5": torch.full_like(gaze, 0.5)}
    for name, config in {UNPRIMED: HeatmapProcessorConfig(), **PROCESSORS}.items():
        torch.manual_seed(arguments.seed)
        processor, start = build_processor(config), time.perf_counter()
        if name != UNPRIMED and not config.starts_as_identity:
            _prime(processor, primed_on, steps=arguments.steps, seed=arguments.seed)
        print(f"{name}, {time.perf_counter() - start:.0f} s")
        columns = [asdict(diagnose(processor, image, heatmap)) for heatmap in heatmaps.values()]
        print(f"    {'':23}" + "".join(f"{heatmap:>9}" for heatmap in heatmaps))
        for measure in columns[0]:
            values = ["-" if column[measure] is None else f"{column[measure]:.3f}" for column in columns]
            print(f"    {measure:23}" + "".join(f"{value:>9}" for value in values), flush=True)


def _phantom(size: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Normalised images to prime on, and annotated ones of other patients with their heatmaps."""
    with tempfile.TemporaryDirectory() as folder:
        trees, data = Path(folder, "phantom"), Path(folder, "store")
        write_phantom(trees, studies=800, annotated=400, seed=seed)
        gaze = tuple(f"{name}={trees / name}" for name in ("egd-cxr", "reflacx"))
        build(MimicCxr(root=trees / "mimic-cxr-jpg", gaze=gaze), data, image_size=256)
        store = Store.open(data)
        annotated = store.rows(annotated=True)
        expert, _ = ExpertLoader(store, size=size)(annotated[np.arange(MEASURED)], 0)
        patients = np.array(store.column("patient_id"))
        others = np.flatnonzero(~np.isin(patients, patients[expert.rows]))
        primed_on = as_pixels([store[int(row)] for row in others], size)
    print(f"{len(primed_on)} images to prime on, {len(expert.rows)} annotated ones to measure")
    normalise = Preprocessing(size=size).normalise
    return normalise(primed_on), normalise(expert.image_E1HW), expert.heatmap_E1HW


def _prime(processor: HeatmapProcessor, image_N1HW: Tensor, *, steps: int, seed: int) -> None:
    optimizer = torch.optim.AdamW(processor.parameters(), lr=LEARNING_RATE)
    for rows in _batches(len(image_N1HW), steps, np.random.default_rng(seed)):
        image = image_N1HW[rows]
        loss = F.mse_loss(processor(image, torch.ones_like(image)), image)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _batches(images: int, steps: int, draw: np.random.Generator) -> Iterator[np.ndarray]:
    for _ in range(steps):
        yield draw.choice(images, BATCH, replace=False)


if __name__ == "__main__":
    main()
