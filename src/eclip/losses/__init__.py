"""Losses: functions of tensors, nothing else."""

from eclip.losses.contrastive import in_batch_accuracy, info_nce

__all__ = ["in_batch_accuracy", "info_nce"]
