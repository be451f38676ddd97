"""Retention: blends of a model before and after tuning, and which of them to take."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.pictures import COLOURS
from tests.pretrained import save_tiny
from vector_universe import DualEncoder, UserError, load_dataset
from vector_universe.data import ImageTextDataset, read_pixels
from vector_universe.evaluation.evaluators.retrieval import retrieval_by_split
from vector_universe.evaluation.subject import Subject
from vector_universe.losses import InfoNCE
from vector_universe.models import Adaptation, DualEncoderConfig, adapt, merge
from vector_universe.training.retention import Sweep, SweepRow, blend, domain_figure, general_figure, sweep


def states():
    torch.manual_seed(0)
    make = lambda: {"weight": torch.randn(40, 30), "half": torch.randn(50).bfloat16(),  # noqa: E731
                    "scale": torch.randn(()), "count": torch.tensor(3)}
    base, tuned = make(), make()
    base["weight"][0, 0] = -0.0
    tuned["count"] += 1
    return base, tuned


def bits(tensor):
    return tensor.contiguous().view(-1).view(torch.uint8)


def test_the_ends_are_base_and_tuned_to_the_bit():
    base, tuned = states()
    for alpha, expected in ((0, base), (1, tuned), (0.0, base), (1.0, tuned)):
        blended = blend(base, tuned, alpha)
        assert list(blended) == list(tuned)
        for name in ("weight", "half", "scale"):
            assert blended[name].dtype == tuned[name].dtype
            assert torch.equal(bits(blended[name]), bits(expected[name]))
            assert blended[name].data_ptr() != expected[name].data_ptr()
        assert blended["count"] == tuned["count"]


@pytest.mark.parametrize("alpha", [0.1, 0.25, 0.5, 0.9])
def test_it_is_linear_in_between(alpha):
    base, tuned = states()
    blended = blend(base, tuned, alpha)
    for name, tolerance in (("weight", 1e-6), ("scale", 1e-6), ("half", 2 ** -8)):
        reference = (1 - alpha) * base[name].double() + alpha * tuned[name].double()
        assert torch.allclose(blended[name].double(), reference, rtol=tolerance, atol=1e-7)


def test_models_that_differ_are_refused():
    base, tuned = states()
    with pytest.raises(ValueError, match="count of the base"):
        blend(base, {name: tensor for name, tensor in tuned.items() if name != "count"}, 0.5)
    with pytest.raises(ValueError, match=r"weight is \(40, 30\) in the base and \(40, 31\)"):
        blend(base, tuned | {"weight": torch.zeros(40, 31)}, 0.5)
    for alpha in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="must be between 0"):
            blend(base, tuned, alpha)


ROWS = (SweepRow(0.0, 0.20, 0.800), SweepRow(0.5, 0.60, 0.799), SweepRow(0.7, 0.60, 0.793), SweepRow(0.8, 0.65, 0.791),
        SweepRow(1.0, 0.90, 0.300))


def test_the_recommended_one_is_the_best_that_keeps_enough():
    assert Sweep(ROWS).recommended == 0.5  # .7 is as good at less retention; .8 keeps 98.9 %
    assert Sweep(ROWS, keep=0.985).recommended == 0.8
    assert Sweep(ROWS, keep=0.0).recommended == 1.0
    assert Sweep(ROWS, keep=1.0).recommended == 0.0
    assert Sweep((SweepRow(0, 0.5, 0.5), SweepRow(1, 0.4, 0.9))).recommended == 0  # tuning made it worse
    assert Sweep((SweepRow(0, 0.1, 0.0), SweepRow(1, 0.4, 0.0))).recommended == 1  # nothing to lose
    tie = (SweepRow(0, 0.4, 0.5), SweepRow(0.5, 0.4, 0.5), SweepRow(1, 0.4, 0.6))
    assert Sweep(tie).recommended == 1
    assert Sweep(tie[:2]).recommended == 0


def test_the_table_and_the_dict_say_it_all():
    lines = Sweep(ROWS).table().splitlines()
    assert len(lines) == 6
    assert [line for line in lines if "←" in line] == [" 0.50    0.600    0.799   99.9%  ← best that keeps 99%"]
    assert Sweep(ROWS).as_dict()["recommended"] == 0.5
    assert Sweep(ROWS).as_dict()["rows"][1] == {"alpha": 0.5, "domain": 0.6, "general": 0.799}
    assert "–" in Sweep((SweepRow(0, 0.1, 0.0),)).table()


def tiny_clip(tmp_path):
    save_tiny("clip", tmp_path)
    return DualEncoder.from_pretrained(tmp_path).eval()


def shifted(model, by=0.01):
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(by)
    return model


def test_a_sweep_measures_every_blend_and_gives_the_weights_back(tmp_path):
    base, tuned = tiny_clip(tmp_path), shifted(tiny_clip(tmp_path)).train()
    before = {name: tensor.clone() for name, tensor in tuned.state_dict().items()}
    seen = []

    def domain(model):
        assert not model.training
        seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return float(len(seen))

    found = sweep(base, tuned, domain, lambda model: model.logit_scale.item(), alphas=(1, 0.5, 0, 0.5))
    assert [row.alpha for row in found.rows] == [0, 0.5, 1]
    scales = torch.tensor([row.general for row in found.rows])
    assert torch.allclose(scales, base.logit_scale + torch.tensor([0, 0.005, 0.01]), atol=1e-6)  # it is blended too
    for state, alpha in zip(seen, (0, 0.5, 1), strict=True):
        expected = blend(base.state_dict(), before, alpha)
        assert all(torch.equal(state[name], expected[name]) for name in expected)
    assert tuned.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in tuned.state_dict().items())

    def broken(model):
        raise RuntimeError("no figure")

    with pytest.raises(RuntimeError, match="no figure"):
        sweep(base, tuned, domain, broken)
    with pytest.raises(ValueError, match="figure is nan"):
        sweep(base, tuned, lambda model: float("nan"), lambda model: 0.0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in tuned.state_dict().items())


def test_impossible_sweeps_are_refused(tmp_path):
    model = tiny_clip(tmp_path)
    with pytest.raises(ValueError, match="0, the base, must be among them"):
        sweep(model, model, lambda _: 0.0, lambda _: 0.0, alphas=(0.5, 1))
    with pytest.raises(ValueError, match="keep is 99"):
        sweep(model, model, lambda _: 0.0, lambda _: 0.0, keep=99)


def test_an_adapted_model_is_blended_once_merged(tmp_path):
    base = tiny_clip(tmp_path)
    tuned = shifted(adapt(tiny_clip(tmp_path), Adaptation("lora", "lora", rank=2)))
    with pytest.raises(ValueError, match=r"merge\(model\) first"):
        sweep(base, tuned, lambda _: 0.0, lambda _: 0.0)
    merge(tuned)
    texts = ["ab", "cd"]
    found = sweep(base, tuned, lambda model: float(model.embed_texts(texts)[0, 0]), lambda _: 1.0, alphas=(0, 1))
    assert found.rows[0].domain == pytest.approx(float(base.embed_texts(texts)[0, 0]), abs=1e-6)
    assert found.rows[1].domain == pytest.approx(float(tuned.embed_texts(texts)[0, 0]), abs=1e-6)
    assert found.rows[0].domain != found.rows[1].domain


def test_shared_weights_are_blended_once(tmp_path):
    base, tuned = tiny_clip(tmp_path), shifted(tiny_clip(tmp_path))
    for model in (base, tuned):
        model.towers.extra = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
        model.towers.extra[1].weight = model.towers.extra[0].weight
    middle = blend(base.state_dict(), tuned.state_dict(), 0.5)["towers.extra.0.weight"]
    seen = []
    sweep(base, tuned, lambda model: seen.append(model.towers.extra[1].weight.clone()) or 0.0, lambda _: 0.0,
          alphas=(0, 0.5))
    assert torch.equal(seen[1], middle)


def test_figures_are_those_of_the_evaluation(small_folder, small_model):
    dataset = load_dataset(small_folder)
    figures = retrieval_by_split(Subject.of(small_model, dataset)).text_to_image
    assert domain_figure(small_model, dataset) == figures["validation"].recall_at_10
    assert general_figure(small_model, dataset) == figures["test"].recall_at_10
    without = [replace(example, split=split) for example in dataset for split in [example.split] if split != "test"]
    without_test = ImageTextDataset.from_examples(without, name="rest", source="rest")
    as_one = ImageTextDataset.from_examples([replace(example, split="test") for example in without], name="one",
                                            source="one")
    expected = retrieval_by_split(Subject.of(small_model, as_one)).text_to_image["test"].recall_at_10
    assert general_figure(small_model, without_test) == expected
    with pytest.raises(UserError, match="no validation images"):
        domain_figure(small_model, dataset.split("train"))


def fit(model, pixels, texts, steps, rate):
    torch.manual_seed(0)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    batch = model.normalise_pixels(torch.from_numpy(pixels))
    groups = torch.arange(len(texts))
    for _ in range(steps):
        images_BD, texts_BD = model(batch, *model.tokenize(texts))
        optimizer.zero_grad()
        InfoNCE()(images_BD, texts_BD, model.logit_scale, groups, groups).total.backward()
        optimizer.step()
    return model.eval()


def test_a_model_that_forgets_shows_the_trade_off(small_folder):
    """It learns shapes of three colours, then those of the other three alone."""
    dataset = load_dataset(small_folder)
    pixels = read_pixels(dataset, 64)
    texts = [example.prompts[0] for example in pixels.examples]
    first_colours = [place for place, text in enumerate(texts) if text.split()[1] in list(COLOURS)[:3]]
    others = [place for place in range(len(texts)) if place not in first_colours]

    def recall(places):
        def figure(model):
            cosines = model.embed_texts([texts[i] for i in places]) @ model.embed_pixels(pixels.array[places]).T
            return float((cosines.argmax(axis=1) == range(len(places))).mean())
        return figure

    torch.manual_seed(0)
    base = DualEncoder.from_scratch(texts * 2, DualEncoderConfig(embedding_width=64, image_tower="vit"))
    fit(base, pixels.array[first_colours], [texts[i] for i in first_colours], steps=20, rate=3e-3)
    tuned = DualEncoder(base.config)
    tuned.tokenizer = base.tokenizer
    tuned.load_state_dict(base.state_dict())
    fit(tuned, pixels.array[others], [texts[i] for i in others], steps=14, rate=5e-3)
    found = sweep(base, tuned, recall(others), recall(first_colours), alphas=(0, 0.25, 0.5, 0.75, 1))
    assert found.rows[-1].domain > found.rows[0].domain + 0.4
    assert found.rows[-1].general < found.rows[0].general - 0.1
    assert found.recommended < 1
    assert Sweep(found.rows, keep=0).recommended > 0
