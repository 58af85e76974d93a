"""Methods of training, by name. A new one is a file here, a line below and its test."""

from eclip.training.methods.clip import Clip, ClipConfig
from eclip.training.methods.eclip import Eclip, EclipConfig
from eclip.training.methods.method import Method, MethodConfig, StepLosses

METHODS: dict[str, type[MethodConfig]] = {config.name: config for config in (ClipConfig, EclipConfig)}

__all__ = ["METHODS", "Clip", "ClipConfig", "Eclip", "EclipConfig", "Method", "MethodConfig", "StepLosses"]
