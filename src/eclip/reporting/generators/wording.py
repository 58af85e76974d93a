"""What a language model's answer is stripped of before it counts as a draft."""

import re

_HEADING = re.compile(
    r"^\W*(?:(?:radiology |chest x-?ray |draft )?report|findings|impression|answer|assistant)\W*:\W*", re.I
)
_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)|\A.*?</think>", re.S)  # some prompts open it themselves
_MARK = re.compile(r"<\|?/?[a-zA-Z_]+\|?>|\[/?INST\]")
_WHOLE = re.compile(r".*[^\W\d][.!?](?=\s|$)")  # not the 2. of a list


def cleaned(answer: str, *, finished: bool = True) -> str:
    """Without what it thought, special tokens, a heading copied from the prompt, quotes around it, and line breaks.

    Args:
        answer: What the model said.
        finished: Whether it came to an end by itself; otherwise a last sentence that was cut short is left out, unless
            it is the only one.
    """
    text = " ".join(_MARK.sub(" ", _THOUGHT.sub(" ", answer)).split())
    text = _HEADING.sub("", text).strip().strip('"“”').strip()
    whole = None if finished else _WHOLE.match(text)
    return whole[0] if whole else text
