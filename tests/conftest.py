"""What many tests share: small phantoms, small models, and the real radiographs where they lie beside the project."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported: see eclip.cli.main

import torch  # after the setting above

# how long an example takes depends on what else the machine does
settings.register_profile("eclip", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("eclip")

torch.set_num_threads(2)  # golden curves and bit equality are for a fixed number of threads

REAL_CXR = Path(os.environ.get("ECLIP_REAL_CXR", Path(__file__).parents[2] / "shared" / "data" / "real_cxr"))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Embeddings that are kept are not kept in the user's own folder."""
    os.environ["ECLIP_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def real_cxr():
    if not REAL_CXR.is_dir():
        pytest.skip(f"the real radiographs are not here: {REAL_CXR} (set ECLIP_REAL_CXR)")
    return REAL_CXR


def pytest_addoption(parser):
    parser.addoption("--regenerate-golden", action="store_true", help="write the golden curves anew")


@pytest.fixture(scope="session")
def phantom(tmp_path_factory):
    """A small phantom, as file trees in the real formats."""
    from eclip.data.phantom.trees import write_phantom

    out = tmp_path_factory.mktemp("phantom") / "trees"
    write_phantom(out, studies=160, annotated=60, seed=0)
    return out


@pytest.fixture(scope="session")
def phantom_store(phantom, tmp_path_factory):
    """The store built from it, gaze joined."""
    from eclip.cli import main

    out = tmp_path_factory.mktemp("stores") / "phantom"
    command = f"data build mimic-cxr --root {phantom}/mimic-cxr-jpg --out {out} --image-size 128"
    command += f" --gaze egd-cxr={phantom}/egd-cxr --gaze reflacx={phantom}/reflacx"
    assert main(command.split()) == 0
    return out


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """What a process of pytest-xdist counted."""
    from broken_files import TRIED

    TRIED.update(getattr(node, "workeroutput", {}).get("tried", {}))


def pytest_sessionfinish(session):
    from broken_files import TRIED

    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tried"] = dict(TRIED)


def pytest_terminal_summary(terminalreporter):
    from broken_files import TRIED

    if TRIED:
        told = ", ".join(f"{count} of {name}" for name, count in sorted(TRIED.items()))
        terminalreporter.write_line(f"{TRIED.total()} broken inputs stood: {told}")
