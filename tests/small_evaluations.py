"""A model that embeds by looking for the bright spot of `small_stores`, and evaluations made with it."""

import hashlib

import numpy as np
import torch

from eclip.data.images import decode
from eclip.evaluation.embeddings import Embeddings
from eclip.models.dual_encoder import ImageFeatures
from eclip.models.model import Model
from eclip.models.preprocessing import Preprocessing
from small_stores import FINDINGS

DIMENSIONS = 8


class GridlessEncoder:
    """One without local features, so that there is no grounding."""

    preprocessing, training, logit_scale = Preprocessing(size=32), False, torch.zeros(())

    def eval(self):
        return self

    def train(self, mode):
        assert mode == self.training

    def image_features(self, pixels_BCHW):
        return ImageFeatures(pooled=torch.zeros(len(pixels_BCHW), DIMENSIONS), grid=None)


class SpotModel:
    """Images and texts of one finding point the same way, but for noise that their content decides."""

    def __init__(self, *, noise=0.3, seed=0, path=None, processor=False):
        self.noise, self.seed, self.path, self.processor = noise, seed, path, processor
        self.fingerprint = f"{seed:08x}{round(noise * 1000):08x}"
        self.calls = 0

    def embed_images(self, images, **_):
        contents = [images[i] for i in range(len(images))]
        pixels = [decode(image) for image in contents]
        kinds = [
            int(np.argmax([p[10:20, 8 + 12 * f : 18 + 12 * f].mean() for f in range(3)])) for p in pixels
        ]
        return self._vectors(kinds, [p.tobytes() for p in pixels])

    def embed_texts(self, texts, **_):
        kinds = [next((f for f, name in enumerate(FINDINGS) if name.lower() in t.lower()), 3) for t in texts]
        return self._vectors(kinds, [text.encode() for text in texts])

    embed_classes = Model.embed_classes
    encoder = GridlessEncoder()
    scale = 20.0

    def expert_view(self, image_HW, heatmap_HW):
        return np.full((32, 32), 0.5, np.float32) if self.processor else None

    def _vectors(self, kinds, contents):
        self.calls += 1
        rows = np.zeros((len(kinds), DIMENSIONS), np.float32)
        for row, kind, content in zip(rows, kinds, contents, strict=True):
            digest = int(hashlib.sha256(content).hexdigest()[:12], 16)
            row[:] = np.eye(DIMENSIONS)[kind] + self.noise * np.random.default_rng(
                [self.seed, digest]
            ).normal(size=DIMENSIONS)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def unit_rows(rows, dimensions, *, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(rows, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def embeddings(image_ND, text_ND, *, texts=None, studies=None, patients=None, labels=None):
    """Embeddings with made-up ids."""
    count = len(image_ND)
    labels = labels or {}
    return Embeddings(
        image_id=[f"i{n}" for n in range(count)],
        study_id=list(studies) if studies is not None else [f"s{n}" for n in range(count)],
        patient_id=list(patients) if patients is not None else [f"p{n}" for n in range(count)],
        text=list(texts) if texts is not None else [f"report {n}" for n in range(count)],
        label_names=tuple(labels),
        label_NC=np.array(list(labels.values()), np.float32).T.reshape(count, len(labels)),
        image_ND=image_ND,
        text_ND=text_ND,
    )
