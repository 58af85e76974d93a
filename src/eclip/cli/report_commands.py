"""Draft reports."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from eclip.cli.printing import console
from eclip.errors import InputError
from eclip.reporting.settings import DraftSettings


def index(
    *,
    model: Path,
    data: Path,
    out: Path,
    split: str = "train",
    level: Literal["report", "sentence"] = "report",
    kind: Literal["auto", "exact", "ivf", "hnsw"] = "auto",
    append: bool = False,
    precision: Literal["auto", "32", "bf16"] = "32",
) -> None:
    """Index the reports of a store, to be found by images: each text once, with the studies that say it.

    Example: eclip index --model runs/eclip --data stores/phantom --out indexes/phantom

    Args:
        model: Model folder, training run, hub id or open_clip:NAME/PRETRAINED; only it can be asked later.
        data: Study store.
        out: Folder to make.
        split: Which studies.
        level: Whole reports, or each of their sentences.
        kind: exact compares with every text; ivf and hnsw are approximate; auto is exact up to 200,000 distinct texts.
        append: Add to the index that is there.
        precision: Of the computation, as for embed.
    """
    from eclip.data.store import Store
    from eclip.models.model import load
    from eclip.reporting.index_writer import build_index

    made = build_index(
        load(model),
        Store.open(data),
        out,
        split=split,
        level=level,
        kind=kind,
        append=append,
        precision=precision,
    )
    counts = made.manifest
    console.print(f"{counts['texts']} texts of {counts['entries']} entries ({counts['kind']}): {out}")


def report(
    *,
    model: Path,
    index: Path,
    image: tuple[Path, ...] = (),
    data: Path | None = None,
    split: str = "test",
    out: Path | None = None,
    generator: str = "extractive",
    resume: bool = False,
    template: Path | None = None,
    max_new_tokens: int = 256,
    batch_size: int = 8,
    metrics: tuple[str, ...] = (),
    allow_leaks: bool = False,
    cache: bool = True,
    settings: Annotated[DraftSettings, tyro.conf.arg(name="")] = DraftSettings(),  # noqa: B008 (frozen)
) -> None:
    """Draft reports from the nearest reports of an index. Research use only; not a medical device.

    Example: eclip report --model runs/eclip --index indexes/phantom --image chest.jpg --out draft.json

    Example: eclip report --model runs/eclip --index indexes/phantom --data stores/phantom --out drafts

    Example: eclip report --model runs/eclip --index idx --image a.jpg --generator openai:http://127.0.0.1:8000/v1

    Args:
        model: Model folder, training run, hub id or open_clip:NAME/PRETRAINED; the one that made the index.
        index: Folder that eclip index made, of whole reports.
        image: Image files; prints a draft of each.
        data: Study store: drafts for all its images of a split that have a report, judged beside baselines.
        split: Which studies of the store.
        out: With --image a JSON file, with --data a folder.
        generator: extractive, the consensus of the retrieved reports; transformers:FOLDER-OR-ID, a chat model on this
            machine; openai:URL or openai:URL#MODEL, a server that speaks the OpenAI protocol.
        resume: Go on with the drafts that are in the folder.
        template: Jinja file of the prompt, in place of the one that comes along.
        max_new_tokens: Longest draft of a language model.
        batch_size: Prompts at a time: in a batch, or on their way to the server.
        metrics: Further ones of other packages: cider, bertscore:MODEL, sentence-similarity:MODEL, radgraph, chexbert.
        allow_leaks: Go on although the model was trained on patients of the split.
        cache: Keep embeddings in $ECLIP_CACHE, or ~/.cache/eclip/embeddings, and take them from there.
        settings: How drafts are made.
    """
    from eclip.data.store import Store
    from eclip.evaluation.cache import cache_folder
    from eclip.models.model import load
    from eclip.reporting.draft import Drafter
    from eclip.reporting.generators.registry import open_generator
    from eclip.reporting.index import ReportIndex
    from eclip.reporting.prompting import PromptTemplate
    from eclip.reporting.report_evaluation import report_split
    from eclip.reporting.single import report_images

    if (data is not None) == bool(image):
        raise InputError("eclip report: give either --image or --data")
    if data is not None and out is None:
        raise InputError("eclip report: with --data, give a folder for the drafts with --out")
    of_a_store = {"split": split != "test", "resume": resume, "metrics": metrics, "allow-leaks": allow_leaks}
    if data is None and (given := [name for name, value in of_a_store.items() if value]):
        raise InputError(
            f"--{given[0]}: has no effect with --image; leave it out, or give a store with --data"
        )
    loaded = load(model)
    drafter = Drafter(
        ReportIndex.open(index, model=loaded),
        open_generator(generator, max_new_tokens=max_new_tokens, batch_size=batch_size, seed=settings.seed),
        settings,
        PromptTemplate(template),
    )
    if data is None:
        report_images(loaded, drafter, image, out=out)
        return
    assert out is not None
    kept = cache_folder() if cache else None
    store = Store.open(data)
    report_split(
        loaded,
        drafter,
        store,
        out=out,
        split=split,
        resume=resume,
        metrics=metrics,
        allow_leaks=allow_leaks,
        cache=kept,
    )
    console.print(f"Drafts and their scores: {out}; examples: {out / 'index.html'}", soft_wrap=True)
