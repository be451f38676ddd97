"""How a run went, in plain words."""

from __future__ import annotations

import math

from vector_universe.training.config import PREDICTIONS
from vector_universe.training.history import History, Points

STARVED = 0.25  # share of the time spent waiting for data: above it, data is the limit
LEARNED = 3.0  # times chance: validation recall below it is hardly more than luck
TELLING = 0.2  # recall@10 that chance alone gives: above it, there are too few pictures to tell anything
RISEN = 1.02  # times its best: a validation loss above it has turned
BOTH_WAYS = {"image_to_text", "text_to_image"}  # the parts of InfoNCE, whose loss at chance is ln B


def verdict_sentences(history: History) -> list[str]:
    """How a run went, in plain words: whether it learned, its loss, its best validation, warnings, and its limit."""
    if not history.steps:
        return ["No step has been logged yet."]
    return [sentence for sentence in (_whether_it_learned(history), _of_loss(history), _of_validation(history),
                                      _of_warnings(history), _of_speed(history)) if sentence]


def _whether_it_learned(history: History) -> str:
    if history.open_warnings:
        return "Look at the open warnings first."
    best, chance = _best(history), _chance_recall(history)
    if best is not None and 0 < chance <= TELLING:
        times = best[1] / chance
        if times < LEARNED:
            return "It hardly learned: what it finds in the validation pictures is near pure chance."
        return f"It learned: it finds the right validation picture {times:.0f} times as often as chance."
    if predicts(history):
        return _whether_it_predicts(history)
    line = chance_loss(history)
    if line is None:
        return "Training went through without a warning."
    return "It learned." if history.steps[-1]["loss"] < 0.9 * line else "It hardly learned."


def _whether_it_predicts(history: History) -> str:
    _, losses = history.series("validation/loss")
    if len(losses) < 2:
        return "Training went through without a warning."
    if min(losses) < losses[0]:
        return (f"It learned: the loss on validation pictures fell from {losses[0]:.3g} after the first epoch to "
                f"{min(losses):.3g}.")
    return "It hardly learned: the loss on validation pictures never fell below that of the first epoch."


def _of_loss(history: History) -> str:
    last, line = history.steps[-1], chance_loss(history)
    against = f", where pure chance gives ln {history.batch_size} = {line:.2f}" if line else ""
    return f"The loss came to {last['loss']:.3g} after {int(last['step']) + 1:,} steps{against}."


def _of_validation(history: History) -> str:
    best = _best(history)
    if best is None:
        return _of_validation_loss(history)
    if _chance_recall(history) > TELLING:
        return "There are too few validation pictures for recall@10 to tell anything."
    steps, recalls = history.series("validation/recall_at_10")
    record = history.validations[steps.index(best[0])]
    epoch = f" after epoch {int(record['epoch'])} of {int(history.validations[-1]['epoch'])}" if (
        "epoch" in record and len(steps) > 1) else ""
    among = record.get("validation/candidates")
    sentence = (f"Validation recall@10 was {best[1]:.3f} at its best{epoch}"
                + (f", among {int(among):,} pictures" if among else "") + ".")
    queries = record.get("validation/queries") or among or 1
    error = math.sqrt(max(best[1] * (1 - best[1]), 1 / queries) / queries)
    if best[1] - recalls[-1] > 3 * error:
        sentence += f" It has fallen to {recalls[-1]:.3f} since: fewer epochs, or more data, would do better."
    return sentence


def _of_validation_loss(history: History) -> str:
    """Of runs without retrieval: prediction, and fusion."""
    _, losses = history.series("validation/loss")
    if not losses:
        return "There was no validation."
    epoch = losses.index(min(losses)) + 1
    sentence = f"The validation loss was {min(losses):.3g} at its best, after epoch {epoch} of {len(losses)}."
    if predicts(history) and losses[-1] > RISEN * min(losses):
        sentence += (f" It has risen to {losses[-1]:.3g} since: --keep best keeps the better weights, and more "
                     "data would do better still.")
    return sentence


def _of_warnings(history: History) -> str:
    names = [str(verdict["name"]).replace("_", " ") for verdict in history.open_warnings]
    if names:
        return f"Open warning{'s' if len(names) > 1 else ''}: {', '.join(names)}."
    return "All warnings were taken back." if history.verdicts else "There were no warnings."


def _of_speed(history: History) -> str:
    speed, waiting = (history.series(name)[1] for name in ("pairs_per_second", "waiting"))
    sentence = f"It took {sum(speed) / len(speed):,.0f} pairs a second" if speed else ""
    if not waiting:
        return sentence and f"{sentence}."
    share = sum(waiting) / len(waiting)
    limit = (f"data is the limit: {share:.0%} of the time went into waiting for it" if share > STARVED else
             f"computing is the limit: only {share:.0%} of the time went into waiting for data")
    return f"{sentence}; {limit}." if sentence else f"{limit[0].upper()}{limit[1:]}."


def predicts(history: History) -> bool:
    """Whether the run predicts words, so that its loss is all there is of validation."""
    return history.config.get("objective") in PREDICTIONS


def _best(history: History) -> tuple[int, float] | None:
    """Step and value of the best validation recall@10; None without one."""
    found: Points = history.series("validation/recall_at_10")
    return max(zip(*found, strict=True), key=lambda point: point[1], default=None)


def _chance_recall(history: History) -> float:
    """Recall@10 of a random order; 0 where it is not known."""
    return max(history.series("validation/chance_at_10")[1], default=0.0)


def chance_loss(history: History) -> float | None:
    """ln B, where the loss is InfoNCE's: other losses have other values at chance."""
    parts = set(history.parts)
    return math.log(history.batch_size) if history.batch_size and parts <= BOTH_WAYS else None
