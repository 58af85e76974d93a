"""Draft reports on the phantom by all three generators, beside the baselines: the table of the issue.

    eclip demo && python benchmarks/phantom_reports.py [--demo runs/demo --steps 1200 --out runs/phantom-reports]

A small Llama (real tokenizer, chat template and `generate`) learns for some minutes, from prompts and reports of the
demo's training studies, to write a report from three retrieved ones; then it drafts for the test split in this process
(`transformers:`) and behind a `transformers serve` process (`openai:`). What it scores says what the plumbing does, not
what a language model can.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from eclip.data.store import Store
from eclip.evaluation.comparison import compare
from eclip.evaluation.embeddings import embed_store
from eclip.models.model import load
from eclip.reporting.draft import Drafter
from eclip.reporting.generators.extractive import ExtractiveGenerator
from eclip.reporting.generators.registry import open_generator
from eclip.reporting.index import ReportIndex
from eclip.reporting.report_evaluation import report_split
from eclip.reporting.settings import DraftSettings
from small_language_models import save_small_chat_model, served

SETTINGS = DraftSettings(snippets=3, selection="top", demonstrations=0)


class Reader(ExtractiveGenerator):
    """Asks for prompts."""

    reads_messages = True


def train(model, index, store, folder, *, steps):
    embeddings = embed_store(model, store, split="train", texts=False)
    rows = store.rows(split="train")
    texts = [store.column("text")[row] for row in rows]
    some = np.random.default_rng(0).permutation([i for i, text in enumerate(texts) if text.strip()])[:1500]
    cases = Drafter(index, Reader(), SETTINGS).cases(
        [embeddings.image_id[i] for i in some],
        embeddings.image_ND[some],
        [{embeddings.patient_id[i]} for i in some],
    )
    conversations = [(case.messages, texts[i]) for case, i in zip(cases, some, strict=True)]
    save_small_chat_model(
        folder,
        [message["content"] for case in cases for message in case.messages],
        conversations=conversations,
        steps=steps,
        width=128,
        layers=3,
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--demo", type=Path, default=Path("runs/demo"))
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--out", type=Path, default=Path("runs/phantom-reports"))
    arguments = parser.parse_args()
    store, model = Store.open(arguments.demo / "store"), load(arguments.demo / "eclip")
    index = ReportIndex.open(arguments.demo / "index", model=model)
    folder = arguments.out / "llama"
    if not folder.exists():
        train(model, index, store, folder, steps=arguments.steps)
    with served(folder) as url:
        for name, generator in (
            ("extractive", "extractive"),
            ("transformers", f"transformers:{folder}"),
            ("openai", f"openai:{url}#{folder}"),
        ):
            writes = open_generator(generator, max_new_tokens=128, batch_size=16 if name != "openai" else 4)
            drafter = Drafter(index, writes, SETTINGS if writes.reads_messages else DraftSettings())
            report_split(model, drafter, store, out=arguments.out / name, resume=True)
    compare([arguments.out / name for name in ("extractive", "transformers", "openai")])


if __name__ == "__main__":
    main()
