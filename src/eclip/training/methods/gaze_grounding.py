"""`gaze-grounding`: sentences belong to what was looked at in their seconds, reports to what one would look at."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from eclip.annotations.sentences import LEAD
from eclip.data.expert_loading import ExpertBatch
from eclip.data.loading import Batch
from eclip.errors import InputError
from eclip.losses.contrastive import alignment, info_nce
from eclip.losses.gaze import gaze_divergence, gaze_pooled, gaze_weights, saliency_divergence
from eclip.models.dual_encoder import DualEncoder
from eclip.training.methods.gaze_guided import GazeGuided, GazeGuidedConfig
from eclip.training.methods.method import StepLosses


@dataclass(slots=True, kw_only=True)
class GazeGroundingConfig(GazeGuidedConfig):
    """The values that were chosen on the phantom (docs/evidence.md).

    Attributes:
        weight: Of the two losses of sentences, beside the contrastive one.
        guess_weight: Of the two losses of the guess; 0 for sentences alone.
        alignment_weight: Of how far pairs lie apart; 0 to leave that to the contrast.
        temperature: τ of a sentence's attention over an image's local features.
        sentences: How many of each annotated study, at most, drawn anew each time.
        lead: Seconds before a sentence that count as its own, for the eye is ahead of the tongue; never more than
            back to the sentence before.
    """

    name = "gaze-grounding"
    summary = "sentences contrasted with the regions looked at, reports with those one would look at"

    guess_weight: float = 0.5
    alignment_weight: float = 0.3
    temperature: float = 0.1
    sentences: int = 3
    lead: float = LEAD

    def build(self, encoder: DualEncoder, *, steps: int, seed: int) -> "GazeGrounding":
        """The method for `encoder`."""
        return GazeGrounding(encoder, self, steps=steps)

    def check(self) -> None:
        """Refuse values out of range, and phases of the curriculum in which nothing changes."""
        GazeGuidedConfig.check(self)
        for name, value in (("guess", self.guess_weight), ("alignment", self.alignment_weight)):
            if not value >= 0:
                raise InputError(f"--method.{name}-weight {value}: must be at least 0")
        if not self.temperature > 0:
            raise InputError(f"--method.temperature {self.temperature}: must be above 0")
        if self.sentences < 1:
            raise InputError(
                f"--method.sentences {self.sentences}: must be at least 1; train `gaze-pooling` without sentences"
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


class GazeGrounding(GazeGuided):
    """Two losses of sentences and two of a guess, whose head is thrown away after training; pairs are drawn together.

    Attributes:
        saliency: From a local feature (D,) to the logit of its being looked at.
    """

    def __init__(self, encoder: DualEncoder, config: GazeGroundingConfig, *, steps: int) -> None:
        super().__init__(encoder, config, steps=steps)
        self.temperature, self.guess_weight = config.temperature, config.guess_weight
        self.alignment_weight = config.alignment_weight
        self.saliency = nn.Linear(encoder.embedding_dim, 1) if config.guess_weight else None

    def contrasted(self, batch: Batch, image_ND: Tensor, text_ND: Tensor) -> StepLosses:
        """The contrast, and how far its pairs lie apart."""
        losses = super().contrasted(batch, image_ND, text_ND)
        if self.alignment_weight:
            losses.terms["alignment"] = alignment(image_ND, text_ND)
            losses.weights["alignment"] = self.alignment_weight
        return losses

    def guide(
        self, losses: StepLosses, batch: Batch, expert: ExpertBatch, grid_NhwD: Tensor, text_ND: Tensor
    ) -> None:
        """Add weight · (region + attention) + guess weight · (saliency + salient).

        region: InfoNCE of sentences t_s and the features Σ_p w_sp g_p of where one looked in their seconds.
        attention: KL(w_s ‖ softmax_p(cos(g_p, t_s) / τ)).
        saliency: KL(w ‖ a), where a is the guess from local features alone, on annotated images.
        salient: InfoNCE of reports and the features Σ_p a_p g_p of all images, the guess as it is.
        """
        plain, images = len(batch.image_B1HW), len(grid_NhwD)
        rows, columns = grid_NhwD.shape[1:3]
        sentences = expert.sentences
        assert sentences is not None
        assert batch.key_N2 is not None
        grid_ShwD, text_SD = grid_NhwD[plain:][sentences.index_S], text_ND[images:]
        weights_Shw = gaze_weights(sentences.heatmap_STHW.sum(1, keepdim=True), rows, columns)
        region_SD = F.normalize(gaze_pooled(grid_ShwD, weights_Shw), dim=-1)
        scale = self.encoder.scale
        losses.terms["region"] = info_nce(region_SD, text_SD, scale, key_BK=batch.key_N2[images:])
        losses.terms["attention"] = gaze_divergence(grid_ShwD, text_SD, weights_Shw, self.temperature)
        losses.weights |= {"region": self.weight, "attention": self.weight}
        if self.saliency is None:
            return
        logit_Nhw = self.saliency(F.rms_norm(grid_NhwD, grid_NhwD.shape[-1:])).squeeze(-1)
        weights_Ehw = gaze_weights(expert.heatmap_E1HW, rows, columns)
        losses.terms["saliency"] = saliency_divergence(logit_Nhw[plain:], weights_Ehw)
        guess_Nhw = logit_Nhw.detach().flatten(1).softmax(1).view_as(logit_Nhw)
        salient_ND = F.normalize(gaze_pooled(grid_NhwD, guess_Nhw), dim=-1)
        paired = images if self.pairs else plain
        losses.terms["salient"] = self.contrast(salient_ND[:paired], text_ND[:paired], scale)
        losses.weights |= {"saliency": self.guess_weight, "salient": self.guess_weight}
