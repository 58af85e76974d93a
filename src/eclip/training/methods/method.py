"""What a method of training is: it turns a batch into named losses. The trainer only optimises."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from eclip.annotations.sentences import LEAD
from eclip.data.expert_loading import Heatmaps
from eclip.data.loading import Batch
from eclip.losses.contrastive import info_nce
from eclip.models.dual_encoder import DualEncoder
from eclip.models.heatmap_processor import HeatmapProcessor

Contrast = Callable[[Tensor, Tensor, Tensor], Tensor]
"""A loss of images (B, D), their texts (B, D) and the scale: `info_nce`, or `SigmoidContrast` of siglip.py."""


@dataclass(slots=True, kw_only=True)
class MethodConfig:
    """The settings of a method; each method has its own, so that no option is without effect.

    Attributes:
        name: What the method is called on the command line and in records.
        summary: Half a line for lists.
        starting_temperature: Where recipes start the learnable temperature.
        trains_local_features: Whether image regions and words are trained; texts then come with their `word_ids`.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    starting_temperature: ClassVar[float] = 0.07
    trains_local_features: ClassVar[bool] = False

    def build(self, encoder: DualEncoder, *, steps: int, seed: int) -> "Method":
        """The method that trains `encoder` for `steps` steps."""
        raise AssertionError(f"{type(self).__name__} builds nothing")

    def check(self) -> None:
        """Refuse values out of range, and values that would have no effect beside the others.

        Raises:
            InputError: Which setting, and what to do.
        """

    def expert_probability(self, step: int, *, steps: int) -> float:
        """Probability that a step has an expert batch."""
        return 0.0

    @property
    def expert_share(self) -> float:
        """Size of an expert batch relative to the ordinary one; 0 for methods without."""
        return 0.0

    @property
    def expert_heatmaps(self) -> Heatmaps:
        """What stands in the place of the recorded heatmaps."""
        return "recorded"

    @property
    def expert_slices(self) -> int:
        """In how many equal shares of a reading's time the heatmaps come."""
        return 1

    @property
    def expert_sentences(self) -> int:
        """How many dictated sentences come with each annotated study, at most; 0 for methods without."""
        return 0

    @property
    def sentence_lead(self) -> float:
        """Seconds before a sentence that count as its own, for the eye is ahead of the tongue."""
        return LEAD


@dataclass(slots=True)
class StepLosses:
    """Losses of one step.

    Attributes:
        terms: Scalar losses by name, as their formulas give them.
        weights: Factors by name; 1 where none is given.
        metrics: Further scalars worth watching.
    """

    terms: dict[str, Tensor]
    weights: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, Tensor | float] = field(default_factory=dict)

    @property
    def total(self) -> Tensor:
        """What is optimised: the weighted sum."""
        return sum(
            (self.weights.get(name, 1.0) * term for name, term in self.terms.items()), start=_zero(self.terms)
        )


class Method(nn.Module):
    """A dual encoder and what a way of training adds to it.

    Attributes:
        encoder: The CLIP that is trained; what it computes does not depend on the method.
        heatmap_processor: The processor trained along with it, if the method has one.
        contrast: What pulls pairs together and the others apart.
    """

    heatmap_processor: HeatmapProcessor | None
    contrast: Contrast

    def __init__(self, encoder: DualEncoder, *, contrast: Contrast = info_nce) -> None:
        super().__init__()
        self.encoder = encoder
        self.heatmap_processor = None
        self.contrast = contrast

    def forward(self, batch: Batch) -> StepLosses:
        """The losses of one step."""
        raise AssertionError(f"{type(self).__name__} has no losses")

    def encode_texts(self, batch: Batch) -> Tensor:
        """Unit vectors (B + E + S, D) of a batch's texts, those of sentences last."""
        text_ND = self.encoder.encode_text(batch.tokens)
        sentences = batch.expert.sentences if batch.expert is not None else None
        if sentences is None or not sentences.rows:
            return text_ND
        return torch.cat([text_ND, self.encoder.encode_text(sentences.tokens)])

    def learning_rate_factors(self) -> Iterator[tuple[nn.Module, float]]:
        """Modules whose learning rate is not the common one, and by what factor it differs."""
        return iter(())


def _zero(terms: dict[str, Tensor]) -> Tensor:
    return next(iter(terms.values())).new_zeros(())
