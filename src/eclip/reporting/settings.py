"""How drafts are made."""

from dataclasses import dataclass
from typing import Literal

Selection = Literal["k-means", "top", "consensus"]
OF_PROMPTS = (
    "snippets",
    "selection",
    "demonstrations",
    "demonstrations_by",
    "indication",
    "comparison",
    "prompt_tokens",
)
"""Settings that only the prompt of a language model is made with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftSettings:
    """How drafts are made.

    Attributes:
        retrieved: How many reports are retrieved for an image.
        snippets: How many texts the prompt shows.
        selection: How those are chosen of the retrieved ones.
        diversity: Of the retrieved texts, as for `retrieve`.
        labels: Findings that have to be present in a retrieved study.
        demonstrations: How many example reports the prompt shows.
        demonstrations_by: "seed": the same for all images, with and without findings in turns; "similarity": the
            retrieved reports nearest to the image.
        indication: Why the image was taken; one for all images.
        comparison: With what it may be compared.
        prompt_tokens: Most tokens of a prompt; demonstrations, then snippets are left out for it. By default what the
            model takes, where that is known.
        seed: Of clustering and of the demonstrations.
    """

    retrieved: int = 20
    snippets: int = 5
    selection: Selection = "k-means"
    diversity: float = 0.0
    labels: tuple[str, ...] = ()
    demonstrations: int = 2
    demonstrations_by: Literal["seed", "similarity"] = "seed"
    indication: str = ""
    comparison: str = ""
    prompt_tokens: int | None = None
    seed: int = 0
