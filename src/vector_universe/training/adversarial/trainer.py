"""`AdversarialTrainer`: one step of a generator and its discriminator; no data inside.

Who learns from what:

| step | learns | from | does not learn |
|---|---|---|---|
| discriminator's | discriminator | pairs, real and generated; real pictures with others' texts | generator, encoders |
| generator's | generator | discriminator, `match`, real pictures of the texts | discriminator, encoders |

The text embeddings are detached on the way in, so that no gradient reaches the text tower; `match` passes its gradient
through the image tower to the generated picture, and the tower's own weights are left out of it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vector_universe.losses.adversarial import discriminator_hinge, generator_hinge, gradient_penalty, mismatch_hinge
from vector_universe.models.gan import Discriminator, Generator, GeneratorConfig
from vector_universe.training.adversarial.augmentation import augment
from vector_universe.training.optimisation import load_optimizer, optimizer_tensors

Match = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class AdversarialConfig:
    """Settings of adversarial training; the defaults are those that were found best on two CPU cores."""

    generator_rate: float = 1.5e-3
    """Learning rate of the generator's Adam."""
    discriminator_rate: float = 1.5e-3
    """Learning rate of the discriminator's Adam."""
    betas: tuple[float, float] = (0.5, 0.99)
    """Of both optimisers: little momentum, as the other side changes all the time."""
    ema: float = 0.998
    """Decay of the moving average of the generator, which is what is kept."""
    reconstruction: float = 10.0
    """Weight of the distance between a text's own picture and what is generated from it without noise; 0 leaves the
    generator to the discriminator alone, as befits texts that many pictures share."""
    warmup_steps: int = 0
    """Steps in which the generator learns from the texts' own pictures alone, without noise; then the discriminator
    sets in. A step of the warm-up takes a third of the time."""
    mismatch: float = 0.5
    """Weight of real pictures with others' texts among what the discriminator is to tell from real pairs."""
    match: float = 1.0
    """Weight of the match score in the generator's loss."""
    gradient_penalty: float = 0.0
    """Weight of R1 on the discriminator; with spectral normalisation it is not needed."""
    penalty_every: int = 16
    """Steps between two gradient penalties, each weighing so much more."""
    seed: int = 0
    """Every random choice follows from it and the step."""


class AdversarialTrainer:
    """A generator, its moving average, a discriminator, and their optimisers.

    Args:
        config: of the generator; the discriminator mirrors it.
        settings: of the training.
        device: where everything lies.

    Attributes:
        generator: what learns.
        average: its moving average (Yazıcı et al. 2019), which generates.
        discriminator: what it learns from.
    """

    def __init__(self, config: GeneratorConfig, settings: AdversarialConfig = AdversarialConfig(),
                 device: torch.device | str = "cpu") -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.generator = Generator(config).train()
            self.average = Generator(config).eval().requires_grad_(False)
            self.discriminator = Discriminator(config).train()
        for module in self._modules().values():
            nn.Module.to(module, device)
        self.average.load_state_dict(self.generator.state_dict())
        self.settings = settings
        self.optimizers = {
            "generator": _adam(self.generator, settings.generator_rate, settings),
            "discriminator": _adam(self.discriminator, settings.discriminator_rate, settings)}

    def step(self, pixels_B3SS: Tensor, texts_BD: Tensor, step: int, match: Match | None = None) -> dict[str, float]:
        """One step of the discriminator, then one of the generator; in the warm-up of the generator alone.

        Args:
            pixels_B3SS: real pictures in [-1, 1].
            texts_BD: unit rows, the embeddings of their texts; detached here.
            step: number of the step, which all random draws follow from.
            match: how well pictures and texts fit, (B,), differentiable in the pictures.

        Returns:
            the losses and mean scores of the step by name.
        """
        pixels_B3SS, texts_BD = pixels_B3SS.detach(), texts_BD.detach()
        noise_BZ = self.noise(len(texts_BD), step)
        if self.warming(step):
            return self._generator_step(pixels_B3SS, self.generator(texts_BD, 0 * noise_BZ), texts_BD, step, match)
        if self.settings.reconstruction:
            noise_BZ[::2] = 0  # what is generated of these is compared with the text's own picture
        generated_B3SS = self.generator(texts_BD, noise_BZ)
        return (self._discriminator_step(pixels_B3SS, generated_B3SS.detach(), texts_BD, step)
                | self._generator_step(pixels_B3SS, generated_B3SS, texts_BD, step, match))

    def warming(self, step: int) -> bool:
        """Whether the generator still learns from the texts' own pictures alone."""
        return step < self.settings.warmup_steps and self.settings.reconstruction > 0

    @torch.no_grad()
    def generate(self, texts_BD: Tensor, step: int) -> Tensor:
        """Pictures (B, 3, S, S) in [-1, 1] by the average generator, without gradient."""
        return self.average(texts_BD, self.noise(len(texts_BD), step, "generate"))

    def noise(self, rows: int, step: int, purpose: str = "step") -> Tensor:
        """Standard normal (B, Z): a function of seed, step and purpose."""
        numbers = torch.Generator().manual_seed(self._seed(step, purpose))
        return torch.randn(rows, self.generator.config.noise_width, generator=numbers).to(self.generator.device)

    def state(self) -> dict[str, Tensor]:
        """Everything that decides how training goes on, by flat names; see `load`."""
        tensors = {f"{name}.{key}": tensor for name, module in self._modules().items()
                   for key, tensor in module.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            tensors |= {f"{name}_optimizer.{key}": tensor for key, tensor in optimizer_tensors(optimizer).items()}
        return tensors

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from a `state`.

        Raises:
            RuntimeError: it is of another shape.
        """
        rooms: dict[str, dict[str, Tensor]] = {}
        for name, tensor in state.items():
            room, key = name.split(".", 1)
            rooms.setdefault(room, {})[key] = tensor
        for name, module in self._modules().items():
            module.load_state_dict(rooms[name])
        for name, optimizer in self.optimizers.items():
            load_optimizer(optimizer, rooms.get(f"{name}_optimizer", {}))

    def _discriminator_step(self, pixels_B3SS: Tensor, generated_B3SS: Tensor, texts_BD: Tensor, step: int
                            ) -> dict[str, float]:
        settings = self.settings
        penalised = settings.gradient_penalty > 0 and step % settings.penalty_every == 0
        pixels_B3SS.requires_grad_(penalised)
        features_BW = self.discriminator.features(torch.cat([
            augment(pixels_B3SS, self._seed(step, "real")), augment(generated_B3SS, self._seed(step, "generated"))]))
        of_real_BW, of_generated_BW = features_BW.chunk(2)
        real_B = self.discriminator.score(of_real_BW, texts_BD)
        generated_B = self.discriminator.score(of_generated_BW, texts_BD)
        others_BD = texts_BD.roll(1, 0)
        mismatched_B = self.discriminator.score(of_real_BW, others_BD)
        loss = discriminator_hinge(real_B, generated_B) + settings.mismatch * mismatch_hinge(
            mismatched_B, (others_BD - texts_BD).abs().amax(1) > 1e-4)
        record = {"discriminator": loss.item(), "score_real": real_B.mean().item(),
                  "score_generated": generated_B.mean().item(), "score_mismatched": mismatched_B.mean().item()}
        if penalised:
            penalty = gradient_penalty(real_B, pixels_B3SS)
            record["gradient_penalty"] = penalty.item()
            loss = loss + settings.gradient_penalty * settings.penalty_every * penalty
        self._descend("discriminator", loss)
        return record

    def _generator_step(self, pixels_B3SS: Tensor, generated_B3SS: Tensor, texts_BD: Tensor, step: int,
                        match: Match | None) -> dict[str, float]:
        settings, warming = self.settings, self.warming(step)
        record: dict[str, float] = {}
        loss = generated_B3SS.new_zeros(())
        self.discriminator.eval().requires_grad_(False)  # its norms' estimates, too, stay as they are
        if not warming:
            loss = generator_hinge(self.discriminator(augment(generated_B3SS, self._seed(step, "generator")), texts_BD))
            record["generator"] = loss.item()
        if settings.reconstruction:
            every = 1 if warming else 2
            distance = F.l1_loss(generated_B3SS[::every], pixels_B3SS[::every])
            record["reconstruction"] = distance.item()
            loss = loss + settings.reconstruction * distance
        if match is not None and not warming:  # of coloured fog it asks for patterns that mean something to it alone
            fit = match(generated_B3SS, texts_BD).mean()
            record["match"] = fit.item()
            loss = loss - settings.match * fit
        self._descend("generator", loss)
        self.discriminator.train().requires_grad_(True)
        self._update_average(step)
        return record

    def _descend(self, name: str, loss: Tensor) -> None:
        """One step of an optimiser; gradients are taken of its own weights alone, whatever else the loss went through.

        Raises:
            FloatingPointError: the loss is no number.
        """
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the {name}'s loss is {loss.item()}")
        optimizer = self.optimizers[name]
        weights = optimizer.param_groups[0]["params"]
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.grad = gradient
        optimizer.step()
        optimizer.zero_grad()

    @torch.no_grad()
    def _update_average(self, step: int) -> None:
        decay = min(self.settings.ema, (1 + step) / (10 + step))
        for mine, its in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            mine.lerp_(its, 1 - decay)

    def _modules(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "average": self.average, "discriminator": self.discriminator}

    def _seed(self, step: int, purpose: str) -> int:
        return zlib.crc32(f"{self.settings.seed} {step} {purpose}".encode())


def _adam(module: nn.Module, rate: float, settings: AdversarialConfig) -> torch.optim.Adam:
    return torch.optim.Adam(module.parameters(), lr=rate, betas=settings.betas)
