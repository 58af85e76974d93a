"""Named run configurations: functions that return one typed value. `eclip train --list` prints them."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from eclip.models.dual_encoder import DualEncoderConfig
from eclip.models.preprocessing import Preprocessing
from eclip.training.config import WHICH, OptimConfig, TrainConfig
from eclip.training.curriculum import ALWAYS, Curriculum
from eclip.training.methods import METHODS, EclipConfig, MethodConfig

Recipe = Callable[[], TrainConfig]

IMAGE_MODELS = {
    "swin-tiny": "microsoft/swin-tiny-patch4-window7-224",
    "vit-small": "WinKawaks/vit-small-patch16-224",
    "vit-base": "google/vit-base-patch16-224",
    "resnet-50": "microsoft/resnet-50",
}
"""The paper's image encoders and GLoRIA's, as the Hugging Face hub has them."""

WITHOUT: dict[str, Callable[[EclipConfig], EclipConfig]] = {
    "mixup": lambda method: replace(method, mixup_alpha=None),
    "curriculum": lambda method: replace(
        method, curriculum=replace(method.curriculum, start=1, peak=1, final=1)
    ),
    "priming": lambda method: replace(method, priming_weight=0),
}
"""The switches of the paper's ablation, each off alone; without expert, eclip is clip."""


def paper(method: str, image: str) -> TrainConfig:
    """A method as the paper trains it: Bio_ClinicalBERT, batch 512, 10,000 steps, learning rate 2e-4."""
    config = METHODS[method]
    model = DualEncoderConfig(image=IMAGE_MODELS[image], temperature=config.starting_temperature)
    if config.trains_local_features and image == "resnet-50":
        model = replace(  # GLoRIA's own encoder
            model,
            embedding_dim=768,
            text_pooling="mean",
            local_features="own",
            preprocessing=Preprocessing(size=299),
        )
    return TrainConfig(method=config(), model=model)


def paper_convirt_resnet_50() -> TrainConfig:
    """resnet-50, Bio_ClinicalBERT, the paper's values: CLIP with the projection heads of ConVIRT."""
    config = paper("clip", "resnet-50")
    config.model.projection = "mlp"
    return config


def phantom(method: str) -> TrainConfig:
    """A method around a CLIP small enough for two CPU cores: from scratch, 128 x 128 pixels.

    A cold start is longer, for the steps are few, and a heatmap processor slower.
    """
    return TrainConfig(
        method=_for_few_steps(METHODS[method](), processor_lr=0.3),
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
            temperature=METHODS[method].starting_temperature,
            max_length=64,
            preprocessing=Preprocessing(size=128),
        ),
        optim=OptimConfig(lr=1e-3, weight_decay=0.05, warmup=0.05),
        steps=1200,
        batch_size=32,
        validate_every=200,
    )


def without(switch: str, recipe: Recipe) -> TrainConfig:
    """A recipe of eclip with one switch of the ablation off."""
    config = recipe()
    assert isinstance(config.method, EclipConfig)
    config.method = WITHOUT[switch](config.method)
    return config


def reference_eclip_swin_tiny() -> TrainConfig:
    """The published code's values where they differ from the paper's: eCLIP with Swin-Tiny."""
    config = paper("eclip", "swin-tiny")
    config.method = EclipConfig(
        curriculum=Curriculum(final=0.05), mixup_alpha=0.2, priming_weight=0.3, processor_lr=2.0
    )
    config.optim.lr = 1e-4
    return config


def post(method: str) -> TrainConfig:
    """A method that goes on with an existing model, for fewer steps and at a lower learning rate than from scratch.

    A heatmap processor is new, and has a longer cold start and the paper's learning rate.
    """
    return TrainConfig(
        method=_for_few_steps(METHODS[method](), processor_lr=4.0),
        start_from=WHICH,
        optim=OptimConfig(lr=5e-5),
        steps=2000,
        validate_every=200,
    )


def _for_few_steps(method: MethodConfig, *, processor_lr: float) -> MethodConfig:
    """The method with a longer cold start and that learning rate of the heatmap processor, where it has these."""
    changes: dict[str, object] = {}
    if getattr(method, "curriculum", ALWAYS).cold:
        changes["curriculum"] = Curriculum(cold=0.25)
    if hasattr(method, "processor_lr"):
        changes["processor_lr"] = processor_lr
    return replace(method, **changes)


def _named(recipe: Recipe, line: str) -> Recipe:
    recipe.__doc__ = line
    return recipe


def _recipes() -> dict[str, Recipe]:
    """One recipe for each method: for the phantom, each image encoder of the paper, and any existing model."""
    recipes = {
        f"phantom-{name}": _named(partial(phantom, name), f"For two CPU cores: {method.summary}.")
        for name, method in METHODS.items()
    }
    for image in IMAGE_MODELS:
        for name, method in METHODS.items():
            line = f"{image}, Bio_ClinicalBERT, the paper's values: {method.summary}."
            recipes[f"paper-{name}-{image}"] = _named(partial(paper, name, image), line)
    for name, method in METHODS.items():
        line = f"On from the model that --start-from names: {method.summary}."
        recipes[f"post-{name}"] = _named(partial(post, name), line)
    for eclip in ("phantom-eclip", "paper-eclip-swin-tiny"):
        for switch in WITHOUT:
            line = f"{eclip} without {switch}."
            recipes[f"{eclip}-without-{switch}"] = _named(partial(without, switch, recipes[eclip]), line)
    return recipes | {
        "paper-convirt-resnet-50": paper_convirt_resnet_50,
        "reference-eclip-swin-tiny": reference_eclip_swin_tiny,
    }


RECIPES: dict[str, Recipe] = _recipes()
