"""Drafts for images of one's own: nothing is lost, and options that would do nothing are refused."""

import json

import pytest

from eclip.cli import main
from eclip.errors import InputError
from eclip.reporting.draft import Drafter
from eclip.reporting.generators.extractive import ExtractiveGenerator
from eclip.reporting.index_writer import build_index
from eclip.reporting.single import report_images
from small_evaluations import SpotModel
from small_stores import small_store


@pytest.fixture(scope="module")
def drafter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("single")
    index = build_index(SpotModel(), small_store(folder / "store"), folder / "index")
    return Drafter(index, ExtractiveGenerator())


class FileModel(SpotModel):
    """Reads files."""

    def embed_images(self, images, **_):
        return super().embed_images([image.read_bytes() for image in images])


def images_of(store, folder, *names):
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(store[number].image)
    return [folder / name for name in names]


def test_names_are_printed_as_they_are_and_the_file_holds_every_draft(drafter, tmp_path, capsys):
    store = small_store(tmp_path / "store")
    images = images_of(store, tmp_path, "scan[/red].png", "[bold]/b.png")
    out = tmp_path / "new" / "drafts.json"
    drafts = report_images(FileModel(), drafter, images, out=out)
    assert [one["report"] for one in json.loads(out.read_text())] == [draft.report for draft in drafts]
    printed = capsys.readouterr().out
    assert all(str(image) in printed for image in images)
    report_images(FileModel(), drafter, images[:1], out=out)
    assert json.loads(out.read_text())["image_id"] == str(images[0])


def test_where_nothing_can_be_written_nothing_is_drafted(drafter, tmp_path):
    images = images_of(small_store(tmp_path / "store"), tmp_path, "a.png")
    (tmp_path / "file").write_text("")
    for out in (tmp_path, tmp_path / "file" / "draft.json"):
        model = FileModel()
        with pytest.raises(InputError, match="cannot be written"):
            report_images(model, drafter, images, out=out)
        assert model.calls == 0


@pytest.mark.parametrize(
    "option", [["--resume"], ["--metrics", "cider"], ["--split", "validate"], ["--allow-leaks"]]
)
def test_options_of_a_store_are_refused_with_an_image(option, capsys):
    assert main(["report", "--model", "m", "--index", "i", "--image", "a.png", *option]) == 2
    assert f"{option[0]}: has no effect with --image" in capsys.readouterr().err.replace("\n", " ")
