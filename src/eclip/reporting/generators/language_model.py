"""Drafts by a frozen chat model on this machine, through transformers: greedy, in batches."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from eclip.errors import InputError
from eclip.reporting.generators.protocol import Case, Generated, Message
from eclip.reporting.generators.wording import cleaned


class LanguageModelGenerator:
    """Any causal chat model that transformers reads: a folder or a hub id.

    Greedy decoding: the same model and prompts give the same text. Weights are safetensors; no code of the model's
    folder is run.

    Args:
        model: Folder or hub id.
        max_new_tokens: Longest draft.
        batch_size: Cases at a time; those with prompts of about one length come together.
        precision: "32", "bf16", or "auto": bf16 on a GPU.

    Raises:
        InputError: Not a causal language model with safetensors, no tokenizer, or none with a chat template.
    """

    reads_messages = True

    def __init__(
        self, model: str, *, max_new_tokens: int = 256, batch_size: int = 8, precision: str = "auto"
    ) -> None:
        if max_new_tokens < 1 or batch_size < 1:
            raise InputError(f"expected 1 or more tokens and cases; got {max_new_tokens} and {batch_size}")
        self.name = f"transformers:{model}"
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        half = precision == "bf16" or (precision == "auto" and device.type == "cuda")
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(
                model, padding_side="left", trust_remote_code=False
            )
            loaded: Any
            told: Any
            loaded, told = AutoModelForCausalLM.from_pretrained(  # type: ignore[misc]
                model,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=torch.bfloat16 if half else torch.float32,
                output_loading_info=True,
            )
            if told["missing_keys"]:
                raise ValueError(f"no weights for {sorted(told['missing_keys'])[0]}")
        except (OSError, ValueError, KeyError, ImportError, SafetensorError) as error:
            raise InputError(
                f"--generator transformers:{model}: not a causal language model that transformers can read "
                f"({' '.join(str(error).split())[:200]}); give a hub id or a folder with "
                "config.json, model.safetensors and a tokenizer"
            ) from error
        if not self.tokenizer.chat_template:
            raise InputError(
                f"--generator transformers:{model}: its tokenizer has no chat template; "
                "give an instruction-tuned (chat) model"
            )
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.model = loaded.to(device).eval().requires_grad_(False)
        self.max_new_tokens, self.batch_size = max_new_tokens, batch_size
        positions = getattr(loaded.config, "max_position_embeddings", None)
        self.budget = None if positions is None else max(1, positions - max_new_tokens)
        ends = loaded.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        self._ends = sorted({end for end in [*ends, self.tokenizer.eos_token_id] if end is not None})

    def tokens(self, messages: Sequence[Message]) -> int:
        """As the model will count them, chat template included."""
        return len(self._ids(messages))

    def generate(self, cases: Sequence[Case]) -> Iterator[tuple[int, Generated]]:
        """Each case's number and what became of it, cases with long prompts first."""
        prompts = {number: self._ids(case.messages) for number, case in enumerate(cases)}
        for number, ids in list(prompts.items()):
            if self.budget is not None and len(ids) > self.budget:
                yield (
                    number,
                    Generated(text="", seconds=0.0, error=f"prompt of {len(ids)} tokens, {self.budget} fit"),
                )
                del prompts[number]
        order = sorted(prompts, key=lambda number: -len(prompts[number]))
        for first in range(0, len(order), self.batch_size):
            batch = order[first : first + self.batch_size]
            start = time.perf_counter()
            texts = self._answers([prompts[number] for number in batch])
            seconds = (time.perf_counter() - start) / len(batch)
            for number, text in zip(batch, texts, strict=True):
                yield number, Generated(text=text, seconds=seconds, error="" if text else "empty answer")

    @torch.inference_mode()
    def _answers(self, prompts: Sequence[Sequence[int]]) -> list[str]:
        length = max(map(len, prompts))
        pad = self.tokenizer.pad_token_id
        padded = torch.tensor([[pad] * (length - len(ids)) + list(ids) for ids in prompts])
        mask = torch.tensor([[0] * (length - len(ids)) + [1] * len(ids) for ids in prompts])
        greedy = GenerationConfig(
            do_sample=False,
            num_beams=1,
            max_new_tokens=self.max_new_tokens,
            eos_token_id=self._ends,
            pad_token_id=pad,
        )
        out = self.model.generate(
            padded.to(self.model.device), attention_mask=mask.to(self.model.device), generation_config=greedy
        )
        said = out[:, length:]
        answers = self.tokenizer.batch_decode(said, skip_special_tokens=True)
        finished = torch.isin(said, torch.tensor(self._ends, device=said.device)).any(1).tolist()
        return [cleaned(answer, finished=ended) for answer, ended in zip(answers, finished, strict=True)]

    def _ids(self, messages: Sequence[Message]) -> list[int]:
        text = self.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]
