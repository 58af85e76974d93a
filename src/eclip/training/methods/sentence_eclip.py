"""`sentence-eclip`: `eclip`, and dictated sentences paired with where their reader looked in their seconds."""

from dataclasses import dataclass

import torch
from torch import Tensor

from eclip.annotations.sentences import LEAD
from eclip.data.expert_loading import ExpertBatch
from eclip.data.loading import Batch
from eclip.errors import InputError
from eclip.losses.contrastive import info_nce
from eclip.models.dual_encoder import DualEncoder
from eclip.training.methods.eclip import Eclip, EclipConfig


@dataclass(slots=True, kw_only=True)
class SentenceEclipConfig(EclipConfig):
    """The settings of `eclip`, and which sentences come.

    Attributes:
        sentences: How many of each annotated study, at most, drawn anew each time.
        lead: Seconds before a sentence that count as its own, for the eye is ahead of the tongue; never more than
            back to the sentence before.
    """

    name = "sentence-eclip"
    summary = "eclip, and each sentence with the gaze of its own seconds"

    sentences: int = 1
    lead: float = LEAD

    def build(self, encoder: DualEncoder, *, steps: int, seed: int) -> "SentenceEclip":
        """The method for `encoder`."""
        return SentenceEclip(encoder, self, steps=steps, seed=seed)

    def check(self) -> None:
        """As for `eclip`, and refuse no sentences and a lead that is none."""
        EclipConfig.check(self)
        if self.sentences < 1:
            raise InputError(
                f"--method.sentences {self.sentences}: must be at least 1; train `eclip` without sentences"
            )
        if not 0 <= self.lead < float("inf"):
            raise InputError(f"--method.lead {self.lead}: must be a number of seconds from 0")

    @property
    def expert_sentences(self) -> int:
        """How many dictated sentences come with each annotated study, at most."""
        return self.sentences

    @property
    def sentence_lead(self) -> float:
        """Seconds before a sentence that count as its own."""
        return self.lead


class SentenceEclip(Eclip):
    """Views h(I, E_s) of sentences join those of the reports; rows of one study or one text are no negatives."""

    def _mixed_views(self, expert: ExpertBatch, step: int) -> Tensor:
        """λ I + (1 − λ) h(I, E) of the reports, then λ I + (1 − λ) h(I, E_s) of the sentences."""
        sentences = expert.sentences
        if sentences is not None:
            expert = ExpertBatch(
                torch.cat([expert.image_E1HW, expert.image_E1HW[sentences.index_S]]),
                torch.cat([expert.in_slices, sentences.heatmap_STHW]),
                expert.rows + sentences.rows,
            )
        return super()._mixed_views(expert, step)

    def _contrast(self, image_ND: Tensor, text_ND: Tensor, batch: Batch) -> Tensor:
        """InfoNCE of all views, without the negatives that are none."""
        return info_nce(image_ND, text_ND, self.encoder.scale, key_BK=batch.key_N2)
