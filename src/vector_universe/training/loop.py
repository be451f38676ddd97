"""The training loop, from a data set to a run folder with a model in it."""

from __future__ import annotations

import math
import random
import shutil
import time
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from vector_universe.data import ImageTextDataset, Pixels, read_pixels
from vector_universe.errors import UserError
from vector_universe.evaluation import prompts, retrieval
from vector_universe.evaluation.geometry import geometry, gradient_shares
from vector_universe.losses import InfoNCE
from vector_universe.models import (
    Adaptation,
    DualEncoder,
    DualEncoderConfig,
    adapt,
    load_run_model,
    merge,
    save_adapter,
)
from vector_universe.models.adaptation import check_adapter_gradients, default_mode, trainable_table
from vector_universe.models.precision import use_bf16
from vector_universe.training.checkpoint import load_checkpoint, save_checkpoint
from vector_universe.training.config import TrainConfig
from vector_universe.training.monitor import SHARES_UP_TO, CollapseMonitor
from vector_universe.training.progress import TrainingProgress
from vector_universe.training.run_folder import RunFolder
from vector_universe.training.views import augment_images, drop_words

LOG_EVERY = 10  # steps
MAX_LOGIT_SCALE = math.log(100)  # CLIP's cap: above it training becomes unstable


def train(dataset: ImageTextDataset, config: TrainConfig, out: str | Path, quiet: bool = False) -> DualEncoder:
    """Train a `DualEncoder`, new or pretrained, on the train split; validate on the validation split each epoch.

    A run that was interrupted continues after its last whole epoch, with the same result as if it had not been; a
    run that has finished is loaded. Everything about it is written to the folder `out` (see its README.md).

    Args:
        dataset: examples; those whose image cannot be decoded are left out and listed in `skipped.csv`.
        config: the settings.
        out: the run folder, new or begun with the same settings and data.
        quiet: print nothing.

    Returns:
        the trained model, in evaluation mode.

    Raises:
        UserError: impossible settings, too little data, or `out` holds something else.
        FloatingPointError: the loss became NaN or infinite.
    """
    config.check()
    run = RunFolder(Path(out))
    if len(dataset.split("train")) < 2:
        raise UserError(f"{dataset.source} has {len(dataset.split('train'))} training images: at least 2 are needed")
    run.begin(config, dataset)
    progress = TrainingProgress(quiet)
    if run.finished:
        progress.say(f"{run.path} is trained already: nothing to do")
        return load_run_model(run.path)

    torch.manual_seed(config.seed)
    pretrained = load_run_model(config.model) if config.model else None
    with progress.decoding(len(dataset)) as advance:
        pixels = read_pixels(dataset, pretrained.framing if pretrained else config.image_size, advance)
    run.write_skipped([*dataset.skipped, *pixels.skipped])
    training, validation = _of_split(pixels, "train"), _of_split(pixels, "validation")
    if len(training.examples) < 2:
        raise UserError(f"only {len(training.examples)} training images of {dataset.source} can be decoded: "
                        f"see {run.path / 'skipped.csv'}")
    texts = [prompts(example) for example in training.examples]
    all_texts = [text for several in texts for text in several]
    model = pretrained or DualEncoder.from_scratch(all_texts, DualEncoderConfig(
        image_tower=config.image_tower, text_tower=config.text_tower, image_size=config.image_size,
        embedding_width=config.embedding_width))
    if cut := model.count_cut(all_texts):
        progress.say(f"{cut} of {len(all_texts)} training texts are longer than the {model.config.max_text_tokens} "
                     "tokens that the model reads: the rest of them is cut off")
    if config.model:
        adapt(model, _adaptation(config, model), base=config.model)
        progress.trainable(trainable_table(model))
    optimizer = torch.optim.AdamW(_parameter_groups(model, config.weight_decay), lr=config.peak_learning_rate)
    accelerator = Accelerator(mixed_precision="bf16" if use_bf16(config.precision) else "no")
    objective = InfoNCE()

    epochs = config.epochs_for(len(training.examples))
    batch_size = min(config.batch_size, len(training.examples))
    steps_per_epoch = len(training.examples) // batch_size
    total_steps = epochs * steps_per_epoch
    pictures = torch.from_numpy(training.array)
    epochs_done = 0
    if run.checkpoint.is_file():
        epochs_done = load_checkpoint(run.checkpoint, model, optimizer)
        progress.say(f"continuing after epoch {epochs_done} of {epochs}")
    run.drop_metrics_after(epochs_done)
    monitor = CollapseMonitor.of_run(run.metrics)
    model, optimizer = accelerator.prepare(model, optimizer)
    progress.start(model, accelerator, dataset, batch_size, epochs, steps_per_epoch, epochs_done)

    with progress:
        for epoch in range(epochs_done, epochs):
            model.train()
            order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(_seed(config, epoch)))
            for step_of_epoch in range(steps_per_epoch):
                started = time.perf_counter()
                step = epoch * steps_per_epoch + step_of_epoch
                indices = order[step_of_epoch * batch_size:(step_of_epoch + 1) * batch_size]
                # Every random choice is a function of seed and step: a resumed run repeats the uninterrupted one.
                torch.manual_seed(_seed(config, step))  # dropout in pretrained towers
                generator = torch.Generator().manual_seed(_seed(config, total_steps + step))
                choices = random.Random(_seed(config, step))
                chosen = [choices.choice(texts[i]) for i in indices]
                seen = [drop_words(text, config.word_dropout, choices) for text in chosen]
                batch = augment_images(model.normalise_pixels(pictures[indices].to(accelerator.device)), generator)

                with accelerator.autocast():
                    images_BD, texts_BD = model(batch, *model.tokenize(seen))
                groups_B = _groups(chosen).to(accelerator.device)
                try:
                    loss = objective(images_BD, texts_BD, model.logit_scale, groups_B, groups_B)
                    if not torch.isfinite(loss.total):
                        raise FloatingPointError(f"the loss is {loss.total.item()}")
                except FloatingPointError as error:
                    raise FloatingPointError(f"{error} at step {step}: lower --learning-rate; {run.path} keeps the "
                                             f"state after epoch {epoch}") from None
                logged = step % LOG_EVERY == 0 or step == total_steps - 1
                shares = gradient_shares(loss.parts, (images_BD, texts_BD)) if logged and (
                    batch_size <= SHARES_UP_TO) else None  # before `backward`, which frees the graph
                rate = _learning_rate(step, total_steps, config)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                optimizer.zero_grad()
                accelerator.backward(loss.total)
                if step == 0:
                    check_adapter_gradients(model)
                accelerator.clip_grad_norm_(model.parameters(), config.gradient_clip)
                optimizer.step()
                with torch.no_grad():
                    model.logit_scale.clamp_(0, MAX_LOGIT_SCALE)

                pairs_per_second = batch_size / (time.perf_counter() - started)
                progress.step(step, loss.total.item(), pairs_per_second)
                if logged:
                    figures = geometry(images_BD, texts_BD)
                    run.log({"epoch": epoch + 1, "step": step, "loss": loss.total.item(), "learning_rate": rate,
                             "logit_scale": model.logit_scale.exp().item(), "pairs_per_second": pairs_per_second}
                            | {name: part.item() for name, part in loss.parts.items()}
                            | {"geometry": figures.as_dict(), "gradient_shares": shares})
                    for verdict in monitor.check(step, figures, shares):
                        run.log({"epoch": epoch + 1, "step": step, "verdict": asdict(verdict)})
                        progress.say(str(verdict))
            validated = _validate(model, validation)
            run.log({"epoch": epoch + 1, "step": step, "validation": validated})
            save_checkpoint(run.checkpoint, model, optimizer, epoch + 1)
            progress.epoch(epoch + 1, validated)

    _publish(accelerator.unwrap_model(model), run)
    if monitor.open:
        progress.say(f"warning: trained, but with open warnings ({', '.join(monitor.open)}): see {run.metrics}")
    return model.eval()


def _of_split(pixels: Pixels, split: str) -> Pixels:
    members = [i for i, example in enumerate(pixels.examples) if example.split == split]
    return Pixels(pixels.array[members], [pixels.examples[i] for i in members], [])


def _adaptation(config: TrainConfig, model: DualEncoder) -> Adaptation:
    image, text = (default_mode(model, side) if mode == "auto" else mode  # type: ignore[arg-type]
                   for side, mode in (("image", config.adapt_image), ("text", config.adapt_text)))
    return Adaptation(image, text, config.last_k, config.lora_rank, config.lora_alpha, config.lora_dropout)


def _parameter_groups(model: torch.nn.Module, weight_decay: float) -> list[dict]:
    """What learns; decay matrices, leave biases, norms and the temperature alone."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in learning if parameter.ndim >= 2]
    others = [parameter for parameter in learning if parameter.ndim < 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _learning_rate(step: int, total_steps: int, config: TrainConfig) -> float:
    warmup_steps = max(1, round(config.warmup * total_steps))
    if step < warmup_steps:
        return config.peak_learning_rate * (step + 1) / warmup_steps
    falling = (step - warmup_steps) / (total_steps - warmup_steps)
    return config.peak_learning_rate * (1 + math.cos(math.pi * falling)) / 2


def _groups(texts: list[str]) -> Tensor:
    """Integers that are equal where texts are."""
    first = {text: position for position, text in reversed(list(enumerate(texts)))}
    return torch.tensor([first[text] for text in texts])


def _validate(model: DualEncoder, validation: Pixels) -> dict | None:
    """Text → image retrieval on the validation split by one text an image; None when there is no such image."""
    model.eval()
    texts = [prompts(example)[0] for example in validation.examples]
    places: dict[str, list[int]] = defaultdict(list)
    for place, text in enumerate(texts):
        places[text].append(place)
    figures = retrieval(model.embed_texts(texts), model.embed_pixels(validation.array), [places[t] for t in texts])
    return figures.as_dict() if figures else None


def _publish(model: DualEncoder, run: RunFolder) -> None:
    """Put the adapter, if any, and the model in place, by a rename each: the model's says that the run has finished."""
    if model.adapted is not None:
        shutil.rmtree(run.adapter, ignore_errors=True)
        save_adapter(model, run.path / "adapter.partial")
        (run.path / "adapter.partial").rename(run.adapter)
        merge(model)
    temporary = run.path / "model.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    model.save_pretrained(temporary)
    temporary.rename(run.model)


def _seed(config: TrainConfig, number: int) -> int:
    return config.seed * 1_000_003 + number
