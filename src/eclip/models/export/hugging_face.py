"""Models as `transformers` reads them: stock ones without eclip, two towers after `import eclip`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from eclip.models.auto_config import EclipConfig
from eclip.models.auto_model import EclipModel
from eclip.models.dual_encoder import DualEncoder
from eclip.models.hugging_face_clip import HuggingFaceClip
from eclip.models.preprocessing import levels

BICUBIC = 3  # PIL's number


def export_hugging_face(
    encoder: DualEncoder,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    *,
    card: Mapping[str, Any] | None = None,
) -> None:
    """Write a model as `transformers` reads it: weights, tokenizer, and how pixels reach it.

    `AutoModel`, `AutoTokenizer` and `AutoImageProcessor` open the folder, and so does `eclip.load`; for stock models
    `AutoProcessor` too. The image processor crops the centre square, as eclip does, where SigLIP's would squeeze.

    Args:
        encoder: The CLIP.
        tokenizer: Its tokenizer.
        folder: Where to write; made if it is not there.
        card: What the model was trained on and how; stock models have no place for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _model(encoder, card).save_pretrained(folder)
    tokenizer.model_max_length = encoder.config.max_length
    tokenizer.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(_image_processor(encoder), indent=2) + "\n")


def _model(encoder: DualEncoder, card: Mapping[str, Any] | None) -> PreTrainedModel:
    if isinstance(encoder, HuggingFaceClip):
        return encoder.model
    model = EclipModel(EclipConfig(encoder=encoder.settings, card=dict(card or {})))
    model.encoder = encoder
    return model


def _image_processor(encoder: DualEncoder) -> dict[str, Any]:
    preprocessing = encoder.preprocessing
    settings = {
        "do_convert_rgb": True,
        "do_resize": True,
        "resample": BICUBIC,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": levels(preprocessing.mean),
        "image_std": levels(preprocessing.std),
    }
    if isinstance(encoder, HuggingFaceClip) and encoder.kind == "siglip2":
        # it takes patches, of images of any shape
        vision_config = encoder.model.config.vision_config
        return settings | {
            "image_processor_type": "Siglip2ImageProcessor",
            "patch_size": vision_config.patch_size,
            "max_num_patches": vision_config.num_patches,
        }
    size = preprocessing.size
    return settings | {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": size},
        "do_center_crop": True,
        "crop_size": {"height": size, "width": size},
    }
