"""Losses: functions of tensors, nothing else."""

from eclip.losses.contrastive import alignment, in_batch_accuracy, info_nce
from eclip.losses.gaze import gaze_divergence, gaze_pooled, gaze_weights, saliency_divergence
from eclip.losses.geodesic import geodesic_mix, m2_mix, unimodal_mix, vl_mix
from eclip.losses.sigmoid import sigmoid_loss
from eclip.losses.word_attention import matching_scores, word_attention_loss

__all__ = [
    "alignment",
    "gaze_divergence",
    "gaze_pooled",
    "gaze_weights",
    "geodesic_mix",
    "in_batch_accuracy",
    "info_nce",
    "m2_mix",
    "matching_scores",
    "saliency_divergence",
    "sigmoid_loss",
    "unimodal_mix",
    "vl_mix",
    "word_attention_loss",
]
