"""Two towers as a model of `transformers`: `transformers.AutoModel` opens their export after `import eclip`."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.modeling_utils import PreTrainedModel
from transformers.models.auto.modeling_auto import AutoModel
from transformers.utils.generic import ModelOutput

from eclip.models.auto_config import EclipConfig


@dataclass
class EclipOutput(ModelOutput):
    """What `EclipModel` returns, named as CLIP's in `transformers`.

    Attributes:
        loss: The contrastive loss, (), if asked for.
        logits_per_image: Scaled cosines of N images and M texts, (N, M).
        logits_per_text: The same, (M, N).
        text_embeds: Unit vectors (M, D).
        image_embeds: Unit vectors (N, D).
    """

    loss: Tensor | None = None
    logits_per_image: Tensor | None = None
    logits_per_text: Tensor | None = None
    text_embeds: Tensor | None = None
    image_embeds: Tensor | None = None


class EclipModel(PreTrainedModel):
    """A dual encoder behind the interface that CLIP has in `transformers`."""

    config_class = EclipConfig
    base_model_prefix = "eclip"
    main_input_name = "pixel_values"
    input_modalities = ["image", "text"]  # noqa: RUF012

    def __init__(self, config: EclipConfig) -> None:
        # Not above: this module is imported while those that this needs are on their way, see eclip.after_import.
        from eclip.models.encoders import rebuild_encoder

        super().__init__(config)
        self.encoder = rebuild_encoder(config.encoder or {})
        self.post_init()

    def get_image_features(self, pixel_values: Tensor, **kwargs: Any) -> BaseModelOutputWithPooling:
        """Of normalised images (N, C, H, W): `pooler_output` (N, D), not normalised, in the shared space."""
        return BaseModelOutputWithPooling(pooler_output=self.encoder.image_features(pixel_values).pooled)

    def get_text_features(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutputWithPooling:
        """Of token ids and attention masks (M, L): `pooler_output` (M, D), not normalised, in the shared space."""
        features = self.encoder.text_features(_tokens(input_ids, attention_mask))
        return BaseModelOutputWithPooling(pooler_output=features.pooled)

    def forward(
        self,
        input_ids: Tensor,
        pixel_values: Tensor,
        attention_mask: Tensor | None = None,
        return_loss: bool = False,
        **kwargs: Any,
    ) -> EclipOutput:
        """Scaled cosines of N images (N, C, H, W) and M texts (M, L); with `return_loss` those of N pairs, N = M."""
        image_ND = self.encoder.encode_image(pixel_values)
        text_MD = self.encoder.encode_text(_tokens(input_ids, attention_mask))
        logits_NM = image_ND @ text_MD.T * self.encoder.scale
        loss = None
        if return_loss:  # both ways, as CLIP's
            pair_N = torch.arange(len(logits_NM), device=logits_NM.device)
            loss = (F.cross_entropy(logits_NM, pair_N) + F.cross_entropy(logits_NM.T, pair_N)) / 2
        return EclipOutput(
            loss=loss,
            logits_per_image=logits_NM,
            logits_per_text=logits_NM.T,
            text_embeds=text_MD,
            image_embeds=image_ND,
        )


def _tokens(input_ids: Tensor, attention_mask: Tensor | None) -> dict[str, Tensor]:
    mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
    return {"input_ids": input_ids, "attention_mask": mask}


AutoModel.register(EclipConfig, EclipModel, exist_ok=True)
