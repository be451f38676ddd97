"""What to measure, and how: settings that stand in every report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vector_universe.errors import UserError

EVALUATORS = ("retrieval", "zero_shot", "probes", "few_shot", "shift", "geometry", "calibration", "leaks",
              "retention")


@dataclass(frozen=True)
class EvaluateConfig:
    """Settings of `evaluate`; the defaults measure all that the data has something for."""

    only: tuple[str, ...] = ()
    """Only these of retrieval, zero_shot, probes, few_shot, shift, geometry, calibration, leaks, retention."""
    prompts: str = "auto"
    """Prompts for zero-shot classification: photo, poster, thumbnail, product, emoji, plain (the bare label), or a
    file with {} for the label in each line; 'auto' chooses by the data."""
    shift: tuple[str, ...] = ()
    """Further data of the same classes or texts, to see how far a figure falls under shift."""
    corruptions: bool = False
    """Measure on corrupted copies of the test pictures too: noise, blur, contrast, brightness, JPEG… at five
    strengths."""
    retain: str | None = None
    """Data of another kind, to see what the model can still do there: beside the base model, what it has lost."""
    whiten: bool = False
    """Fit centring and PCA whitening on the train split; the better one becomes part of the model where retrieval on
    the validation split gets better by it."""
    draws: int = 1000
    """Bootstrap draws of an interval."""
    seed: int = 0
    """Of the draws, of few-shot samples and of noise."""

    def check(self) -> None:
        """Refuse impossible settings.

        Raises:
            UserError: naming the setting, its value and what is possible.
        """
        for name in self.only:
            if name not in EVALUATORS:
                raise UserError(f"--only {name}: there is no such evaluation; choose from {', '.join(EVALUATORS)}")
        if self.draws < 100:
            raise UserError(f"--draws {self.draws}: an interval needs at least 100")

    def wants(self, name: str) -> bool:
        """Whether this evaluator is asked for."""
        return not self.only or name in self.only


def prompt_file(config: EvaluateConfig) -> Path | None:
    """The file that `prompts` names; None where it names a set of ours."""
    return Path(config.prompts) if "/" in config.prompts or "." in config.prompts else None
