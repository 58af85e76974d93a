"""The surface: which commands and flags there are, and how bad input is told."""

import gzip
import json
import re
import shutil
import subprocess
import sys
from dataclasses import fields

import pytest
from PIL import Image

import eclip
from eclip.cli import COMMANDS, main
from eclip.data.sources.registry import SOURCES

# Grows only on purpose: a new flag is a line here and a line in the changelog.
FLAGS = {
    "data phantom": "out studies annotated seed workers",
    "data build": "",  # below, a source at a time
    "data inspect": "out",
    "evaluate": "model data out tasks split prompts ensemble seed prompt-embeddings "
    "allow-leaks no-allow-leaks cache no-cache",
    "prompts": "",
    "compare": "out metrics margin seed",
    "embed": "model out data images texts precision",
    "index": "model data out split level kind append no-append precision",
    "report": "model index image data split out generator resume no-resume template max-new-tokens batch-size metrics "
    "allow-leaks no-allow-leaks cache no-cache retrieved snippets selection diversity labels demonstrations "
    "demonstrations-by indication comparison prompt-tokens seed",
    "export": "model out format results",
    "demo": "out seed",
    "train": "",  # below
}
TRAIN_FLAGS = {
    "list", "data", "out", "resume", "no-resume", "steps", "batch-size", "seed", "precision",
    "validate-every", "log-every",
    "optim.lr", "optim.weight-decay", "optim.betas", "optim.warmup", "optim.clip-norm",
    "loading.plain-rows", "loading.workers", "loading.augmentation.degrees", "loading.augmentation.translate",
    "loading.augmentation.scale", "loading.augmentation.contrast", "loading.augmentation.noise",
    "method.curriculum.cold", "method.curriculum.warm", "method.curriculum.cool", "method.curriculum.start",
    "method.curriculum.peak", "method.curriculum.final", "method.mixup-alpha", "method.priming-weight",
    "method.batch-share", "method.processor-lr", "method.processor.patch-size", "method.processor.width",
    "method.processor.heads", "method.processor.kind", "method.processor.residual", "method.processor.no-residual",
    "method.processor.query", "method.processor.positions", "method.processor.no-positions",
    "method.processor.filters", "method.processor.layers", "method.heatmaps", "method.mixup-per", "start-from",
    "model.projection", "model.local-features", "method.processor.slices",
    "tuning.freeze", "tuning.layer-decay", "tuning.lora-rank", "tuning.lora-alpha", "tuning.lora-towers",
    "model.embedding-dim", "model.text-pooling", "model.temperature", "model.max-length",
    "model.preprocessing.size", "model.preprocessing.mean", "model.preprocessing.std",
}  # fmt: skip


LOSSES = "losses.global-weight losses.local-weight losses.attention-temperature losses.word-temperature"
OF_METHODS = {
    "clip": "",
    "sequence-eclip": "",
    "sentence-eclip": "sentences lead",
    "siglip": "bias",
    "gloria": f"{LOSSES} losses.local-temperature",
    "gloria-eclip": f"{LOSSES} losses.local-temperature",
    "gaze-pooling": "weight pairs no-pairs",
    "gaze-attention": "weight pairs no-pairs temperature",
    "gaze-grounding": "weight pairs no-pairs temperature guess-weight alignment-weight sentences lead",
}
BUILD_FLAGS = {"out", "image-size", "workers", "allow-leaks", "no-allow-leaks", "exclude"}
SOURCE_FLAGS = {
    "mimic-cxr": "root gaze reports dicom views labeler subset per-class seed",
    "egd-cxr": "root images reports",
    "reflacx": "root images reports",
    "mimic-eye": "root",
    "gazesearch": "root images reports",
    "gazeintent": "root images reports",
    "open-i": "root deidentified views projections",
    "chexpert": "root views test-labels reports subset per-class seed ids queries",
    "nih-cxr14": "root subset per-class seed",
    "rsna": "root",
    "siim-acr": "root",
    "vindr-cxr": "root",
    "csv": "mapping table image text root patient split labels boxes masks fixations mask-folder coco labelme "
    "narratives",
}


def flags_in_help(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*command.split(), "--help"])
    assert stopped.value.code == 0
    text = re.sub(r"[│╭╰─╮╯]", " ", capsys.readouterr().out)
    return set(re.findall(r"(?<![\w-])--([a-z][\w.-]*)", text)) - {"help"}, text


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in {"train", "data build"}])
def test_commands_have_these_flags_and_an_example(command, capsys):
    flags, text = flags_in_help(command, capsys)
    assert flags == set(FLAGS[command].split())
    assert f"eclip {command}" in text
    assert "Example" in text


def test_data_build_names_its_sources(capsys):
    _, text = flags_in_help("data build", capsys)
    for name in SOURCES:
        assert re.search(rf"^ *{name} ", text, re.MULTILINE)
    assert set(SOURCES) == set(SOURCE_FLAGS)


@pytest.mark.parametrize("name", SOURCES)
def test_each_source_has_these_flags_explained_and_an_example(name, capsys):
    flags, text = flags_in_help(f"data build {name}", capsys)
    assert flags - {"help"} == BUILD_FLAGS | set(SOURCE_FLAGS[name].split())
    assert f"Example: eclip data build {name} " in " ".join(text.split())
    for field in fields(SOURCES[name]):
        assert re.search(rf"^ +{field.name}: ", SOURCES[name].__doc__, re.MULTILINE), field.name


def test_a_list_may_be_given_at_once_or_in_pieces(tmp_path):
    """`--gaze A --gaze B` is `--gaze A,B`; the last one given would win if nobody saw to it."""
    nowhere = [f"egd-cxr={tmp_path}/a", f"reflacx={tmp_path}/b"]
    found = []
    for words in (["--gaze", nowhere[0], f"--gaze={nowhere[1]}"], ["--gaze", ",".join(nowhere)]):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("eclip.data.build.build", lambda source, *_, **__: found.append(source.gaze))
            assert main(["data", "build", "mimic-cxr", "--root", str(tmp_path), "--out", "s", *words]) == 0
    assert found == [tuple(nowhere)] * 2


def test_an_option_of_another_source_or_none_is_refused(tmp_path, capsys):
    for words in (["egd-cxr", "--gaze", "a"], ["mimic-cxr"], ["csv", "--table"]):
        with pytest.raises(SystemExit) as stopped:
            main(["data", "build", *words, "--out", str(tmp_path / "s")])
        assert stopped.value.code == 2
    assert "no source 'dicom'; there are mimic-cxr" in refused(["data", "build", "dicom"], capsys)


def test_there_is_no_other_command():
    assert set(COMMANDS) == set(FLAGS)


def test_train_has_these_flags_and_those_of_the_model(capsys):
    flags, text = flags_in_help("train phantom-eclip", capsys)
    of_the_towers = {flag for flag in flags if flag.startswith(("model.image.", "model.text."))}
    assert flags - of_the_towers == TRAIN_FLAGS
    assert "Example" in text


@pytest.mark.parametrize("method", OF_METHODS)
def test_a_method_has_these_flags_beside_those_of_eclip(method, capsys):
    flags, _ = flags_in_help(f"train phantom-{method}", capsys)
    own = {flag.removeprefix("method.") for flag in flags - TRAIN_FLAGS if flag.startswith("method.")}
    assert own == set(OF_METHODS[method].split())


def test_an_option_of_another_method_is_refused(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["train", "phantom-clip", "--data", "a", "--out", "b", "--method.mixup-alpha", "0.2"])
    assert stopped.value.code == 2


def test_help_lists_every_command(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for command in COMMANDS:
        assert f"eclip {command}" in shown


def test_list_names_every_recipe(capsys):
    from eclip.recipes import RECIPES

    assert main(["train", "--list"]) == 0
    shown = capsys.readouterr().out
    for name in RECIPES:
        assert name in shown


def test_import_eclip_stays_cheap():
    """Torch and transformers are imported when a model is asked for."""
    command = (
        "import sys, eclip, eclip.cli; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0


def refused(arguments, capsys):
    """The one line that a command ends with."""
    assert main([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("eclip: ")]
    assert len(lines) == 1
    assert "Traceback" not in captured.err
    return lines[0]


def test_missing_folders_are_named(tmp_path, capsys):
    nowhere = tmp_path / "nowhere"
    out = tmp_path / "out"
    for arguments in [
        ["data", "build", "mimic-cxr", "--root", nowhere, "--out", out],
        ["data", "build", "csv", "--table", nowhere, "--image", "a", "--text", "b", "--out", out],
        ["data", "inspect", nowhere],
        ["train", "phantom-clip", "--data", nowhere, "--out", out],
        ["evaluate", "--model", nowhere, "--data", nowhere, "--out", out],
        ["embed", "--model", nowhere, "--images", "a.jpg", "--out", out / "a.parquet"],
        ["compare", nowhere, nowhere],
        ["export", "--model", nowhere, "--out", out],
        ["export", "--model", "m", "--out", out, "--results", nowhere],
    ]:
        assert str(nowhere) in refused(arguments, capsys)
        assert not out.exists()


def test_a_word_that_is_no_command_or_recipe_is_told(capsys):
    assert main(["trian"]) == 2
    assert "no command 'trian'" in capsys.readouterr().err
    assert "no recipe 'phantom-clop'; near are phantom-clip" in refused(["train", "phantom-clop"], capsys)
    assert "which recipe" in refused(["train", "--data", "a", "--out", "b"], capsys)
    assert "no command 'data foo'; there are phantom, build, inspect" in refused(["data", "foo"], capsys)
    assert "no command 'data'; there are phantom, build, inspect" in refused(["data"], capsys)
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"eclip {eclip.__version__}\n"
    assert "ends in .parquet" in refused(["embed", "--model", "m", "--texts", "a", "--out", "a.csv"], capsys)
    assert "exactly one of" in refused(["embed", "--model", "m", "--out", "o"], capsys)


@pytest.fixture
def table(tmp_path):
    Image.new("L", (40, 40), 99).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_text("no image")
    lines = ["file,report", "good.png,Clear lungs.", "bad.png,Effusion.", "gone.png,Nodule.", "good.png,"]
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "table.csv"


def test_rows_that_cannot_be_used_are_listed_and_the_others_kept(table, tmp_path, capsys):
    out = tmp_path / "store"
    arguments = [
        "data",
        "build",
        "csv",
        "--table",
        table,
        "--image",
        "file",
        "--text",
        "report",
        "--out",
        out,
    ]
    assert main([str(argument) for argument in arguments]) == 0
    assert "1 studies stored" in capsys.readouterr().out
    rejected = json.loads((out / "manifest.json").read_text())["rejected"]
    assert [row["row"] for row in rejected] == ["row 3", "row 4", "row 5"]
    assert all("table.csv" in row["file"] or "png" in row["file"] for row in rejected)


def test_a_column_that_is_not_there_is_named(table, tmp_path, capsys):
    arguments = ["data", "build", "csv", "--table", table, "--image", "picture", "--text", "report"]
    line = refused([*arguments, "--out", tmp_path / "store"], capsys)
    assert "picture" in line
    assert "table.csv" in line


def test_a_build_that_leaves_nothing_fails(table, tmp_path, capsys):
    table.write_text("file,report\nbad.png,Effusion.\n")
    arguments = ["data", "build", "csv", "--table", table, "--image", "file", "--text", "report"]
    refused([*arguments, "--out", tmp_path / "store"], capsys)
    assert not (tmp_path / "store").exists()


def test_a_store_of_a_newer_schema_and_a_broken_store_are_told(phantom_store, tmp_path, capsys):
    store = shutil.copytree(phantom_store, tmp_path / "store")
    manifest = json.loads((store / "manifest.json").read_text())
    (store / "manifest.json").write_text(json.dumps(manifest | {"schema_version": 99}))
    assert "newer" in refused(["data", "inspect", store], capsys)
    (store / "manifest.json").write_text(json.dumps(manifest))
    shard = next(store.glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-100])
    shutil.rmtree(store / ".arrow", ignore_errors=True)
    assert shard.name in refused(["data", "inspect", store], capsys)


def test_gaze_for_unknown_images_is_listed(phantom, tmp_path):
    """Recordings of images that the tree does not have do not vanish."""
    tree = shutil.copytree(phantom / "mimic-cxr-jpg", tmp_path / "mimic")
    fixations = phantom / "reflacx" / "main_data"
    gone = next(line for line in (fixations / "metadata_phase_3.csv").read_text().splitlines()[1:])
    dicom = re.search(r"[0-9a-f]{8}(?:-[0-9a-f]{8}){4}", gone).group()
    for suffix in ("metadata", "split"):
        path = tree / f"mimic-cxr-2.0.0-{suffix}.csv.gz"
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        path.write_bytes(gzip.compress("\n".join(line for line in lines if dicom not in line).encode()))
    out = tmp_path / "store"
    arguments = [
        "data",
        "build",
        "mimic-cxr",
        "--root",
        tree,
        "--gaze",
        f"reflacx={phantom / 'reflacx'}",
        "--out",
        out,
    ]
    assert main([str(argument) for argument in arguments]) == 0
    rejected = json.loads((out / "manifest.json").read_text())["rejected"]
    assert any("unknown" in row["reason"] or dicom in row["reason"] + row["row"] for row in rejected)


def test_a_phantom_does_not_replace_the_folder_one_is_in(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["data", "phantom", "--out", ".", "--studies", "20", "--annotated", "0"]) == 2
    assert "the folder you are in" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_towers_by_name_are_options_of_recipes_that_have_them(phantom_store, tmp_path, capsys):
    """Of a name or settings tyro made arguments without a name, which a stray word would have filled."""
    with pytest.raises(SystemExit):
        main(["train", "paper-clip-swin-tiny", "--help"])
    told = capsys.readouterr().out
    assert "positional" not in told
    assert "--model.image NAME" in told
    towers = ["--model.image", str(tmp_path / "image"), "--model.text", str(tmp_path / "text")]
    arguments = [
        "train",
        "paper-clip-swin-tiny",
        "--data",
        str(phantom_store),
        "--out",
        str(tmp_path / "run"),
    ]
    assert f"--model.text {tmp_path / 'text'}: no tokenizer" in refused([*arguments, *towers], capsys)
    with pytest.raises(SystemExit):
        main([*arguments, "stray"])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ["phantom-clip", "--model.max-length", "500"],
            "--model.max-length 500: the text model has 64 positions",
        ),
        (["phantom-clip", "--batch-size", "1"], "--batch-size 1: expected 2 or more"),
        (["post-clip"], "--start-from: which model is to go on?"),
    ],
)
def test_settings_that_would_fail_later_are_refused(phantom_store, tmp_path, capsys, options, told):
    assert told in refused(["train", *options, "--data", phantom_store, "--out", tmp_path / "run"], capsys)
    assert not (tmp_path / "run").exists()


def test_seeds_of_judging_are_checked_first(capsys):
    assert "--seed -1: expected 0 or more" in refused(["compare", "a", "b", "--seed", "-1"], capsys)


def test_a_tenth_of_a_phantom_is_annotated_unless_told(tmp_path, capsys):
    for name, options in (("unless", []), ("told", ["--annotated", "3"])):
        out = ["--out", str(tmp_path / name), "--studies", "30", "--workers", "1"]
        assert main(["data", "phantom", *out, *options]) == 0
        assert "3 of them with gaze" in capsys.readouterr().out
    sheets = [(tmp_path / name / "egd-cxr" / "master_sheet.csv").read_bytes() for name in ("unless", "told")]
    assert sheets[0] == sheets[1]
