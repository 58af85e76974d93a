"""What a kill may leave of a run's files."""

import pytest
import torch

from eclip.data.store import Store
from eclip.errors import InputError
from eclip.training.config import TrainConfig
from eclip.training.run_folder import WholeCheckpoints, begin, checkpoint_to_resume
from small_stores import small_store


def test_a_checkpoint_is_replaced_when_the_new_one_is_whole(tmp_path, monkeypatch):
    path = tmp_path / "checkpoints" / "last.ckpt"
    checkpoints = WholeCheckpoints()
    checkpoints.save_checkpoint({"step": 1}, path)

    def killed(checkpoint, file):
        file.write(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save_checkpoint({"step": 2}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}
    monkeypatch.undo()
    checkpoints.save_checkpoint({"step": 3}, path)
    assert torch.load(path, weights_only=True) == {"step": 3}
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("content", ["", "a: [", "- 1", "null"])
def test_a_damaged_configuration_is_told_in_one_line(tmp_path, content):
    store = Store.open(small_store(tmp_path / "store").path)
    begin(TrainConfig(), tmp_path / "run", store, recipe="x")
    assert checkpoint_to_resume(TrainConfig(), tmp_path / "run", store) is None
    (tmp_path / "run" / "config.yaml").write_text(content)
    with pytest.raises(InputError, match="damaged") as told:
        checkpoint_to_resume(TrainConfig(), tmp_path / "run", store)
    assert "\n" not in str(told.value)
