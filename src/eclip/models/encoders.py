"""The one place that decides which class serves a model. A new kind of encoder is a file and a line here."""

from eclip.models.dual_encoder import DualEncoder, DualEncoderConfig
from eclip.models.hugging_face_clip import HuggingFaceClip
from eclip.models.open_clip import OpenClip
from eclip.models.two_towers import TwoTowers


def build_encoder(config: DualEncoderConfig) -> DualEncoder:
    """The dual encoder that a configuration describes.

    Raises:
        InputError: A model that is not there or not served, or settings that would have no effect.
    """
    if not config.dual:
        return TwoTowers(config)
    return (OpenClip if config.dual.get("model_type") == "open_clip" else HuggingFaceClip)(config)
