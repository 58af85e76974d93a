"""The model card: README.md as the Hugging Face hub shows it, from what a model folder knows; no patient's text."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import jinja2

import eclip
from eclip.models.dual_encoder import DualEncoder
from eclip.models.hugging_face_clip import HuggingFaceClip

Library = Literal["eclip", "transformers", "open_clip", "onnx"]
_TEMPLATE = Path(__file__).with_name("card.md.j2")


class Judgement(Protocol):
    """An evaluation: `metrics`, task to metric name to value, low, high and n; and `meta`, what they come from."""

    @property
    def metrics(self) -> Mapping[str, Mapping[str, Any]]:
        """The numbers."""

    @property
    def meta(self) -> Mapping[str, Any]:
        """Split, number of images, fingerprints."""


def model_card(
    card: Mapping[str, Any],
    encoder: DualEncoder,
    *,
    library: Library,
    fingerprint: str,
    evaluation: Judgement | None = None,
) -> str:
    """The text of README.md.

    Args:
        card: The `card` of a model folder's `config.json`; of older folders, or empty, too.
        encoder: The CLIP.
        library: What opens the folder.
        fingerprint: Of the model.
        evaluation: What is known about how good it is.
    """
    environment = jinja2.Environment(
        autoescape=False,  # noqa: S701 - Markdown, not HTML
        undefined=jinja2.ChainableUndefined,  # folders from before a field was there
        keep_trailing_newline=True,
    )
    data = card.get("trained_on", {})
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        card=card,
        licence=card.get("licence", "that of its source, which this folder does not tell"),
        data=data,
        phantom=data.get("phantom", False),
        started={name.replace("_", " "): value for name, value in card.get("pretrained", {}).items()},
        encoder=encoder,
        architecture=_architecture(encoder),
        library=library,
        stock=isinstance(encoder, HuggingFaceClip),
        fingerprint=fingerprint,
        evaluation=evaluation,
        version=eclip.__version__,
    )


def _architecture(encoder: DualEncoder) -> dict[str, Any]:
    settings = encoder.settings
    dual = settings.get("dual")
    name = (
        dual["model_type"]
        if dual
        else " + ".join(settings[tower]["model_type"] for tower in ("image", "text"))
    )
    sizes = {name: parameter.numel() for name, parameter in encoder.named_parameters()}
    try:
        towers = {
            tower: sum(size for name, size in sizes.items() if name.startswith(parts.parts))
            for tower, parts in encoder.towers.items()
        }
    except NotImplementedError:  # a class need not tell them apart
        towers = {}
    return {"name": name, "parameters": sum(sizes.values()), "towers": towers}
