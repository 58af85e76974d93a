"""`transformers` knows eclip's class after `import eclip`, in whatever order; nothing is imported for it too soon."""

import subprocess
import sys

import pytest

from eclip.models.model import Model
from eclip.models.tokenizer import train_tokenizer
from small_clips import TEXTS
from small_models import BERT, small_encoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("exported") / "model"
    tokenizer = train_tokenizer(TEXTS, vocab_size=300)
    Model(small_encoder(text=BERT | {"vocab_size": len(tokenizer)}), tokenizer).export(out)
    return out


def run(*lines):
    return subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False
    )


OPEN = "assert type(AutoModel.from_pretrained({folder!r})).__name__ == 'EclipModel'"
ORDERS = {
    "eclip first": ["import eclip", "from transformers import AutoModel"],
    "transformers first": ["from transformers import AutoModel", "import eclip"],
    "half of transformers first": [
        "from transformers import AutoConfig",
        "import eclip",
        "from transformers import AutoModel",
    ],
    "in the midst of eclip": ["import eclip.models.two_towers", "from transformers import AutoModel"],
}


@pytest.mark.parametrize("order", ORDERS)
def test_auto_model_opens_the_export(folder, order):
    done = run(*ORDERS[order], OPEN.format(folder=str(folder)))
    assert done.returncode == 0, done.stderr


def test_auto_config_alone_knows_it(folder):
    done = run(
        "import eclip",
        "from transformers import AutoConfig",
        f"assert AutoConfig.from_pretrained({str(folder)!r}).model_type == 'eclip'",
    )
    assert done.returncode == 0, done.stderr


def test_without_eclip_transformers_says_that_it_does_not_know(folder):
    done = run("from transformers import AutoModel", OPEN.format(folder=str(folder)))
    assert "model type `eclip`" in done.stderr


def test_import_eclip_and_transformers_itself_stay_cheap():
    done = run(
        "import sys, eclip",
        "assert not {'torch', 'transformers', 'eclip.models'} & set(sys.modules)",
        "import transformers",
        "assert not {'torch', 'eclip.models'} & set(sys.modules)",
        "import eclip.after_import as after, importlib",
        "after.register_with_transformers()",
        "assert sum(type(finder).__name__ == '_Follower' for finder in sys.meta_path) == 1",
    )
    assert done.returncode == 0, done.stderr


def test_a_module_of_transformers_keeps_its_loader_and_source():
    done = run(
        "import eclip, inspect",
        "from transformers.models.auto import configuration_auto",
        "assert 'class AutoConfig' in inspect.getsource(configuration_auto)",
        "assert configuration_auto.__spec__.loader.get_filename().endswith('configuration_auto.py')",
    )
    assert done.returncode == 0, done.stderr
