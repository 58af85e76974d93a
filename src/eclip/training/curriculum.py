"""How often expert batches come, and when (section 3.4 of the paper)."""

from dataclasses import asdict, dataclass

from eclip.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Curriculum:
    """Probability of an expert batch: none in the cold start, then rising, then falling, then constant.

    The defaults are the paper's: 0 for the first 10 % of the steps, 0.05 → 0.5 over the next 30 %, 0.5 → 0.1 over
    the next 40 %, 0.1 for the rest.

    Attributes:
        cold: Share of the steps without expert batches; the heatmap processor is primed in them.
        warm: Share of the steps in which the probability rises.
        cool: Share of the steps in which it falls.
        start: Probability at the end of the cold start.
        peak: Probability at the end of the warm-up.
        final: Probability at the end of the cool-down and after it.
    """

    cold: float = 0.1
    warm: float = 0.3
    cool: float = 0.4
    start: float = 0.05
    peak: float = 0.5
    final: float = 0.1

    def check(self) -> None:
        """Refuse what is no share or probability.

        Raises:
            InputError: A value outside [0, 1], or phases longer than the run.
        """
        for name, value in asdict(self).items():
            if not 0 <= value <= 1:
                raise InputError(f"--method.curriculum.{name} {value}: must be from 0 to 1")
        if self.cold + self.warm + self.cool > 1 + 1e-9:
            raise InputError(
                f"--method.curriculum: cold {self.cold}, warm {self.warm} and cool {self.cool} are more than the "
                "whole run; lower one of them"
            )

    def check_phases(self) -> None:
        """Refuse a warm-up or cool-down in which nothing changes, and a change that takes no time.

        Raises:
            InputError: Which phase.
        """
        for phase, before, after in (("warm", "start", "peak"), ("cool", "peak", "final")):
            length, first, last = getattr(self, phase), getattr(self, before), getattr(self, after)
            if (length > 0) != (first != last):
                raise InputError(
                    f"--method.curriculum.{phase} {length}: the probability goes from {before} {first} to {after} "
                    f"{last} in this phase; give it a length above 0 where these differ, and 0 where they do not"
                )

    def is_cold(self, step: int, *, steps: int) -> bool:
        """Whether a step of a run of `steps` steps belongs to the cold start."""
        return step < self.cold * steps

    def probability(self, step: int, *, steps: int) -> float:
        """Probability that a step of a run of `steps` steps has an expert batch."""
        if self.is_cold(step, steps=steps):
            return 0.0
        done = step / steps - self.cold
        if done < self.warm:
            return self.start + (self.peak - self.start) * done / self.warm
        done -= self.warm
        if done < self.cool:
            return self.peak + (self.final - self.peak) * done / self.cool
        return self.final


ALWAYS = Curriculum(cold=0, warm=0, cool=0, start=1, peak=1, final=1)
"""An expert batch at every step."""
