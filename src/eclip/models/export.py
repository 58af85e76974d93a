"""Models in the format of the library that their architecture comes from, to be used without eclip."""

import json
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from eclip.errors import InputError
from eclip.models.dual_encoder import DualEncoder
from eclip.models.hugging_face_clip import HuggingFaceClip
from eclip.models.preprocessing import levels

BICUBIC = 3  # PIL's number


def export_hugging_face(encoder: DualEncoder, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write a stock model as `transformers` reads it: weights, tokenizer, and how pixels reach it.

    `AutoModel`, `AutoTokenizer`, `AutoImageProcessor` and `AutoProcessor` open the folder, and so does `eclip.load`.
    The image processor crops the centre square, as eclip does, where SigLIP's would squeeze.

    Args:
        encoder: The CLIP.
        tokenizer: Its tokenizer.
        folder: Where to write; made if it is not there.

    Raises:
        InputError: An encoder of two towers, for which `transformers` has no class.
    """
    if not isinstance(encoder, HuggingFaceClip):
        raise InputError(
            f"a model of class {type(encoder).__name__} has no counterpart in transformers; use eclip.load, or export "
            "a model that started from a CLIP or SigLIP checkpoint"
        )
    folder.mkdir(parents=True, exist_ok=True)
    encoder.model.save_pretrained(folder)
    tokenizer.model_max_length = encoder.config.max_length
    tokenizer.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(_image_processor(encoder), indent=2) + "\n")


def _image_processor(encoder: HuggingFaceClip) -> dict[str, Any]:
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
    vision_config = encoder.model.config.vision_config
    if encoder.kind == "siglip2":  # it takes patches, of images of any shape
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
