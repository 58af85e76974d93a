"""Named run configurations: functions that return one typed value. `eclip train --list` prints them."""

from collections.abc import Callable

from eclip.models.dual_encoder import DualEncoderConfig
from eclip.models.preprocessing import Preprocessing
from eclip.training.config import OptimConfig, TrainConfig
from eclip.training.curriculum import Curriculum
from eclip.training.methods import EclipConfig


def phantom_clip() -> TrainConfig:
    """Plain CLIP, small enough for two CPU cores: from scratch, 128 x 128 pixels."""
    return TrainConfig(
        model=DualEncoderConfig(
            image={
                "model_type": "resnet",
                "num_channels": 1,
                "embedding_size": 32,
                "hidden_sizes": [32, 64, 128, 256],
                "depths": [1, 1, 1, 1],
                "layer_type": "basic",
            },
            text={
                "model_type": "bert",
                "vocab_size": 2000,
                "hidden_size": 128,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "intermediate_size": 256,
                "max_position_embeddings": 64,
                "hidden_dropout_prob": 0.0,
                "attention_probs_dropout_prob": 0.0,
            },
            embedding_dim=128,
            text_pooling="mean",
            max_length=64,
            preprocessing=Preprocessing(size=128),
        ),
        optim=OptimConfig(lr=1e-3, weight_decay=0.05, warmup=0.05),
        steps=1200,
        batch_size=32,
        validate_every=200,
    )


def phantom_eclip() -> TrainConfig:
    """The paper's eCLIP around the same small CLIP, with a longer cold start, for its steps are few."""
    config = phantom_clip()
    config.method = EclipConfig(curriculum=Curriculum(cold=0.25), processor_lr=0.3)
    return config


def paper_clip_swin_tiny() -> TrainConfig:
    """The paper's CLIP baseline: Swin-Tiny and Bio_ClinicalBERT, batch 512, 10,000 steps."""
    return TrainConfig()


def paper_eclip_swin_tiny() -> TrainConfig:
    """The paper's eCLIP: Swin-Tiny and Bio_ClinicalBERT with every published value."""
    return TrainConfig(method=EclipConfig())


RECIPES: dict[str, Callable[[], TrainConfig]] = {
    function.__name__.replace("_", "-"): function
    for function in (phantom_clip, phantom_eclip, paper_clip_swin_tiny, paper_eclip_swin_tiny)
}
