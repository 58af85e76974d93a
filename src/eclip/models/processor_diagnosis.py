"""What a heatmap processor does to an image: nothing, plain masking, or more (section 3.2 of the paper)."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eclip.data.expert_loading import ExpertLoader
from eclip.data.store import Store
from eclip.errors import InputError
from eclip.models.heatmap_processor import AttentionProcessor, HeatmapProcessor
from eclip.models.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorDiagnosis:
    """Mean squared errors, each relative to the variance of what the view is compared with: 0 equal, 1 a grey picture.

    Attributes:
        error_without_annotation: Of h(I, 1) to I; what priming brings to 0.
        error_to_image: Of h(I, E) to I; 0 for the identity.
        error_to_mask: Of h(I, E) to E ⊙ I; 0 for plain masking.
        mask_to_image: Of E ⊙ I to I: `error_to_image` of plain masking, to compare with.
        swap_change: How far h(I, E) moves when keys and values come from the next image of the batch: root mean
            square, relative to the standard deviation of h(I, E). Near 0 where the attention only copies its queries.
            None for processors without attention.
        image_change: The same between the images themselves, to compare with.
        attention_entropy: Of the attention, mean over images, heads and queries, relative to log N, that of uniform
            attention over N patches; None for processors without attention.
    """

    error_without_annotation: float
    error_to_image: float
    error_to_mask: float
    mask_to_image: float
    swap_change: float | None
    image_change: float
    attention_entropy: float | None


@torch.inference_mode()
def diagnose(processor: HeatmapProcessor, image_BCHW: Tensor, heatmap_BTHW: Tensor) -> ProcessorDiagnosis:
    """Measure a processor on a batch.

    Args:
        processor: Any kind, trained or not.
        image_BCHW: Normalised images, two or more, with the processor's channels.
        heatmap_BTHW: Their heatmaps in [0, 1], in the processor's slices; E is their sum.

    Raises:
        InputError: Fewer than two images, or E ⊙ I without any contrast.
    """
    if len(image_BCHW) < 2:
        raise InputError(f"a processor is diagnosed on two images or more, not on {len(image_BCHW)}")
    view_BCHW = processor(image_BCHW, heatmap_BTHW)
    masked_BCHW = heatmap_BTHW.sum(1, keepdim=True) * image_BCHW
    if not _variance(masked_BCHW):
        raise InputError("a processor is diagnosed where heatmaps show something; here E ⊙ I is of one grey")
    unannotated_BCHW = processor(image_BCHW, processor.no_annotation(image_BCHW))
    other_BCHW = image_BCHW.roll(-1, 0)
    swap_change = attention_entropy = None
    if isinstance(processor, AttentionProcessor):
        swapped_BCHW = processor.view(image_BCHW, heatmap_BTHW, source_BCHW=other_BCHW)
        swap_change = _change(swapped_BCHW, view_BCHW)
        attention_entropy = _entropy(processor.weights(image_BCHW, heatmap_BTHW))
    return ProcessorDiagnosis(
        error_without_annotation=_error(unannotated_BCHW, image_BCHW) / _variance(image_BCHW),
        error_to_image=_error(view_BCHW, image_BCHW) / _variance(image_BCHW),
        error_to_mask=_error(view_BCHW, masked_BCHW) / _variance(masked_BCHW),
        mask_to_image=_error(masked_BCHW, image_BCHW) / _variance(image_BCHW),
        swap_change=swap_change,
        image_change=_change(other_BCHW, image_BCHW),
        attention_entropy=attention_entropy,
    )


def diagnose_model(
    model: Model, store: Store, *, split: str | None = None, images: int = 32
) -> ProcessorDiagnosis:
    """Measure the processor that a model was trained with on annotated studies of a store, unaugmented.

    Args:
        model: What `eclip.load` opened.
        store: The studies.
        split: Whose annotated studies, evenly spread; all by default.
        images: How many studies at most.

    Raises:
        InputError: The model has no processor, or fewer than two of the studies have an annotation that shows
            something.
    """
    processor = model.heatmap_processor
    if processor is None:
        raise InputError(f"{model.path or 'model'}: trained without a heatmap processor; nothing to diagnose")
    annotated = store.rows(split=split, annotated=True)
    chosen = np.unique(np.linspace(0, len(annotated) - 1, min(images, len(annotated))).round().astype(int))
    preprocessing = model.encoder.preprocessing
    loader = ExpertLoader(store, size=preprocessing.size, slices=processor.config.slices)
    expert, *_ = loader(annotated[chosen], 0)
    if len(expert.rows) < 2:
        raise InputError(
            f"{store.path}: {len(expert.rows)} annotated studies here; a diagnosis takes two or more"
        )
    image_E1HW = preprocessing.normalise(expert.image_E1HW).to(model.device)
    image_ECHW = image_E1HW.expand(-1, processor.channels, -1, -1)
    return diagnose(processor, image_ECHW, expert.in_slices.to(model.device))


def _error(first: Tensor, second: Tensor) -> float:
    return (first.float() - second.float()).square().mean().item()


def _variance(image: Tensor) -> float:
    return image.float().var(correction=0).item()


def _change(moved: Tensor, original: Tensor) -> float:
    """Root mean square of the difference relative to the standard deviation; 0 where nothing moves."""
    error = _error(moved, original)
    return math.sqrt(error / _variance(original)) if error else 0.0


def _entropy(weight_BhNN: Tensor) -> float:
    """Mean entropy relative to log N; one patch alone is uniform."""
    patches = weight_BhNN.shape[-1]
    if patches == 1:
        return 1.0
    return (torch.special.entr(weight_BhNN.float()).sum(-1).mean() / math.log(patches)).item()
