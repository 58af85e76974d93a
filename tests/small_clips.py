"""Every architecture that the documentation promises, small and from scratch: the real classes of `transformers`."""

import json
import string

import torch
from transformers import AutoConfig, AutoModel, Siglip2Tokenizer

from eclip.models.dual_encoder import DualEncoderConfig
from eclip.models.encoders import build_encoder
from eclip.models.hugging_face_clip import HuggingFaceClip
from eclip.models.preprocessing import Preprocessing
from eclip.models.tokenizer import train_tokenizer
from small_models import BERT, RESNET, SWIN, VIT, small_config

TOKENS = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
PATCHES = TOKENS | {"image_size": 32, "patch_size": 8}
WORDS = TOKENS | {"vocab_size": 50, "max_position_embeddings": 40}
CONVOLUTIONS = {"num_channels": 3, "hidden_sizes": [8, 16], "depths": [1, 1]}

IMAGE_MODELS = {
    "ViT": VIT,
    "DeiT": {"model_type": "deit", **PATCHES},
    "BEiT": {"model_type": "beit", **PATCHES},
    "DINOv2": {"model_type": "dinov2", **PATCHES},
    "DINOv2 with registers": {"model_type": "dinov2_with_registers", "num_register_tokens": 4, **PATCHES},
    "Swin": SWIN,
    "Swin V2": SWIN | {"model_type": "swinv2"},
    "ResNet": RESNET,
    "RegNet": {"model_type": "regnet", "embedding_size": 8, "groups_width": 8, **CONVOLUTIONS},
    "ConvNeXt": {"model_type": "convnext", "num_stages": 2, "patch_size": 4, **CONVOLUTIONS},
    "ConvNeXt V2": {"model_type": "convnextv2", "num_stages": 2, "patch_size": 4, **CONVOLUTIONS},
    "CLIP's vision model": {"model_type": "clip_vision_model", **PATCHES},
    "SigLIP's vision model": {"model_type": "siglip_vision_model", **PATCHES},
}
TEXT_MODELS = {
    "BERT": BERT,
    "RoBERTa": {"model_type": "roberta", **WORDS},
    "DistilBERT": {
        "model_type": "distilbert",
        "dim": 16,
        "hidden_dim": 32,
        "n_layers": 1,
        "n_heads": 2,
        "vocab_size": 50,
        "max_position_embeddings": 40,
    },
    "ELECTRA": {"model_type": "electra", "embedding_size": 16, **WORDS},
}
CLIP_WORDS = WORDS | {
    "max_position_embeddings": 24,
    "eos_token_id": 49,
    "bos_token_id": 48,
    "pad_token_id": 49,
}
SIGLIP_WORDS = WORDS | {"max_position_embeddings": 24, "projection_size": 16, "pad_token_id": 1}
DUAL_MODELS = {
    "CLIP": {
        "model_type": "clip",
        "projection_dim": 12,
        "vision_config": PATCHES,
        "text_config": CLIP_WORDS,
    },
    "SigLIP": {"model_type": "siglip", "vision_config": PATCHES, "text_config": SIGLIP_WORDS},
    "SigLIP 2": {
        "model_type": "siglip2",
        "vision_config": TOKENS | {"patch_size": 8, "num_patches": 16},
        "text_config": SIGLIP_WORDS,
    },
    "Chinese-CLIP": {
        "model_type": "chinese_clip",
        "projection_dim": 12,
        "vision_config": PATCHES,
        "text_config": WORDS,
    },
    "AltCLIP": {
        "model_type": "altclip",
        "projection_dim": 12,
        "vision_config": PATCHES,
        "text_config": WORDS | {"project_dim": 12},
    },
    "MetaCLIP 2": {
        "model_type": "metaclip_2",
        "projection_dim": 12,
        "vision_config": PATCHES,
        "text_config": CLIP_WORDS,
    },
    "VisionTextDualEncoder": {
        "model_type": "vision-text-dual-encoder",
        "projection_dim": 12,
        "vision_config": {"model_type": "vit", **PATCHES},
        "text_config": BERT,
    },
}
COLOURS = Preprocessing(size=32, mean=(0.48, 0.46, 0.41), std=(0.27, 0.26, 0.28))


def stock_model(name, *, seed=0, **text):
    """What `transformers` makes of the settings, weights spread enough for differences to show."""
    settings = DUAL_MODELS[name] | {"text_config": DUAL_MODELS[name]["text_config"] | text}
    torch.manual_seed(seed)
    model = AutoModel.from_config(AutoConfig.for_model(**settings)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    return model


def small_clip(name, *, preprocessing=COLOURS):
    model = stock_model(name)
    config = DualEncoderConfig(dual=model.config.to_diff_dict(), max_length=24, preprocessing=preprocessing)
    return HuggingFaceClip(config, model=model)


ARCHITECTURES = {
    **{f"{name} + BERT": small_config(image) for name, image in IMAGE_MODELS.items()},
    **{f"ViT + {name}": small_config(VIT, text) for name, text in TEXT_MODELS.items() if name != "BERT"},
    **{
        name: DualEncoderConfig(dual=dual, max_length=24, preprocessing=COLOURS)
        for name, dual in DUAL_MODELS.items()
    },
}


def architecture(name, *, seed=0):
    torch.manual_seed(seed)
    return build_encoder(ARCHITECTURES[name])


TEXTS = ["No pleural effusion.", "Large left effusion.", "Clear lungs."]


def letters():
    """`transformers` takes no other class of tokenizer for SigLIP 2."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    vocabulary = {word: number for number, word in enumerate([*special, "▁", ".", *string.ascii_lowercase])}
    return Siglip2Tokenizer(vocab=vocabulary, merges=[])


def checkpoint(folder, name, **preprocessor):
    """A folder as on the hub."""
    tokenizer = letters() if name == "SigLIP 2" else train_tokenizer(TEXTS, vocab_size=300)
    tokenizer.model_max_length = 24
    padding = (
        1 if name.startswith("SigLIP") else tokenizer.pad_token_id
    )  # SigLIP reads the tokenizer's, whatever
    model = stock_model(name, vocab_size=len(tokenizer), eos_token_id=2, pad_token_id=padding)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    levels = {"image_mean": list(COLOURS.mean), "image_std": list(COLOURS.std)} | preprocessor
    (folder / "preprocessor_config.json").write_text(json.dumps(levels))
    return model, tokenizer
