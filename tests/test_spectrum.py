"""Spectrum, hubs, and the section on geometry: against slow references, real vectors, and planted collapses."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_universe import UserError, load_dataset
from vector_universe.data import Example
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.evaluators.geometry import evaluate_geometry
from vector_universe.evaluation.hubness import hubness, nearest
from vector_universe.evaluation.queries import text_queries
from vector_universe.evaluation.spectrum import spectrum_of
from vector_universe.evaluation.subject import Subject
from vector_universe.evaluation.whitening import judge_post_processing
from vector_universe.models.post_processing import PostProcessing

CLIP_FACTS = Path(__file__).parents[2] / "shared" / "data" / "clip-facts" / "lvis_v1_clip_a+cname.npy"
FEW_DRAWS = EvaluateConfig(draws=100)


def unit(rows_ND):
    return (rows_ND / np.linalg.norm(rows_ND, axis=1, keepdims=True)).astype(np.float32)


def rows(seed, count=40, width=16, cone=0.0):
    return unit(np.random.default_rng(seed).normal(size=(count, width)) + cone)


def silent(stage, done, total):
    pass


# ---- the spectrum ----


@pytest.mark.skipif(not CLIP_FACTS.is_file(), reason="needs the vectors of ../shared/data/clip-facts")
def test_real_clip_vectors_have_the_figures_that_are_known_of_them():
    found = spectrum_of(np.load(CLIP_FACTS))  # as they are: half precision, of any length
    assert found.mean_cosine == pytest.approx(0.743, abs=5e-4)
    assert found.effective_rank == pytest.approx(6.8, abs=0.05)
    assert found.centred_effective_rank == pytest.approx(193, abs=0.5)
    assert found.mean_norm == pytest.approx(0.743**0.5, abs=1e-3)
    assert found.count == 1203


@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.integers(1, 30))
def test_it_equals_the_definition(seed, count, width):
    vectors = np.random.default_rng(seed).normal(size=(count, width)) + 0.5
    unit_ND = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = spectrum_of(vectors)
    eigenvalues = np.linalg.eigvalsh(sum(np.outer(row, row) for row in unit_ND) / count)[::-1]
    np.testing.assert_allclose(found.shares, eigenvalues[:min(count, width)], atol=1e-9)  # the trace is 1
    cosines = [unit_ND[i] @ unit_ND[j] for i in range(count) for j in range(count) if i != j]
    assert found.mean_cosine == pytest.approx(np.mean(cosines), abs=1e-9)
    assert 1 - 1e-6 <= found.effective_rank <= min(count, width) + 1e-6


def test_centring_is_what_post_processing_does():
    vectors = rows(0, cone=1.0)
    centred = unit(vectors - vectors.mean(axis=0))
    assert spectrum_of(vectors).centred_effective_rank == pytest.approx(spectrum_of(centred).effective_rank, rel=1e-4)


def test_known_cases():
    assert spectrum_of(np.eye(6)).effective_rank == pytest.approx(6)
    same = spectrum_of(np.ones((5, 4)))
    assert (same.effective_rank, same.mean_cosine, same.mean_norm) == pytest.approx((1, 1, 1))
    assert np.isnan(same.centred_effective_rank)
    assert np.isnan(spectrum_of(np.ones((1, 4))).mean_cosine)
    assert spectrum_of(np.array([[3.0, 0], [0, 0.1]])).effective_rank == pytest.approx(2)  # lengths do not count


@pytest.mark.parametrize(("vectors", "message"), [
    (np.ones(3), "give a matrix"), (np.ones((0, 3)), "give a matrix"),
    (np.array([[1.0, 0], [0, 0]]), "the first is row 1"), (np.array([[np.nan, 0], [1, 0]]), "the first is row 0"),
])
def test_what_is_no_set_of_vectors_is_refused(vectors, message):
    with pytest.raises(UserError, match=message):
        spectrum_of(vectors)


# ---- hubs ----


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.sampled_from([5, 12, 60]))
def test_nearest_are_those_of_a_stable_sort(seed, k, count):
    cosines = np.random.default_rng(seed).integers(0, 6, (7, count)) / 6  # ties on purpose
    expected = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(nearest(cosines, k), expected)


def test_hubness_equals_the_definition():
    queries, candidates = rows(0, 30), rows(1, 25)
    found = hubness(queries, candidates, 4)
    counts = np.zeros(25)
    for query in queries:
        for place in sorted(range(25), key=lambda place: -float(query @ candidates[place]))[:4]:
            counts[place] += 1
    np.testing.assert_array_equal(found.counts_N, counts)
    spread = np.sqrt(np.mean((counts - counts.mean())**2))
    assert found.skewness == pytest.approx(np.mean((counts - counts.mean())**3) / spread**3)
    assert found.never == np.mean(counts == 0)
    assert (found.hub, found.queries, found.k) == (counts.argmax(), 30, 4)


def test_a_candidate_at_the_centre_of_all_queries_is_the_hub():
    queries = rows(0, 200, cone=1.0)
    candidates = np.concatenate([rows(1, 60), unit(queries.mean(axis=0, keepdims=True))])
    found = hubness(queries, candidates, 5)
    assert (found.hub, found.counts_N[60]) == (60, 198)
    assert found.skewness > 3 > found.chance_skewness
    assert found.never > found.chance_never


def test_chance_levels_are_those_of_random_neighbours():
    draw = np.random.default_rng(0)
    drawn = [np.bincount(np.concatenate([draw.permutation(40)[:3] for _ in range(30)]), minlength=40)
             for _ in range(400)]
    found = hubness(rows(0, 30), rows(1, 40), 3)
    assert found.chance_never == pytest.approx(np.mean([np.mean(counts == 0) for counts in drawn]), abs=0.01)
    skewed = np.concatenate(drawn)
    assert found.chance_skewness == pytest.approx(np.mean((skewed - skewed.mean())**3) / skewed.std()**3, abs=0.05)


def test_too_few_candidates_or_no_query_have_no_hubs():
    assert hubness(rows(0), rows(1, 10), 10) is None
    assert hubness(rows(0)[:0], rows(1), 3) is None
    even = hubness(np.eye(6, dtype=np.float32), np.eye(6, dtype=np.float32), 1)
    assert (even.skewness, even.never) == (0, 0)


# ---- the section ----


@pytest.fixture(scope="module")
def subject(small_model, small_folder):
    return Subject.of(small_model, load_dataset(small_folder))


def test_the_section_has_what_it_promises(subject):
    section = evaluate_geometry(subject, FEW_DRAWS, silent)
    assert section.name == "geometry"
    assert {figure.test for figure in section.figures} == {"test", "all"}
    pair, off = (section.figure("all", name) for name in ("pair cosine", "off-pair cosine"))
    assert pair.low <= pair.value <= pair.high
    assert pair.value > off.value
    texts = subject.embed_texts([example.texts[0] for example in subject.examples])
    assert pair.value == pytest.approx(np.mean(np.sum(subject.images_ND * texts, axis=1)), abs=1e-5)
    assert section.figure("all", "image effective rank").value == spectrum_of(subject.images_ND).effective_rank
    assert [plot.title for plot in section.plots] == ["Spectrum", "Cosines"]
    for curve in section.plots[1].curves:
        assert np.sum(curve.y) * (curve.x[1] - curve.x[0]) == pytest.approx(1, abs=1e-4)
    assert section.warnings == ()
    assert [row[0] for row in section.tables[0].rows] == ["none", "centre", "whiten"]


def test_one_picture_has_no_geometry(subject):
    assert evaluate_geometry(replace(subject, examples=subject.examples[:1], images_ND=subject.images_ND[:1]),
                             FEW_DRAWS, silent) is None


def test_a_collapse_is_named(subject):
    point = np.tile(subject.images_ND[:1], (len(subject.examples), 1))
    section = evaluate_geometry(replace(subject, images_ND=point), FEW_DRAWS, silent)
    assert "the images lie in a narrow cone: effective rank 1.0" in section.warnings[0]
    assert "no nearer than strangers" in section.warnings[1]


# ---- post-processing, judged ----


class Plain:
    """A model that is asked for texts alone, and gives what it was told."""

    post_processing = fusion = None

    def __init__(self, texts):
        self.vectors = texts

    def embed_texts(self, texts):
        return np.stack([self.vectors[text] for text in texts])


def coned(bias=2.0, noise=0.6, count=400, width=24, seed=0):
    """Pairs that share what is theirs, in cones of their own; few directions carry most of what is not theirs."""
    draw = np.random.default_rng(seed)
    examples = [Example(str(number), b"", [f"text {number}"], [], "train" if number < count // 2 else "validation")
                for number in range(count)]
    own = draw.normal(size=(count, width))
    wide = np.where(np.arange(width) < 3, 6.0, 1.0)
    images, texts = (unit((own + noise * draw.normal(size=own.shape)) * wide + bias * draw.normal(size=width) * 4)
                     for _ in range(2))
    model = Plain({example.texts[0]: row for example, row in zip(examples, texts, strict=True)})
    return Subject("made", model, None, examples, images, [])


def test_what_helps_is_kept():
    subject = coned()
    found = judge_post_processing(subject, draws=200)
    none, centre, whiten = found.rows
    assert none.gain is None
    assert whiten.gain.low > 0
    assert found.kept.kind == "whiten"
    assert whiten.text_to_image_mrr > centre.text_to_image_mrr > none.text_to_image_mrr
    # what was measured is what the kept module gives
    held = subject.places("validation")
    texts = found.kept.apply_to(subject.embed_texts([subject.examples[place].texts[0] for place in held]), "text")
    cosines = texts @ found.kept.apply_to(subject.images_ND[held], "image").T
    ranks = 1 + np.sum(cosines > cosines.diagonal()[:, None] + 1e-6, axis=1)
    assert whiten.text_to_image_mrr == pytest.approx(np.mean(1 / ranks), abs=1e-6)
    assert whiten.text_to_image_at_10 == pytest.approx(np.mean(ranks <= 10))
    back = 1 + np.sum(cosines > cosines.diagonal() + 1e-6, axis=0)
    both = (np.mean(1 / ranks) + np.mean(1 / back)) / 2
    assert whiten.gain.value == pytest.approx(both - (none.text_to_image_mrr + none.image_to_text_mrr) / 2, abs=1e-6)


def test_only_the_train_split_is_fitted_on():
    subject = coned()
    changed = subject.images_ND.copy()
    changed[subject.places("validation")] = rows(9, 200, 24)
    one, other = (judge_post_processing(one, draws=100) for one in (subject, replace(subject, images_ND=changed)))
    assert other.rows != one.rows
    assert other.kept is None  # the pairs of validation are none any more
    assert one.fit_images == other.fit_images == 200


def test_what_does_not_help_is_not_kept():
    draw = np.random.default_rng(0)
    subject = coned()
    own = draw.normal(size=(400, 24))
    texts = unit(own + 0.7 * draw.normal(size=own.shape))
    even = Subject("made", Plain({f"text {number}": row for number, row in enumerate(texts)}), None, subject.examples,
                   unit(own), [])
    found = judge_post_processing(even, draws=200)
    assert found.kept is None
    assert [row[-1] for row in found.table().rows] == ["yes", "", ""]


def test_what_cannot_be_judged_is_said():
    subject = coned()
    train = [example for example in subject.examples if example.split == "train"]
    found = judge_post_processing(replace(subject, examples=train, images_ND=subject.images_ND[:200]), draws=100)
    assert (found.rows, found.kept, found.table()) == ((), None, None)
    assert "no validation split" in found.remarks[0]
    few = judge_post_processing(coned(count=60), draws=100)
    assert "30 images and 30 texts for 24 dimensions, which is few" in few.remarks[0]
    subject.model.post_processing = PostProcessing("centre", 24)
    assert "go through centring already" in judge_post_processing(subject).remarks[0]
    fused = coned()
    fused.model.fusion = object()
    found = judge_post_processing(fused, draws=100)
    assert found.kept is None
    assert "fusion head" in found.remarks[-1]
    same = judge_post_processing(replace(coned(), images_ND=np.tile(rows(0, 1, 24), (400, 1))), draws=100)
    assert len(same.rows) == 3  # one side's collapse leaves the other's directions


def test_texts_that_several_images_carry_are_asked_once():
    subject = coned(count=6)
    subject.examples[4] = replace(subject.examples[4], texts=["text 3", "another", "another"])
    found = text_queries(subject, subject.places("validation"))
    assert found.texts == ["text 3", "another", "text 5"]
    assert found.right == [[0, 1], [1], [2]]
    assert (found.units, found.images) == (["3", "4", "5"], ["3", "4", "5"])


def test_settings_of_an_evaluation_stay_light():
    code = "import sys, vector_universe.cli; print(any(m in sys.modules for m in ('sklearn', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          check=True).stdout.strip() == "False"
