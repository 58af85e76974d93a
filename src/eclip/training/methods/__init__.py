"""Methods of training, by name. A new one is a file here, a line below and its test."""

from eclip.training.methods.clip import Clip, ClipConfig
from eclip.training.methods.dacl import DaclConfig
from eclip.training.methods.eclip import Eclip, EclipConfig
from eclip.training.methods.expert_as_data import ExpertAsDataConfig
from eclip.training.methods.gaze_attention import GazeAttentionConfig
from eclip.training.methods.gaze_grounding import GazeGroundingConfig
from eclip.training.methods.gaze_pooling import GazePoolingConfig
from eclip.training.methods.gloria import GloriaConfig
from eclip.training.methods.gloria_eclip import GloriaEclipConfig
from eclip.training.methods.m2mix import M2mixConfig
from eclip.training.methods.m3mix import M3mixConfig
from eclip.training.methods.method import Method, MethodConfig, StepLosses
from eclip.training.methods.naive import NaiveConfig
from eclip.training.methods.sentence_eclip import SentenceEclipConfig
from eclip.training.methods.sequence_eclip import SequenceEclipConfig
from eclip.training.methods.siglip import SiglipConfig
from eclip.training.methods.siglip_eclip import SiglipEclipConfig

METHODS: dict[str, type[MethodConfig]] = {
    config.name: config
    for config in (
        ClipConfig,
        NaiveConfig,
        ExpertAsDataConfig,
        DaclConfig,
        M2mixConfig,
        M3mixConfig,
        EclipConfig,
        SiglipConfig,
        SiglipEclipConfig,
        GloriaConfig,
        GloriaEclipConfig,
        GazePoolingConfig,
        GazeAttentionConfig,
        GazeGroundingConfig,
        SentenceEclipConfig,
        SequenceEclipConfig,
    )
}

__all__ = ["METHODS", "Clip", "ClipConfig", "Eclip", "EclipConfig", "Method", "MethodConfig", "StepLosses"]
