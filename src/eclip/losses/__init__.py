"""Losses: functions of tensors, nothing else."""

from eclip.losses.contrastive import in_batch_accuracy, info_nce
from eclip.losses.geodesic import geodesic_mix, m2_mix, unimodal_mix, vl_mix
from eclip.losses.sigmoid import sigmoid_loss

__all__ = [
    "geodesic_mix",
    "in_batch_accuracy",
    "info_nce",
    "m2_mix",
    "sigmoid_loss",
    "unimodal_mix",
    "vl_mix",
]
