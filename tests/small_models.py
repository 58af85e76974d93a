"""Small encoders that are made in milliseconds, on the real classes."""

import torch

from eclip.data.expert_loading import ExpertBatch
from eclip.data.loading import Batch
from eclip.data.sentence_loading import SentenceBatch, row_keys
from eclip.models.dual_encoder import DualEncoderConfig
from eclip.models.encoders import build_encoder
from eclip.models.preprocessing import Preprocessing

RESNET = {
    "model_type": "resnet",
    "num_channels": 1,
    "embedding_size": 8,
    "hidden_sizes": [8, 16],
    "depths": [1, 1],
    "layer_type": "basic",
}
VIT = {
    "model_type": "vit",
    "image_size": 32,
    "patch_size": 8,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
SWIN = {
    "model_type": "swin",
    "image_size": 32,
    "patch_size": 4,
    "embed_dim": 8,
    "depths": [1, 1],
    "num_heads": [2, 2],
    "window_size": 4,
}
BERT = {
    "model_type": "bert",
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
}


def small_config(image=RESNET, text=BERT, **changes):
    settings = {"embedding_dim": 12, "max_length": 24, "preprocessing": Preprocessing(size=32)} | changes
    return DualEncoderConfig(image=dict(image), text=dict(text), **settings)


def small_encoder(image=RESNET, *, seed=0, **changes):
    torch.manual_seed(seed)
    return build_encoder(small_config(image, **changes))


def small_tokens(ids_BL):
    return {"input_ids": ids_BL, "attention_mask": torch.ones_like(ids_BL)}


def small_batch(step=0, *, plain=4, experts=0, slices=1, sentences=False, seed=0):
    """Random images, texts and heatmaps; each expert image with a sentence if there are any."""
    draw = torch.Generator().manual_seed(seed)
    rows = plain + experts * (1 + sentences)
    ids = torch.randint(5, 50, (rows, 9), generator=draw)
    tokens = small_tokens(ids[: plain + experts])
    expert = None
    if experts:
        images = torch.rand(experts, 1, 32, 32, generator=draw)
        expert = ExpertBatch(images, torch.rand(experts, 1, 32, 32, generator=draw), list(range(experts)))
    batch = Batch(step, torch.rand(plain, 1, 32, 32, generator=draw), tokens, expert)
    if experts and slices > 1:
        expert.slices_ETHW = torch.rand(experts, slices, 32, 32, generator=draw) / slices
        expert.heatmap_E1HW = expert.slices_ETHW.sum(1, keepdim=True)
    if sentences:
        studies = [f"plain {i}" for i in range(plain)] + [f"expert {i}" for i in range(experts)] * 2
        batch.key_N2 = row_keys(studies, [f"text {i}" for i in range(rows)])
    if experts and sentences:
        maps = torch.rand(experts, slices, 32, 32, generator=draw) / slices
        short = small_tokens(ids[plain + experts :, :5])
        expert.sentences = SentenceBatch(maps, torch.arange(experts), list(range(experts)), short)
    return batch
