"""What is compared: arms (a method, or a control of it), and on how much data."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from damage import DAMAGE

from eclip.models.heatmap_processor import HeatmapProcessorConfig
from eclip.recipes import phantom
from eclip.training.config import TrainConfig
from eclip.training.curriculum import ALWAYS

CHOOSING, CONFIRMING = (0, 1, 2), (10, 11, 12, 13, 14)
"""Seeds that methods may be chosen by, and fresh ones that only confirm; breadth is had for fewer of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Sizes of a study.

    Attributes:
        studies: Of the phantom, in all; 70 % are for training. Of 8,000, a tenth of those is 560 annotated ones, about
            half of EGD-CXR.
        size: Pixels a side that the encoder sees.
        widths: Of the stages of the ResNet. With three, a cell of its grid is 16 pixels wide, which makes 6 x 6 at 96
            pixels; with four it would be 3 x 3, of which a heatmap can say little.
        steps: Of training, for every arm but those of equal images.
        batch_size: Ordinary pairs a step.
        data_seed: Of the phantom.
    """

    studies: int = 8000
    size: int = 96
    widths: tuple[int, ...] = (32, 64, 192)
    steps: int = 800
    batch_size: int = 32
    data_seed: int = 100


FULL = Grid()
FAST = Grid(studies=240, size=48, steps=30, batch_size=16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training and its evaluation.

    Attributes:
        arm: Name out of `ARMS`.
        fraction: Share of the training studies whose annotations are there.
        train: Share of the training studies that are there at all.
        seed: Of training, and of which studies are annotated.
    """

    arm: str
    fraction: float = 0.1
    train: float = 1.0
    seed: int = 0

    @property
    def name(self) -> str:
        """Of its files. What sees no annotations is one run, whatever share of the studies has some."""
        share = "" if self.arm in BLIND else f"_annotated-{self.fraction:g}"
        return f"{self.arm.replace(', ', '-').replace(' ', '-')}{share}_train-{self.train:g}_seed-{self.seed}"

    @property
    def damage(self) -> str:
        """What happened to the gaze of its training studies, out of `DAMAGE`; "" for nothing."""
        kind = self.arm.removeprefix(DAMAGED + ", ")
        return kind if kind in DAMAGE else ""


DAMAGED = "gaze-grounding"
"""The method that is given worse gaze."""

BLIND = ("clip", "clip, equal images")
"""Arms that see no annotations."""


def _arm(method: str, steps: float = 1.0, **settings: object) -> Callable[[Grid], TrainConfig]:
    def config(grid: Grid) -> TrainConfig:
        made = phantom(method)
        image = {**made.model.image, "hidden_sizes": list(grid.widths), "depths": [1] * len(grid.widths)}
        preprocessing = replace(made.model.preprocessing, size=grid.size)
        made.model = replace(made.model, image=image, preprocessing=preprocessing)
        made.method = replace(made.method, **settings)
        made.loading = replace(made.loading, plain_rows="all", workers=0)
        made.steps, made.batch_size = round(steps * grid.steps), grid.batch_size
        made.validate_every, made.precision = made.steps, "32"
        return made

    return config


_EVERY_STEP = {"curriculum": ALWAYS, "priming_weight": 0.0}

ARMS: dict[str, Callable[[Grid], TrainConfig]] = {
    "clip": _arm("clip"),
    "clip, equal images": _arm("clip", 1.5),
    "expert-as-data": _arm("expert-as-data", curriculum=ALWAYS),
    "naive, mask": _arm("naive", processor=HeatmapProcessorConfig(kind="mask"), processor_lr=1.0),
    "naive, convolution": _arm("naive", processor=HeatmapProcessorConfig(kind="convolution")),
    "naive": _arm("naive"),
    "eclip, E M": _arm("eclip", **_EVERY_STEP),
    "eclip, E M C": _arm("eclip", priming_weight=0.0),
    "eclip": _arm("eclip"),
    "eclip, random": _arm("eclip", heatmaps="random"),
    "m3mix": _arm("m3mix"),
    "dacl": _arm("dacl"),
    "gaze-pooling": _arm("gaze-pooling"),
    "gaze-attention": _arm("gaze-attention"),
    "sentence-eclip": _arm("sentence-eclip"),
    "gaze-grounding": _arm("gaze-grounding"),
    "gaze-grounding, sentences alone": _arm("gaze-grounding", guess_weight=0.0),
    "gaze-grounding, centre": _arm("gaze-grounding", heatmaps="centre"),
    "gaze-grounding, uniform": _arm("gaze-grounding", heatmaps="uniform"),
    "gaze-grounding, shuffled": _arm("gaze-grounding", heatmaps="shuffled"),
    **{f"{DAMAGED}, {kind}": _arm(DAMAGED) for kind in DAMAGE},
}
"""All see every training pair as an ordinary one; the one with "equal images" trains longer instead of seeing annotated
studies a second time. `naive` is the paper's ablation "+E"; "E M" and "E M C" add mixup and curriculum, and `eclip`
priming."""


MAIN = (
    "clip",
    "clip, equal images",
    "expert-as-data",
    "gaze-grounding",
    "gaze-grounding, shuffled",
    "gaze-grounding, uniform",
)


def plan(name: str) -> list[Run]:
    """The runs of a part of the study, in the order in which they are done: a seed at a time."""
    whole = [arm for arm in ARMS if not Run(arm=arm).damage]
    if name == "main":
        return [Run(arm=arm, seed=seed) for seed in CONFIRMING for arm in MAIN]
    if name == "choose":
        arms = [arm for arm in whole if arm.startswith(("clip", "expert", "gaze", "sentence"))]
        return [Run(arm=arm, seed=seed) for seed in CHOOSING for arm in arms]
    if name == "table":
        return [Run(arm=arm, seed=seed) for seed in CONFIRMING[:3] for arm in whole]
    if name == "quality":
        arms = ["clip", DAMAGED, *(f"{DAMAGED}, {kind}" for kind in (*DAMAGE, "shuffled", "uniform"))]
        return [Run(arm=arm, seed=seed) for seed in CONFIRMING[:3] for arm in arms]
    if name == "fractions":
        return [
            Run(arm=arm, fraction=fraction, seed=seed)
            for seed in CONFIRMING[:2]
            for fraction in (0.01, 0.05, 0.1, 0.5, 1.0)
            for arm in ("clip", "expert-as-data", "eclip", "gaze-grounding", "gaze-grounding, uniform")
            if arm != "gaze-grounding, uniform" or fraction <= 0.1  # the control where gaze is scarce
        ]
    if name == "sizes":
        return [
            Run(arm=arm, train=train, seed=seed)
            for seed in CONFIRMING[:2]
            for train in (0.25, 0.5, 1.0)
            for arm in ("clip", "expert-as-data", "gaze-grounding")
        ]
    raise ValueError(f"no part {name!r}; there are {', '.join(PARTS)}")


PARTS = ("main", "choose", "table", "quality", "fractions", "sizes")


def settings(run: Run, grid: Grid) -> dict[str, Any]:
    """All that a run is made of but its seed and data, for JSON."""
    return {"grid": asdict(grid), "arm": ARMS[run.arm](grid).to_dict()}
