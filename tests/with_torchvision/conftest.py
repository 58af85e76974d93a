"""Tests of the extras that import torchvision: open_clip and timm. They are a session of their own.

The ordinary torchvision wheel cannot load beside a CPU-only torch, for two operators are missing there; where they are
declared first, it loads. Until then not even `transformers` can be imported beside it. So these packages lie in a
folder of their own, and this folder is tested alone:

    pip install --no-deps --target FOLDER -c constraints.txt torchvision timm open_clip_torch ftfy wcwidth
    PYTHONPATH=FOLDER pytest tests/with_torchvision
"""

from importlib.util import find_spec

import torch

INSTALLED = all(find_spec(name) for name in ("torchvision", "timm", "open_clip"))
collect_ignore_glob = [] if INSTALLED else ["test_*.py"]

if INSTALLED and not torch.cuda.is_available():
    OPERATORS = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        OPERATORS.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
