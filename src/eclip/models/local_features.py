"""Whether an encoder has local features of images and of texts; found out by trying."""

import torch

from eclip.models.dual_encoder import DualEncoder


@torch.no_grad()
def has_grid(encoder: DualEncoder) -> bool:
    """Whether images as it takes them get local features; tried on an empty one."""
    pixels, training = encoder.preprocessing, encoder.training
    image_1CHW = torch.zeros(1, pixels.channels, pixels.size, pixels.size, device=encoder.logit_scale.device)
    grid = encoder.eval().image_features(image_1CHW).grid
    encoder.train(training)
    return grid is not None


@torch.no_grad()
def has_words(encoder: DualEncoder) -> bool:
    """Whether texts get local features; tried on one of two tokens."""
    ids = torch.zeros(1, 2, dtype=torch.long, device=encoder.logit_scale.device)
    training = encoder.training
    words = encoder.eval().text_features({"input_ids": ids, "attention_mask": torch.ones_like(ids)}).words
    encoder.train(training)
    return words is not None
