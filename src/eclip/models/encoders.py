"""The one place that decides which class serves a model. A new kind of encoder is a file and a line here."""

from collections.abc import Callable, Mapping
from typing import Any

from eclip.models.dual_encoder import DualEncoder, DualEncoderConfig
from eclip.models.gloria import GloriaTowers
from eclip.models.hugging_face_clip import HuggingFaceClip
from eclip.models.open_clip import OpenClip
from eclip.models.preprocessing import Preprocessing
from eclip.models.two_towers import TwoTowers

WHOLE: dict[str, Callable[[DualEncoderConfig], DualEncoder]] = {"open_clip": OpenClip}
"""What serves whole models, by the `model_type` of their settings; all others are those of `transformers`."""


def build_encoder(config: DualEncoderConfig) -> DualEncoder:
    """The dual encoder that a configuration describes.

    Raises:
        InputError: A model that is not there or not served, or settings that would have no effect.
    """
    if not config.dual:
        return (GloriaTowers if config.local_features == "own" else TwoTowers)(config)
    return WHOLE.get(config.dual.get("model_type", ""), HuggingFaceClip)(config)


def rebuild_encoder(settings: Mapping[str, Any]) -> DualEncoder:
    """A dual encoder, with new weights, from what `DualEncoder.settings` said and JSON kept.

    Raises:
        InputError: As `build_encoder`.
        KeyError, TypeError: They say too little, or what is not understood.
    """
    preprocessing = Preprocessing.from_json(settings["preprocessing"])
    return build_encoder(DualEncoderConfig(**{**settings, "preprocessing": preprocessing}))
