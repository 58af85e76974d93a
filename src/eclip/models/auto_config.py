"""Settings of an exported dual encoder as `transformers` keeps them; `transformers.AutoConfig` opens them."""

from typing import Any

from transformers.configuration_utils import PreTrainedConfig
from transformers.models.auto.configuration_auto import AutoConfig


class EclipConfig(PreTrainedConfig):
    """Settings of `EclipModel`.

    Attributes:
        encoder: As `DualEncoder.settings` writes them.
        card: What the model was trained on and how, as in the `config.json` of a model folder.
    """

    model_type = "eclip"
    encoder: dict[str, Any] | None = None
    card: dict[str, Any] | None = None


AutoConfig.register(EclipConfig.model_type, EclipConfig, exist_ok=True)
