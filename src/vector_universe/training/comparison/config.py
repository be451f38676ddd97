"""The settings of a comparison, and what of `TrainConfig` it sets itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from vector_universe.errors import UserError
from vector_universe.training.config import OF_TEXT_VECTORS, PREDICTIONS, TrainConfig

Objective = Literal["info_nce", "sigmoid", "bag_of_words", "ngram", "captioner"]
NAMES: dict[Objective, str] = {
    "info_nce": "contrastive", "sigmoid": "sigmoid", "bag_of_words": "bag of words", "ngram": "n-grams",
    "captioner": "captioning"}
EXPECTED: tuple[Objective, ...] = ("info_nce", "bag_of_words", "captioner")  # most efficient first: CLIP, fig. 2
TRIAL_SHARE = 4  # a trial of a learning rate sees one in so many of a run's pictures
OWN = ("objective", "seed", "schedule", "learning_rate", "learning_rate_image", "learning_rate_text",
       "zero_shot_points", "early_stopping", "recipe")


@dataclass(frozen=True)
class CompareConfig:
    """What is compared. The other settings of the runs are those of `vu train`, equal for all."""

    objectives: tuple[Objective, ...] = ("info_nce", "bag_of_words", "ngram", "captioner")
    """What the same image tower learns by: telling pairs apart (info_nce, sigmoid), or predicting the words, the
    n-grams, or the whole text of a picture."""
    seeds: int = 3
    """Runs of each; equal seeds see the same pictures and texts in the same order."""
    points: int = 12
    """How often the test pictures are asked in a run, evenly spread on a log axis of pictures seen."""
    learning_rates: tuple[float, ...] = (5e-4, 1e-3, 2e-3, 4e-3)
    """Each objective takes the one that is best on the validation pictures after a quarter of the run; a single one is
    taken by all, untried."""

    def check(self) -> None:
        """Refuse impossible values before any work.

        Raises:
            UserError: naming the setting, its value and what is possible.
        """
        if len(self.objectives) < 2 or len(set(self.objectives)) < len(self.objectives):
            raise UserError(f"objectives are {', '.join(self.objectives) or 'none'}: give two or more different ones "
                            f"of {', '.join(NAMES)}")
        if unknown := [name for name in self.objectives if name not in NAMES]:
            raise UserError(f"objectives: there is no {', '.join(unknown)}; choose of {', '.join(NAMES)}")
        if self.seeds < 1:
            raise UserError(f"seeds is {self.seeds}: it must be at least 1")
        if self.points < 2:
            raise UserError(f"points is {self.points}: a curve needs at least 2")
        if not self.learning_rates or any(not 0 < rate < 1 for rate in self.learning_rates) or (
                len(set(self.learning_rates)) < len(self.learning_rates)):
            raise UserError(f"learning_rates are {', '.join(f'{rate:g}' for rate in self.learning_rates) or 'none'}: "
                            "give one or more different ones between 0 and 1")


def check_shared(shared: TrainConfig) -> None:
    """Refuse settings of the runs that the comparison sets itself.

    Raises:
        UserError: naming them.
    """
    shared.check()
    changed = [name for name in OWN if getattr(shared, name) != getattr(TrainConfig, name)]
    if changed:
        raise UserError(f"{', '.join(changed)}: a comparison sets this itself, equal for all; see --objectives, "
                        "--seeds and --learning-rates")


def run_settings(shared: TrainConfig, objective: Objective, seed: int, rate: float, points: int) -> TrainConfig:
    """The settings of one run: after the warm-up its learning rate stays, as the middle of a cosine is not its end.

    Settings of text vectors are for the objectives that have some.
    """
    if objective in PREDICTIONS:
        shared = replace(shared, **{name: getattr(TrainConfig, name) for name in OF_TEXT_VECTORS})
    return replace(shared, objective=objective, seed=seed, learning_rate=rate, schedule="constant",
                   zero_shot_points=points)


def trial_settings(shared: TrainConfig, objective: Objective, rate: float, images: int) -> TrainConfig:
    """The settings of a trial of a learning rate: seed 0, a quarter of the epochs, no look at the test pictures."""
    epochs = max(1, round(shared.epochs_for(images) / TRIAL_SHARE))
    return replace(run_settings(shared, objective, 0, rate, 0), epochs=epochs)
