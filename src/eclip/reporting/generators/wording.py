"""What a language model's answer is stripped of before it counts as a draft."""

import re

_HEADING = re.compile(
    r"^\W*(?:(?:radiology |chest x-?ray |draft )?report|findings|impression|answer|assistant)\W*:\W*", re.I
)
_MARK = re.compile(r"<\|?/?[a-zA-Z_]+\|?>|\[/?INST\]")


def cleaned(answer: str) -> str:
    """Without special tokens, a heading copied from the prompt, quotes around it, and line breaks."""
    text = " ".join(_MARK.sub(" ", answer).split())
    text = _HEADING.sub("", text)
    return text.strip().strip('"“”').strip()
