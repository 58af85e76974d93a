"""What many tests share: small phantoms, small models, and the real radiographs where they lie beside the project."""

import os
import socket
from pathlib import Path

import pytest
import torch

os.environ.setdefault("HF_HUB_OFFLINE", "1")
torch.set_num_threads(2)  # golden curves and bit equality are for a fixed number of threads

REAL_CXR = Path(os.environ.get("ECLIP_REAL_CXR", Path(__file__).parents[2] / "shared" / "data" / "real_cxr"))


@pytest.fixture(scope="session")
def real_cxr():
    if not REAL_CXR.is_dir():
        pytest.skip(f"the real radiographs are not here: {REAL_CXR} (set ECLIP_REAL_CXR)")
    return REAL_CXR


@pytest.fixture
def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
