"""Images and texts embedded a second, beside a plain `transformers` loop with batches of 32 on the same model.

    python benchmarks/embedding.py [--images 192] [--texts 384] [--rounds 3]

Models with new weights, from their settings: ResNet-50, Swin-T and ViT-B/16 with BERT-base, images of 256 × 256 as
JPEG. Each round runs the loop and eclip in turn; the best round of each counts, for the machine may be shared.
"""

import argparse
import io
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from transformers import ViTImageProcessorPil

from eclip.models.dual_encoder import DualEncoderConfig
from eclip.models.encoders import build_encoder
from eclip.models.model import Model
from eclip.models.preprocessing import Preprocessing
from eclip.models.tokenizer import train_tokenizer

IMAGE_MODELS = {"ResNet-50": "resnet", "Swin-T": "swin", "ViT-B/16": "vit"}
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=192)
    parser.add_argument("--texts", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    images, texts = _images(arguments.images), _texts(arguments.texts)
    tokenizer = train_tokenizer(texts, vocab_size=1000)
    for name, kind in IMAGE_MODELS.items():
        torch.manual_seed(0)
        text = {"model_type": "bert", "vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
        config = DualEncoderConfig(
            image={"model_type": kind}, text=text, preprocessing=Preprocessing(mean=MEAN, std=STD)
        )
        model = Model(build_encoder(config), tokenizer)
        _compare(f"{name}, images", images, arguments.rounds, {
            "transformers": lambda images, model=model: _plain_images(model, images),
            "eclip 32": lambda images, model=model: model.embed_images(images),
            "eclip bf16": lambda images, model=model: model.embed_images(images, precision="bf16"),
        })  # fmt: skip
    _compare("BERT-base, texts", texts, arguments.rounds, {
        "transformers": lambda texts: _plain_texts(model, texts),
        "eclip 32": lambda texts: model.embed_texts(texts),
        "eclip bf16": lambda texts: model.embed_texts(texts, precision="bf16"),
    })  # fmt: skip


def _compare(
    what: str, items: Sequence[object], rounds: int, ways: dict[str, Callable[[Sequence], np.ndarray]]
) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    rows: dict[str, np.ndarray] = {}
    for way in ways.values():
        way(items[:BATCH])  # warm up
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            rows[name] = way(items)
            seconds[name].append(time.perf_counter() - start)
    for name in ways:
        rate, plain = len(items) / min(seconds[name]), len(items) / min(seconds["transformers"])
        cosine = (rows[name] * rows["transformers"]).sum(1).min()
        print(
            f"{what:18} {name:12} {rate:7.1f}/s {rate / plain:5.2f} ×   least cosine {cosine:.6f}", flush=True
        )


@torch.inference_mode()
def _plain_images(model: Model, images: Sequence[bytes]) -> np.ndarray:
    """As a model card shows it: open, process, run, one after the other."""
    processor = ViTImageProcessorPil(
        size={"shortest_edge": 224}, do_center_crop=True, crop_size={"height": 224, "width": 224},
        resample=Image.Resampling.BICUBIC, image_mean=list(MEAN), image_std=list(STD),
    )  # fmt: skip
    tower, projection = model.encoder.image_model, model.encoder.image_projection
    rows = []
    for start in range(0, len(images), BATCH):
        opened = [Image.open(io.BytesIO(image)).convert("RGB") for image in images[start : start + BATCH]]
        seen = tower(**processor(opened, return_tensors="pt"))
        pooled = seen.pooler_output if seen.get("pooler_output") is not None else seen.last_hidden_state[:, 0]
        rows.append(torch.nn.functional.normalize(projection(pooled.flatten(1)), dim=-1).numpy())
    return np.concatenate(rows)


@torch.inference_mode()
def _plain_texts(model: Model, texts: Sequence[str]) -> np.ndarray:
    tower, projection = model.encoder.text_model, model.encoder.text_projection
    rows = []
    for start in range(0, len(texts), BATCH):
        tokens = model.tokenizer(
            list(texts[start : start + BATCH]), padding=True, truncation=True, max_length=128,
            return_token_type_ids=False, return_tensors="pt",
        )  # fmt: skip
        pooled = tower(**tokens).last_hidden_state[:, 0]
        rows.append(torch.nn.functional.normalize(projection(pooled), dim=-1).numpy())
    return np.concatenate(rows)


def _images(count: int) -> list[bytes]:
    draw, images = np.random.default_rng(0), []
    for _ in range(count):
        coarse = Image.fromarray(draw.integers(0, 255, (32, 32), dtype=np.uint8))
        buffer = io.BytesIO()
        coarse.resize((256, 256), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=95)
        images.append(buffer.getvalue())
    return images


def _texts(count: int) -> list[str]:
    """As long as findings and impressions are: 10 to 100 words."""
    draw = np.random.default_rng(0)
    words = [
        "no",
        "pleural",
        "effusion",
        "is",
        "seen",
        "and",
        "the",
        "cardiac",
        "silhouette",
        "normal",
        "left",
    ]
    return [" ".join(draw.choice(words, draw.integers(10, 100))) for _ in range(count)]


if __name__ == "__main__":
    main()
