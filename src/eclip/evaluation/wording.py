"""What tasks and metrics are called on the page."""

import re

from eclip.evaluation.retrieval import ANY_EQUAL_TEXT, IMAGE_BLIND

_TITLES = {
    "zero-shot": "Zero-shot classification",
    "linear-probe": "Linear probe and few-shot",
    "retrieval": "Retrieval",
    "embedding-quality": "Embedding quality",
    "grounding": "Grounding",
    "robustness": "Robustness",
    "subgroups": "Subgroups",
}
_WORDS = {
    "image_to_text_": "Image → report: ",
    "text_to_image_": "Report → image: ",
    "median_rank": "median rank",
    "mrr": "mean reciprocal rank",
    ANY_EQUAL_TEXT: ", any equal text",
    IMAGE_BLIND: ", image-blind floor",
    "auroc/": "AUROC, ",
    "auroc": "AUROC, mean over classes",
    "macro_f1": "Macro F1",
    "balanced_accuracy": "Balanced accuracy",
    "accuracy": "Accuracy",
    "alignment": "Alignment",
    "uniformity_": "Uniformity, ",
    "modality_gap": "Modality gap",
}


def task_title(name: str) -> str:
    """A task's name in words."""
    return _TITLES.get(name, name.replace("-", " ").capitalize())


def metric_label(name: str) -> str:
    """A metric's name in words."""
    return re.sub("|".join(_WORDS), lambda code: _WORDS[code[0]], name)
