"""A generator that helps a contrastive model: who learns from what, and that nothing else changes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from tests.losses.references import unit_rows
from tests.pictures import write_shapes
from tests.pretrained import save_tiny
from vector_universe import TrainConfig, UserError, load_dataset, train
from vector_universe.models.gan import Generator
from vector_universe.training import loop
from vector_universe.training.adversarial import companion, pairs
from vector_universe.training.adversarial.gate import Gate
from vector_universe.training.cached_gradients import CachedGradients, preparing_thread
from vector_universe.training.preparation import build_accelerator, set_up
from vector_universe.training.progress import TrainingProgress
from vector_universe.training.run_folder import RunFolder
from vector_universe.training.tasks import build
from vector_universe.training.tasks.contrastive import Contrastive

TINY = TrainConfig(embedding_width=16, epochs=3, batch_size=8, precision="fp32", monitor_every=2, micro_batch=8,
                   generated_share=1.0, generated_size=32)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return load_dataset(write_shapes(tmp_path_factory.mktemp("data") / "shapes")).select(range(24))


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """A generator of a few channels: its pictures are not looked at here."""
    monkeypatch.setattr(build, "MOST_CHANNELS", 16)
    monkeypatch.setattr(pairs, "LEAST_PAIRS", 8)


@pytest.fixture
def open_gate(monkeypatch):
    """All but every third picture passes; what a generator of a few steps draws would not."""
    monkeypatch.setattr(Gate, "__call__", lambda _, generated_GD, *__: torch.arange(len(generated_GD)) % 3 < 2)


def ready(shapes, folder, **settings):
    """The task of a run that is ready to go, and a batch late in the run."""
    config = replace(TINY, **settings)
    run = RunFolder(folder / "run")
    run.begin(config, shapes)
    setup = set_up(shapes, config, run, build_accelerator(), TrainingProgress(True))
    return setup.task, replace(setup.task.batch(0, setup.training[:8]), progress=1.0)


def embed(task, batch, micro_batch=8):
    with preparing_thread() as threads:
        gradients = CachedGradients(task.encodings(batch), micro_batch, lambda *_: None, threads)
        return gradients, gradients.embed()


def copy_of(tensors):
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def metrics(run):
    timed = ("pairs_per_second", "waiting")
    return [{key: value for key, value in json.loads(line).items() if key not in timed}
            for line in (run / "metrics.jsonl").read_text().splitlines()]


def weights(run, part="model"):
    return load_file(run / part / "model.safetensors")


# ---- who learns from what ----

def test_the_contrastive_step_reaches_the_towers_and_nothing_of_the_generator(shapes, tmp_path, open_gate):
    task, batch = ready(shapes, tmp_path)
    before = copy_of(task.beside())
    gradients, encoded = embed(task, batch)
    alone = Contrastive.loss(task, encoded, batch).total
    loss = task.loss(encoded, batch)
    assert len(encoded["generated"]) == 8
    assert loss.total.item() != alone.item()
    gradients.backward(loss.total)
    assert all(parameter.grad is not None for parameter in task.model.parameters() if parameter.requires_grad)
    trainer = task.companion.trainer
    for module in (trainer.generator, trainer.average, trainer.discriminator):
        assert all(parameter.grad is None for parameter in module.parameters())
    assert same(task.beside(), before)


def test_the_adversarial_steps_reach_no_tower_not_even_through_the_match_score(shapes, tmp_path):
    task, batch = ready(shapes, tmp_path)
    model, trainer = task.model, task.companion.trainer
    _, encoded = embed(task, batch)
    before, generator = copy_of(model.state_dict()), copy_of(trainer.generator.state_dict())
    discriminator = copy_of(trainer.discriminator.state_dict())
    figures = task.companion.learn(batch.rows, encoded["texts"], 100)  # after the warm-up
    assert "match" in figures
    assert same(copy_of(model.state_dict()), before)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert not same(copy_of(trainer.generator.state_dict()), generator)
    assert not same(copy_of(trainer.discriminator.state_dict()), discriminator)


def test_the_match_score_is_the_models_cosine_and_moves_the_picture(shapes, tmp_path):
    task, _ = ready(shapes, tmp_path)
    pixels = (torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1).requires_grad_()
    texts = unit_rows(3, 16, 0).detach()
    scores = task.companion.match(pixels, texts)
    bytes_BSS3 = ((pixels.detach() + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    expected = (torch.from_numpy(task.model.embed_pixels(bytes_BSS3)) * texts).sum(1)
    torch.testing.assert_close(scores.detach(), expected, rtol=0, atol=5e-3)  # pixels were rounded to bytes
    gradient, = torch.autograd.grad(scores.sum(), pixels)
    assert gradient.abs().sum() > 0


def test_a_generator_that_gives_nothing_changes_nothing(shapes, tmp_path, capsys):
    """Share 0: it learns beside the model, whose weights and figures are those of the plain run, bit for bit."""
    train(shapes, replace(TINY, generated_share=None), tmp_path / "plain", quiet=True)
    train(shapes, replace(TINY, generated_share=0.0), tmp_path / "beside")
    assert "experiment" not in "".join(capsys.readouterr())
    assert same(weights(tmp_path / "beside"), weights(tmp_path / "plain"))
    plain, beside = metrics(tmp_path / "plain"), metrics(tmp_path / "beside")
    assert [{key: line[key] for key in plain[place]} for place, line in enumerate(beside)] == plain
    assert "discriminator" in beside[-2]
    assert not same(weights(tmp_path / "beside", "generator"), ready(shapes, tmp_path)[0].companion.trainer.average
                    .state_dict())


# ---- what a generated pair is ----

@pytest.mark.parametrize("settings", [{}, {"soft_labels": 0.3}, {"leave_out": "any_label"}])
@pytest.mark.parametrize("weight", [1.0, 2.0])
def test_generated_pairs_count_as_pairs_of_their_own(shapes, tmp_path, open_gate, settings, weight):
    """λ = 1 is the batch with the kept pairs behind it; λ = 2 is the batch with each of them twice."""
    task, batch = ready(shapes, tmp_path, generated_weight=weight, **settings)
    images, texts, generated = (unit_rows(size, 16, seed) for seed, size in enumerate((8, 8, 6)))
    kept = [0, 1, 3, 4] * int(weight)
    longer = replace(batch, rows=[*batch.rows, *(batch.rows[place] for place in kept)],
                     captions=[*batch.captions, *(batch.captions[place] for place in kept)])
    found = task.loss({"images": images, "texts": texts, "generated": generated}, batch)
    expected = Contrastive.loss(task, {"images": torch.cat([images, generated[kept]]),
                                       "texts": torch.cat([texts, texts[kept]])}, longer)
    assert task.figures == {"generated_pairs": 6, "kept_share": 4 / 6}
    for ours, theirs in zip(torch.autograd.grad(found.total, (images, texts, generated)),
                            torch.autograd.grad(expected.total, (images, texts, generated)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    assert found.total.item() == pytest.approx(expected.total.item(), rel=1e-5)


def test_without_a_picture_that_fits_the_loss_is_that_of_the_real_pairs(shapes, tmp_path):
    task, batch = ready(shapes, tmp_path)
    images, texts = unit_rows(8, 16, 0), unit_rows(8, 16, 1)
    found = task.loss({"images": texts.detach(), "texts": texts, "generated": -texts.detach()}, batch)
    assert task.figures["kept_share"] == 0
    assert torch.equal(found.total, Contrastive.loss(task, {"images": texts.detach(), "texts": texts}, batch).total)
    assert "generated" not in task.encodings(replace(batch, progress=companion.STARTS))
    assert images.grad is None


def test_a_picture_follows_from_its_text_row_and_view_alone(shapes, tmp_path):
    task, _ = ready(shapes, tmp_path)
    texts = F.normalize(unit_rows(4, 16, 0).detach(), dim=1)
    together = task.companion.pictures(texts, [3, 5, 7, 9], 2)
    assert together.shape == (4, 3, 64, 64)
    torch.testing.assert_close(task.companion.pictures(texts[2:3], [7], 2), together[2:3], rtol=0, atol=0.04)
    assert not torch.equal(task.companion.pictures(texts, [3, 5, 7, 9], 3), together)


# ---- a run ----

def test_an_interrupted_run_continues_as_if_nothing_had_been(shapes, tmp_path, monkeypatch, open_gate, capsys):
    """Killed where generated pairs come in: model, generator and every figure are those of the undisturbed run."""
    train(shapes, TINY, tmp_path / "whole")
    assert "generated pairs are an experiment" in "".join(capsys.readouterr())
    lines = [line for line in metrics(tmp_path / "whole") if "loss" in line]
    assert [line.get("kept_share", 0) > 0 for line in lines] == [False] * 3 + [True] * 3
    save, out = loop.save_checkpoint, tmp_path / "run"
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)  # after every step
    monkeypatch.setattr(loop, "CHECKPOINT_SHARE", 1e9)

    def killed(*given):
        save(*given)
        if given[-1].steps == 4:
            raise SystemExit

    monkeypatch.setattr(loop, "save_checkpoint", killed)
    with pytest.raises(SystemExit):
        train(shapes, TINY, out, quiet=True)
    monkeypatch.setattr(loop, "save_checkpoint", save)
    torch.rand(3)
    train(shapes, TINY, out, quiet=True)
    assert same(weights(out), weights(tmp_path / "whole"))
    assert same(weights(out, "generator"), weights(tmp_path / "whole", "generator"))
    assert metrics(out) == metrics(tmp_path / "whole")
    assert Generator.from_pretrained(out / "generator").config.size == TINY.generated_size


def test_gradients_part_by_part_are_those_of_the_whole(shapes, tmp_path, open_gate):
    task, batch = ready(shapes, tmp_path)
    found = []
    for micro_batch in (8, 3):
        gradients, encoded = embed(task, batch, micro_batch)
        with preparing_thread() as gradients.threads:
            gradients.backward(task.loss(encoded, batch).total)
        found.append({name: parameter.grad for name, parameter in task.model.named_parameters()})
        task.model.zero_grad()
    for name, gradient in found[0].items():  # a rounded text moves a byte of what is drawn from it, now and then
        assert (found[1][name] - gradient).norm() < 0.01 * gradient.norm() + 1e-6, name


@pytest.mark.slow
def test_a_given_model_takes_generated_pairs_too(shapes, tmp_path, open_gate):
    save_tiny("clip", tmp_path / "clip")
    config = TrainConfig(model=str(tmp_path / "clip"), generated_share=1.0, generated_size=32,
                         batch_size=8, epochs=4, precision="fp32")
    train(shapes, config, tmp_path / "run", quiet=True)
    assert metrics(tmp_path / "run")[-2]["kept_share"] > 0


@pytest.mark.parametrize(("settings", "message"), [
    ({"generated_share": 1.5}, "generated_share is 1.5: it must lie between 0 and 1"),
    ({"generated_weight": 0.0}, "generated_weight is 0.0: it must be above 0"),
    ({"objective": "alignment"}, "generated_share is 1.0: only the objective info_nce takes generated pairs"),
])
def test_what_cannot_go_with_generated_pairs_is_refused(settings, message):
    with pytest.raises(UserError, match=message):
        replace(TINY, **settings).check()


def test_several_processes_are_refused(shapes, tmp_path):
    task, _ = ready(shapes, tmp_path)
    with pytest.raises(UserError, match="several processes share the batch: start a single one, or leave it out"):
        build.build_pairs(task.model, task.images, task.texts, [], [], TINY, object())


def test_too_few_pairs_are_refused(shapes, tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "LEAST_PAIRS", 100)
    with pytest.raises(UserError, match="too few for a generator, which needs at least 100"):
        train(shapes, TINY, tmp_path / "run", quiet=True)


def test_a_model_of_the_sigmoid_is_refused(shapes, tmp_path):
    save_tiny("siglip", tmp_path / "siglip")
    config = TrainConfig(model=str(tmp_path / "siglip"), generated_share=0.5, batch_size=8, epochs=1)
    with pytest.raises(UserError, match="trained by the sigmoid: give --objective info_nce, or leave it out"):
        train(shapes, config, tmp_path / "run", quiet=True)
