"""Small chat models with a real tokenizer, a real chat template and real weights, made in a moment."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>\n{{ message.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
SPECIAL = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]


def save_small_chat_model(
    folder, texts, *, conversations=(), steps=0, width=96, layers=2, positions=1024, seed=0, template=TEMPLATE
):
    """Make, perhaps train, and save a Llama.

    Args:
        folder: Where to.
        texts: What the tokenizer (byte-level BPE) is trained on.
        conversations: (messages, answer) to learn from; only the answer counts.
        steps: Of training.
    """
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=900, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
        ),
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|end|>", pad_token="<|pad|>")
    tokenizer.chat_template = template
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=positions,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, bos_token_id=None,
        tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    if steps:
        train(model, tokenizer, conversations, steps=steps, seed=seed)
    model.eval().save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    return folder


def train(model, tokenizer, conversations, *, steps, batch=12, lr=3e-3, seed=0):
    encoded = []
    for messages, answer in conversations:
        prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        ids = [
            tokenizer(part, add_special_tokens=False)["input_ids"] for part in (prompt, answer + "<|end|>")
        ]
        encoded.append((ids[0] + ids[1], len(ids[0])))
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps, pct_start=0.1)
    draw = np.random.default_rng(seed)
    model.train()
    for _ in range(steps):
        some = [encoded[i] for i in draw.choice(len(encoded), batch)]
        length = max(len(ids) for ids, _ in some)
        ids_BL = torch.full((batch, length), tokenizer.pad_token_id)
        label_BL = torch.full((batch, length), -100)
        for row, (ids, start) in enumerate(some):
            ids_BL[row, : len(ids)] = torch.tensor(ids)
            label_BL[row, start : len(ids)] = torch.tensor(ids[start:])
        loss = model(
            input_ids=ids_BL, attention_mask=(ids_BL != tokenizer.pad_token_id).long(), labels=label_BL
        ).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return float(loss.detach())


@contextmanager
def served(folder, *, seconds=120):
    """The address of a real `transformers serve` process with a saved model, on loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [Path(sys.executable).with_name("transformers"), "serve", folder, "--host", "127.0.0.1"]
    command += ["--port", port, "--device", "cpu"]
    log = Path(folder).with_name("server.log")
    with log.open("w") as told:
        process = subprocess.Popen(list(map(str, command)), stdout=told, stderr=told, start_new_session=True)
    try:
        for _ in range(2 * seconds):
            assert process.poll() is None, log.read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2)
                break
            except OSError:
                time.sleep(0.5)
        else:
            raise AssertionError(log.read_text())
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
