"""From images to draft reports: retrieve, select, prompt, generate, and say where each sentence comes from."""

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from eclip.errors import InputError, check_seed
from eclip.reporting.findings import NO_FINDING, findings_of
from eclip.reporting.generators.protocol import Case, Generated, Generator, Source
from eclip.reporting.index import ReportIndex
from eclip.reporting.prompting import DEFAULT, Demonstration, PromptTemplate
from eclip.reporting.retriever import retrieve
from eclip.reporting.settings import OF_PROMPTS, DraftSettings
from eclip.reporting.snippets import select
from eclip.reporting.sources import contradictions, support

NOT_A_DEVICE = (
    "Research use only; not a medical device. A draft is made from other patients' reports and may be wrong."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A draft report and where it comes from.

    Attributes:
        image_id: The image.
        report: The draft; "" where there is an error.
        case: What it was made from.
        generator: What wrote it.
        seed: Of clustering and demonstrations.
        seconds: What writing took.
        error: Why there is no draft.
        again: Whether there may be one if it is asked for once more.
    """

    image_id: str
    report: str
    case: Case
    generator: str
    seed: int
    seconds: float
    error: str = ""
    again: bool = False

    def as_json(self) -> dict[str, Any]:
        """The draft as it is written to files."""
        sentences = support(self.report, self.case.retrieved)
        return {
            "image_id": self.image_id,
            "report": self.report,
            "error": self.error,
            "sentences": [
                {
                    "text": sentence.text,
                    "supported": sentence.supported,
                    "sources": [
                        {"study_id": s.study_id, "similarity": round(s.similarity, 4), "text": s.text}
                        for s in sentence.sources
                    ],
                }
                for sentence in sentences
            ],
            "contradictions": [asdict(found) for found in contradictions(self.report, self.case.retrieved)],
            "retrieved": [
                {
                    "study_id": s.study_id,
                    "studies": s.studies,
                    "similarity": round(s.similarity, 4),
                    "text": s.text,
                }
                for s in self.case.retrieved
            ],
            "generator": self.generator,
            "prompt": prompt_hash(self.case),
            "seed": self.seed,
            "notice": NOT_A_DEVICE,
        }


def prompt_hash(case: Case) -> str:
    """Sixteen hexadecimal digits that change with any word of the prompt; "" without one."""
    if not case.messages:
        return ""
    return hashlib.sha256(json.dumps(list(case.messages)).encode()).hexdigest()[:16]


@dataclass(slots=True)
class Drafter:
    """Makes drafts with one index and one generator.

    Attributes:
        index: Of whole reports; of sentences for a language model without demonstrations.
        generator: What writes.
        settings: How.
        template: Of the prompt.
    """

    index: ReportIndex
    generator: Generator
    settings: DraftSettings = field(default_factory=DraftSettings)
    template: PromptTemplate = field(default_factory=PromptTemplate)
    _shown: dict[tuple[int, frozenset[str]], Demonstration] = field(
        default_factory=dict, init=False, repr=False
    )
    _order: list[int] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        check_seed(self.settings.seed)
        if not self.generator.reads_messages:
            self._check_without_prompt()
        elif self.index.level == "sentence" and self.settings.demonstrations:
            raise InputError(
                f"{self.index.path}: an index of sentences has no whole reports to demonstrate; add --demonstrations 0"
            )

    def _check_without_prompt(self) -> None:
        if self.index.level == "sentence":
            raise InputError(
                f"{self.index.path}: an index of sentences; --generator {self.generator.name} needs whole reports, "
                "`eclip index` without --level"
            )
        default = DraftSettings()
        given = [name for name in OF_PROMPTS if getattr(self.settings, name) != getattr(default, name)]
        given += ["template"] if self.template.path != DEFAULT else []
        if given:
            raise InputError(
                f"--{given[0].replace('_', '-')}: has no effect with --generator {self.generator.name}, which reads no "
                "prompt; leave it out"
            )

    def cases(
        self, image_ids: Sequence[str], image_ND: np.ndarray, exclude_patients: Sequence[Collection[str]] = ()
    ) -> list[Case]:
        """What each image's draft will be made from.

        Args:
            image_ids: (N,) names.
            image_ND: Unit vectors by the model that made the index.
            exclude_patients: For each image, patients whose reports do not count, neither as sources nor as
                demonstrations.
        """
        excluded = list(exclude_patients) or [()] * len(image_ids)
        settings = self.settings
        found = retrieve(
            self.index,
            image_ND,
            count=settings.retrieved,
            exclude_patients=excluded,
            labels=settings.labels,
            diversity=settings.diversity,
        )
        return [
            self._case(image_id, sources, patients)
            for image_id, sources, patients in zip(image_ids, found, excluded, strict=True)
        ]

    def draft(self, cases: Sequence[Case]) -> Iterator[tuple[int, Draft]]:
        """Each case's number and draft, as soon as it is there."""
        able = [number for number, case in enumerate(cases) if case.retrieved]
        for number in sorted(set(range(len(cases))) - set(able)):
            yield (
                number,
                self._draft(cases[number], Generated(text="", seconds=0.0, error="nothing retrieved")),
            )
        for number, found in self.generator.generate([cases[number] for number in able]):
            case = cases[able[number]]
            yield able[number], self._draft(case, found)

    def _draft(self, case: Case, found: Generated) -> Draft:
        return Draft(
            image_id=case.image_id,
            report=found.text,
            case=case,
            generator=self.generator.name,
            seed=self.settings.seed,
            seconds=found.seconds,
            error=found.error,
            again=found.again,
        )

    def _case(self, image_id: str, sources: list[Source], exclude_patients: Collection[str]) -> Case:
        if not self.generator.reads_messages or not sources:
            return Case(image_id=image_id, retrieved=sources)
        limits = (self.generator.budget, self.settings.prompt_tokens)
        messages = self.template.messages(
            self._snippets(sources),
            self._demonstrations(sources, exclude_patients),
            indication=self.settings.indication,
            comparison=self.settings.comparison,
            tokens=self.generator.tokens,
            budget=min((limit for limit in limits if limit is not None), default=None),
        )
        return Case(image_id=image_id, retrieved=sources, messages=messages)

    def _snippets(self, sources: Sequence[Source]) -> list[str]:
        vectors_KD = self.index.vectors[[source.number for source in sources]]
        settings = self.settings
        chosen = select(settings.selection, sources, vectors_KD, count=settings.snippets, seed=settings.seed)
        return [source.text for source in chosen]

    def _demonstrations(
        self, sources: Sequence[Source], exclude_patients: Collection[str]
    ) -> list[Demonstration]:
        wanted = self.settings.demonstrations
        if self.settings.demonstrations_by == "similarity":
            numbers = [source.number for source in sources][:wanted]
        else:
            self._order = self._order or self._in_turns()
            others = (n for n in self._order if len(self.index.sayers(n, exclude_patients=exclude_patients)))
            numbers = list(islice(others, wanted))
        found = [self._demonstration(number, exclude_patients) for number in numbers]
        return [example for example in found if example.snippets]

    def _in_turns(self) -> list[int]:
        """Some texts in an order of the seed, one with findings, one without, and so on."""
        draw = np.random.default_rng([self.settings.seed, 0])
        few = draw.choice(
            len(self.index), min(len(self.index), 50 * max(self.settings.demonstrations, 1)), replace=False
        )
        normal = {int(n): NO_FINDING in findings_of(self.index.text(n)) for n in few}
        kinds = [[n for n, is_normal in normal.items() if is_normal == wanted] for wanted in (False, True)]
        turns = [n for pair in zip(*kinds, strict=False) for n in pair]
        return turns + [n for n in normal if n not in set(turns)]

    def _demonstration(self, number: int, exclude_patients: Collection[str]) -> Demonstration:
        """A report, and what would be retrieved for it if it were an image; without its own words."""
        key = number, frozenset(patient for patient in exclude_patients if self.index.texts_of(patient))
        if key not in self._shown:
            self._shown[key] = self._make_demonstration(number, exclude_patients)
        return self._shown[key]

    def _make_demonstration(self, number: int, exclude_patients: Collection[str]) -> Demonstration:
        vector_1D = np.asarray(self.index.vectors[number])[None]
        found = retrieve(
            self.index,
            vector_1D,
            count=self.settings.retrieved + 1,
            exclude_patients=[exclude_patients],
            labels=self.settings.labels,
        )[0]
        others = [source for source in found if source.number != number][: self.settings.retrieved]
        return Demonstration(tuple(self._snippets(others)), self.index.text(number))
