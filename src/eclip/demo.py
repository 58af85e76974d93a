"""The whole way on the phantom, from nothing to a page to look at. What `make demo` runs."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from eclip.data.build import build
from eclip.data.phantom.trees import write_phantom
from eclip.data.sources.mimic_cxr import MimicCxr
from eclip.data.store import Store
from eclip.evaluation.comparison import compare
from eclip.evaluation.evaluate import evaluate
from eclip.evaluation.page import RunView, write_page
from eclip.evaluation.results import rounded
from eclip.models.model import load
from eclip.recipes import RECIPES
from eclip.reporting.draft import Drafter
from eclip.reporting.generators.extractive import ExtractiveGenerator
from eclip.reporting.index import ReportIndex
from eclip.reporting.index_writer import build_index
from eclip.reporting.report_evaluation import report_split
from eclip.reporting.settings import DraftSettings
from eclip.training.train import train

STUDIES, ANNOTATED = 4500, 600
NOTICE = (
    "This is a phantom: chest X-rays, reports and gaze are drawn and written by a program, to show the whole way from "
    "data to scores. Nothing here says how well a method works on patients, and a difference marked “within noise” "
    "is no difference. Each model was trained once: what another seed would change is in no interval here, and has "
    "changed which model looked better."
)
METHODS = ("clip", "eclip")


def run_demo(out: Path, *, seed: int = 0) -> None:
    """Make the phantom, train `clip` and `eclip` on it, judge and compare them, and write a page.

    A demo that was stopped goes on where it was when it is run again.

    Args:
        out: Folder to write to: `index.html`, `results.json`, one run folder a method, `drafts`.
        seed: Of the phantom and of training.
    """
    console = Console()
    trees, data = out / "phantom", out / "store"
    if not trees.exists():
        console.rule("1/5 The phantom: images, reports and gaze in the real formats")
        write_phantom(trees, studies=STUDIES, annotated=ANNOTATED, seed=seed)
    if not data.exists():
        console.rule("2/5 The study store")
        gaze = tuple(f"{name}={trees / name}" for name in ("egd-cxr", "reflacx"))
        build(MimicCxr(root=trees / "mimic-cxr-jpg", gaze=gaze), data, image_size=160)
    console.rule("3/5 Training: plain CLIP, then eCLIP")
    for method in METHODS:
        run = out / method
        if not (run / "model" / "config.json").exists():
            config = RECIPES[f"phantom-{method}"]()
            config.seed = seed
            train(
                config, data=data, out=run, recipe=f"phantom-{method}", resume=(run / "config.yaml").exists()
            )
    console.rule("4/5 Evaluation on studies never seen in training")
    store = Store.open(data)
    results = {
        method: evaluate(load(out / method), store, out=out / method / "evaluation", seed=seed)
        for method in METHODS
    }
    console.rule("5/5 Draft reports from those of other patients")
    model, index = load(out / "eclip"), out / "index"
    if not index.exists():
        build_index(model, store, index)
    drafter = Drafter(ReportIndex.open(index, model=model), ExtractiveGenerator(), DraftSettings(seed=seed))
    drafts = report_split(model, drafter, store, out=out / "drafts", resume=True)
    comparison = compare([out / method / "evaluation" for method in METHODS])
    reports = {name: {n: rounded(asdict(m)) for n, m in numbers.items()} for name, numbers in drafts.items()}
    content = results | {"comparison": comparison, "reports": reports}
    (out / "results.json").write_text(json.dumps(content, indent=2) + "\n")
    runs = [RunView(method, out / method / "evaluation", out / method) for method in METHODS]
    write_page(out / "index.html", title="eclip demo", notice=NOTICE, runs=runs, store=store)
    console.rule("Done")
    pages = f"[bold]{(out / 'index.html').resolve()}[/]\nDrafts:   [bold]{(out / 'drafts' / 'index.html').resolve()}[/]"
    console.print(f"The page: {pages}\n\nTry next:", soft_wrap=True)
    eclip = (
        sys.argv[0] if Path(sys.argv[0]).name == "eclip" else "eclip"
    )  # as it was called: perhaps .venv/bin/eclip
    image = next((trees / "mimic-cxr-jpg" / "files").rglob("*.jpg"))
    for command in (
        f"data inspect {data} --out {out / 'sheet.png'}",
        f"embed --model {out / 'eclip'} --images {image} --out {out / 'embedding.parquet'}",
        f"report --model {out / 'eclip'} --index {index} --image {image}",
        f"train phantom-eclip --data {data} --out runs/mine --steps 200",
    ):
        console.print(f"  {eclip} {command}", highlight=False, soft_wrap=True)
