"""The evaluators: each looks at one subject and returns a section of the report, or None without data for it."""

from __future__ import annotations

from typing import Protocol

from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.section import Section
from vector_universe.evaluation.subject import Subject
from vector_universe.progress import StageProgress


class Evaluator(Protocol):
    """One way to look at a model."""

    def __call__(self, subject: Subject, config: EvaluateConfig, progress: StageProgress) -> Section | None:
        """Measure; None where the data has nothing for it.

        Args:
            subject: the model with the data, embedded.
            config: settings of the whole evaluation.
            progress: to be called with (stage, done, total) in long work.

        Raises:
            UserError: the data or a setting cannot be used; the message says what to do.
        """
