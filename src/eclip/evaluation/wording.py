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
    "reports": "Draft reports",
}
_WORDS = {
    "stability@": "Stability: ",
    "accuracy@unchanged": "Accuracy: unchanged",
    "occlusion_drop_": "Cosine lost by hiding what is ",
    "occlusion_excess": "Lost more by hiding what experts marked",
    "@gamma": ": gamma",
    "@noise": ": noise",
    "@half": ": half",
    "@quarter": ": quarter",
    "@turned": ": turned",
    "reader_": "Other readers: ",
    "report_": "Report: ",
    "sentence_": "Sentences: ",
    "region_": "Regions: ",
    "pointing_game": "pointing game",
    "contrast_to_noise": "contrast to noise",
    "nss": "normalised scanpath saliency",
    "auc_judd": "AUC (Judd)",
    "kl_divergence": "divergence",
    "_gap_": ", gap by ",
    "accuracy/": "Accuracy, ",
    "image_to_text_": "Image → report: ",
    "text_to_image_": "Report → image: ",
    "precision@": "precision by label@",
    "median_rank": "median rank",
    "mrr": "mean reciprocal rank",
    ANY_EQUAL_TEXT: ", any equal text",
    IMAGE_BLIND: ", image-blind floor",
    "@1%": " from 1 % of the patients",
    "@10%": " from 10 % of the patients",
    "@100%": " from all patients",
    "@1-shot": ", 1 image a class",
    "@4-shot": ", 4 images a class",
    "@16-shot": ", 16 images a class",
    "calibration_error": "Calibration error",
    "auprc/": "Average precision, ",
    "auprc": "Average precision, mean over classes",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "mcc": "Matthews' correlation",
    "auroc/": "AUROC, ",
    "auroc": "AUROC, mean over classes",
    "macro_f1": "Macro F1",
    "bleu_": "BLEU-",
    "rouge_l": "ROUGE-L",
    "meteor": "METEOR",
    "text_similarity": "Cosine of draft and report",
    "supported": "Sentences with a source",
    "cider": "CIDEr",
    "bertscore": "BERTScore",
    "sentence_similarity": "Cosine of sentence embeddings",
    "radgraph_f1": "RadGraph F1",
    "chexbert_": "CheXbert: ",
    "finding_f1_micro": "Findings: F1, over all",
    "finding_f1/": "Findings: F1, ",
    "finding_f1": "Findings: F1, mean over findings",
    "finding_precision": "Findings: precision",
    "finding_recall": "Findings: recall",
    "f1/": "F1, ",
    "f1": "F1, mean over classes",
    "balanced_accuracy": "Balanced accuracy",
    "accuracy": "Accuracy",
    "alignment": "Alignment",
    "effective_rank_": "Effective rank, ",
    "hubness_": "Hubness, ",
    "uniformity_": "Uniformity, ",
    "modality_gap": "Modality gap",
    "modality_separability": "Images told from texts",
}


def task_title(name: str) -> str:
    """A task's name in words."""
    return _TITLES.get(name, name.replace("-", " ").capitalize())


def metric_label(name: str) -> str:
    """A metric's name in words."""
    return re.sub("|".join(_WORDS), lambda code: _WORDS[code[0]], name)
