"""GLoRIA's encoder: image regions and words have layers and projections of their own.

Huang et al. 2021, section 3.2.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from eclip.errors import InputError
from eclip.models.dual_encoder import DualEncoderConfig, ImageFeatures, TextFeatures
from eclip.models.two_towers import TwoTowers, draw_weights

WITH_STAGES = ("resnet", "regnet", "convnext", "convnextv2")
TEXT_LAYERS = 4  # the last ones, summed


class GloriaTowers(TwoTowers):
    """Two towers whose local features do not come from where the pooled ones do.

    The pooled image vector is the last stage's, as ever; the regions are the stage before it (a ResNet-50's third, 19 x
    19 of them at 299 pixels) with a projection of their own. Texts are read from the sum of the last four layers:
    pooled and projected as ever, and as words, each the sum of its pieces, with a projection of their own.
    """

    def __init__(self, config: DualEncoderConfig) -> None:
        """Build it.

        Raises:
            InputError: The image model is not a convolutional one in stages.
        """
        super().__init__(config)
        kind = self.image_model.config.model_type
        if kind not in WITH_STAGES:
            raise InputError(
                f"--model.local-features own: image model {kind} has no stages to take regions from; there are "
                f"{', '.join(WITH_STAGES)}, such as microsoft/resnet-50; or leave it out"
            )
        self.region_projection = self._projection(self.image_model.config.hidden_sizes[-2])
        self.word_projection = self._projection(self.text_model.config.hidden_size)
        draw_weights(self.region_projection, self.word_projection)

    def image_features(self, pixel_values_BCHW: Tensor) -> ImageFeatures:
        """Pooled and local features of normalised images (B, C, H, W)."""
        seen = self.image_model(pixel_values=self._pixels(pixel_values_BCHW), output_hidden_states=True)
        pooled_BD = self.image_projection(seen.pooler_output.flatten(1))
        return ImageFeatures(pooled_BD, self.region_projection(seen.hidden_states[-2].permute(0, 2, 3, 1)))

    def text_features(self, tokens: Mapping[str, Tensor]) -> TextFeatures:
        """Pooled features of texts, and those of each word."""
        hidden_BLC = self._read(tokens)
        words_BWC, mask_BW = sum_of_pieces(hidden_BLC, tokens)
        return TextFeatures(self._pool(hidden_BLC, tokens), self.word_projection(words_BWC), mask_BW)

    def _read(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """The sum of the text model's last layers (B, L, C)."""
        given = {name: tokens[name] for name in ("input_ids", "attention_mask")}
        layers = self.text_model(**given, output_hidden_states=True).hidden_states[
            1:
        ]  # embeddings come first
        return torch.stack(layers[-TEXT_LAYERS:]).sum(0)


def sum_of_pieces(hidden_BLC: Tensor, tokens: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Each word as the sum of its pieces.

    Args:
        hidden_BLC: One state a token.
        tokens: With `word_ids`; without them each token is a word.

    Returns:
        Words (B, W, C) in their order, W the most that a text has but at least 1, and which there are (B, W) bool.
    """
    words_BL = tokens.get("word_ids")
    if words_BL is None:
        return hidden_BLC, tokens["attention_mask"] > 0
    most = max(1, int(words_BL.max()) + 1)
    is_of_BWL = words_BL[:, None] == torch.arange(most, device=words_BL.device)[:, None]
    return is_of_BWL.to(hidden_BLC) @ hidden_BLC, is_of_BWL.any(2)
