"""A generator and its discriminator: who learns from what, bit for bit; augmentation; noise; and the state."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vector_universe.errors import UserError
from vector_universe.models.gan import Discriminator, Generator, GeneratorConfig
from vector_universe.models.gan.generator import QuietConv2d, QuietLinear, noise_of, to_bytes, to_pixels
from vector_universe.training.adversarial.augmentation import augment
from vector_universe.training.adversarial.trainer import AdversarialConfig, AdversarialTrainer

TINY = GeneratorConfig(size=32, text_width=6, noise_width=4, channels=8, narrowest=4, condition_width=8)
PENALISED = AdversarialConfig(gradient_penalty=1.0, penalty_every=2)


def batch(rows: int = 6) -> tuple[Tensor, Tensor]:
    numbers = torch.Generator().manual_seed(1)
    texts_BD = torch.randn(rows, TINY.text_width, generator=numbers)
    return torch.rand(rows, 3, 32, 32, generator=numbers) * 2 - 1, F.normalize(texts_BD, dim=1)


def tensors(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(before: dict[str, Tensor], module: nn.Module) -> bool:
    return all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


class Towers(nn.Module):
    """A stand-in for a contrastive model, whose weights could learn."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.text = nn.Linear(3 * 32 * 32, TINY.text_width), nn.Linear(5, TINY.text_width)

    def match(self, pixels_B3SS: Tensor, texts_BD: Tensor) -> Tensor:
        return (F.normalize(self.image(pixels_B3SS.flatten(1)), dim=1) * texts_BD).sum(1)


def test_the_discriminators_step_changes_the_discriminator_alone():
    trainer, (pixels, texts) = AdversarialTrainer(TINY, PENALISED), batch()
    before = {name: tensors(module) for name, module in trainer._modules().items()}
    generated = trainer.generator(texts, trainer.noise(len(texts), 0))
    trainer._discriminator_step(pixels, generated, texts, 0)  # not even detached
    assert same(before["generator"], trainer.generator)
    assert same(before["average"], trainer.average)
    assert not same(before["discriminator"], trainer.discriminator)
    assert all(weight.grad is None for weight in trainer.generator.parameters())


def test_the_generators_step_changes_the_generator_and_its_average_alone():
    trainer, (pixels, texts), towers = AdversarialTrainer(TINY), batch(), Towers()
    before = {name: tensors(module) for name, module in trainer._modules().items()}
    seen = tensors(towers)
    generated = trainer.generator(texts, trainer.noise(len(texts), 0))
    trainer._generator_step(pixels, generated, texts, 0, towers.match)
    assert same(before["discriminator"], trainer.discriminator)
    assert same(seen, towers)
    assert not same(before["generator"], trainer.generator)
    assert not same(before["average"], trainer.average)
    for module in (trainer.discriminator, towers):
        assert all(weight.grad is None for weight in module.parameters())
    assert trainer.discriminator.training
    assert all(weight.requires_grad for weight in trainer.discriminator.parameters())


def test_no_gradient_of_a_step_reaches_the_encoders():
    trainer, towers = AdversarialTrainer(TINY, PENALISED), Towers()
    pixels, _ = batch()
    texts = F.normalize(towers.text(torch.randn(len(pixels), 5)), dim=1)  # still joined to the text tower
    pixels.requires_grad_()
    for step in range(2):
        trainer.step(pixels, texts, step, towers.match)
    assert all(weight.grad is None for weight in towers.parameters())
    assert pixels.grad is None


def test_the_match_reaches_the_generator():
    trainers = [AdversarialTrainer(TINY) for _ in range(2)]
    towers, (pixels, texts) = Towers(), batch()
    trainers[0].step(pixels, texts, 0)
    trainers[1].step(pixels, texts, 0, towers.match)
    assert same(tensors(trainers[0].discriminator), trainers[1].discriminator)
    assert not same(tensors(trainers[0].generator), trainers[1].generator)


def test_the_warm_up_leaves_the_discriminator_out():
    trainer, (pixels, texts) = AdversarialTrainer(TINY, AdversarialConfig(warmup_steps=2)), batch()
    before = {name: tensors(module) for name, module in trainer._modules().items()}
    assert trainer.step(pixels, texts, 1, Towers().match).keys() == {"reconstruction"}
    assert same(before["discriminator"], trainer.discriminator)
    assert not same(before["generator"], trainer.generator)
    assert {"reconstruction", "discriminator", "generator"} <= trainer.step(pixels, texts, 2).keys()


def test_generating_changes_nothing_and_has_no_gradient():
    trainer, (_, texts) = AdversarialTrainer(TINY), batch()
    before = {name: tensors(module) for name, module in trainer._modules().items()}
    generated = trainer.generate(texts, 3)
    assert not generated.requires_grad
    assert generated.shape == (6, 3, 32, 32)
    assert generated.abs().max() <= 1
    assert all(same(before[name], module) for name, module in trainer._modules().items())


def test_a_run_that_goes_on_from_its_state_ends_bit_for_bit_as_one_undisturbed():
    (pixels, texts), whole, half = batch(), AdversarialTrainer(TINY, PENALISED), AdversarialTrainer(TINY, PENALISED)
    for step in range(4):
        whole.step(pixels, texts, step)
    for step in range(2):
        half.step(pixels, texts, step)
    kept = {name: tensor.clone() for name, tensor in half.state().items()}
    other = AdversarialTrainer(TINY, PENALISED)
    torch.manual_seed(99)  # what else was drawn is of no account
    other.load(kept)
    for step in range(2, 4):
        other.step(pixels, texts, step)
    wanted, found = whole.state(), other.state()
    assert wanted.keys() == found.keys()
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)


def test_a_new_generator_learns_a_picture_by_heart():
    pixels, texts = batch(4)
    pixels = (F.avg_pool2d(pixels, 16) * 2).clamp(-1, 1).repeat_interleave(16, 2).repeat_interleave(16, 3)
    trainer = AdversarialTrainer(TINY, AdversarialConfig(generator_rate=1e-2))
    distances = [trainer.step(pixels, texts, step)["reconstruction"] for step in range(25)]
    assert sum(distances[-5:]) < 0.5 * sum(distances[:5])


def test_a_loss_that_is_no_number_stops_before_the_weights_are_spoilt():
    trainer, (pixels, texts) = AdversarialTrainer(TINY), batch()
    before = tensors(trainer.discriminator)
    with pytest.raises(FloatingPointError, match="discriminator's loss is nan"):
        trainer.step(torch.full_like(pixels, float("nan")), texts, 0)
    weights = dict(trainer.discriminator.named_parameters())
    assert all(torch.equal(before[name], weight) for name, weight in weights.items())


# ---- the generator ----


def test_a_picture_depends_on_its_own_text_seed_and_truncation_alone():
    torch.manual_seed(0)
    generator, (_, texts) = Generator(TINY).eval(), batch()
    with torch.no_grad():
        generator.to_pixels.weight.mul_(3)
    together = generator.sample(texts, range(6), 0.7)
    alone = generator.sample(texts[4:5], [4], 0.7)
    assert together.dtype == torch.uint8
    assert together.shape == (6, 32, 32, 3)
    assert (together[4].int() - alone[0].int()).abs().max() <= 1  # sums of another order, before rounding
    assert torch.equal(together, generator.sample(texts, range(6), 0.7))
    assert not torch.equal(together, generator.sample(texts, range(1, 7), 0.7))
    assert not torch.equal(together, generator.sample(texts.roll(1, 0), range(6), 0.7))


def test_a_generator_begins_without_sketch_modulation_and_blocks():
    generator, (_, texts) = Generator(TINY), batch()
    quiet = [module.weight for module in generator.modules() if isinstance(module, QuietLinear | QuietConv2d)]
    assert len(quiet) == 1 + 3 * len(generator.blocks) + 1
    assert all((weight == 0).all() for weight in quiet)
    pixels = generator(texts, torch.randn(6, 4))
    assert pixels.std(0).mean() > 0.05  # the start alone tells texts apart
    pixels.sum().backward()
    first = [generator.sketch, generator.norm.modulation, *(block.conv_out for block in generator.blocks)]
    assert all((module.weight.grad != 0).any() for module in first)  # the others follow once these have moved


def test_truncation_0_draws_the_same_picture_from_every_seed():
    torch.manual_seed(0)
    generator, (_, texts) = Generator(TINY).eval(), batch()
    assert torch.equal(generator.sample(texts, range(6), 0.0), generator.sample(texts, range(10, 16), 0.0))


def test_noise_is_cut_at_two_standard_deviations():
    noise = torch.stack([noise_of(seed, 64) for seed in range(50)])
    assert noise.abs().max() <= 2
    assert abs(noise.mean()) < 0.05
    assert 0.8 < noise.std() < 0.95


def test_a_generator_comes_back_from_disk(tmp_path):
    torch.manual_seed(0)
    generator, (_, texts) = Generator(TINY).eval(), batch()
    generator.save_pretrained(tmp_path)
    back = Generator.from_pretrained(tmp_path)
    assert torch.equal(back.sample(texts, range(6)), generator.sample(texts, range(6)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_bytes_and_pixels_are_the_same_picture():
    bytes_1SS3 = torch.arange(256, dtype=torch.uint8).repeat(3).reshape(1, 16, 16, 3)
    assert torch.equal(to_bytes(to_pixels(bytes_1SS3)), bytes_1SS3)


@pytest.mark.parametrize("size", [32, 64, 128])
def test_generator_and_discriminator_fit_each_other(size):
    config = GeneratorConfig(size=size, text_width=6, noise_width=4, channels=8, narrowest=4, condition_width=8)
    texts = batch(2)[1]
    pixels = Generator(config)(texts, torch.zeros(2, 4))
    assert pixels.shape == (2, 3, size, size)
    assert Discriminator(config)(pixels, texts).shape == (2,)


def test_a_size_that_cannot_be_drawn_is_refused():
    with pytest.raises(UserError, match="48: choose 32, 64, 128"):
        Generator(GeneratorConfig(size=48))


def test_no_layer_of_the_discriminator_stretches_much():
    torch.manual_seed(0)
    discriminator, (pixels, texts) = Discriminator(TINY).train(), batch()
    for _ in range(30):
        discriminator(pixels, texts)  # each pass goes on with the power iteration
    for name, layer in discriminator.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2) < 1.1, name


# ---- augmentation ----


def test_augmentation_follows_from_its_seed_and_is_each_rows_own():
    pixels, _ = batch()
    once = augment(pixels, 5)
    assert torch.equal(once, augment(pixels, 5))
    assert not torch.equal(once, augment(pixels, 6))
    other = pixels.clone()
    other[0] = -other[0]
    assert torch.equal(augment(other, 5)[1:], once[1:])
    alike = augment(pixels[:1].repeat(6, 1, 1, 1), 5)
    assert all(not torch.equal(alike[0], row) for row in alike[1:])


def test_gradients_pass_through_augmentation_where_a_picture_is_seen():
    torch.manual_seed(0)
    pixels = torch.rand(1, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: augment(x, 3), (pixels,))
    augment(pixels, 3).sum().backward()
    assert (pixels.grad != 0).any((1, 2, 3)).all()


def test_augmentation_hides_a_square_and_moves_by_an_eighth_at_most():
    torch.manual_seed(0)
    pixels = torch.full((200, 3, 32, 32), 0.5)
    changed = augment(pixels, 0)
    hidden = (changed == 0).all(1).float().mean((1, 2))
    assert hidden.max() < 0.25 + 0.25
    assert (hidden > 0).all()
    assert 0.1 < hidden.mean() < 0.35
