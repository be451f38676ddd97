"""Calls of many threads that become one: each gets its own result, or its own error."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tests.universe_api import write_universe
from tests.universes import WIDTH, FakeModel, png
from vector_universe.index import HasLabel, Query, Universe
from vector_universe.index.search.combining import Combining
from vector_universe.serve.served.batching import PICTURES, BatchedModel


def slow_squares(numbers):
    time.sleep(0.02)
    if any(number < 0 for number in numbers):
        raise ValueError(f"negative: {min(numbers)}")
    return [number * number for number in numbers]


def test_everyone_gets_their_own_result_in_fewer_runs():
    runs = []
    combining = Combining(slow_squares, 16, observe=lambda calls, waited: runs.append((calls, waited)))
    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(combining, range(64))) == [number * number for number in range(64)]
    assert sum(calls for calls, _ in runs) == 64
    assert len(runs) < 20
    assert max(calls for calls, _ in runs) <= 16
    assert all(waited >= 0 for _, waited in runs)


def test_nobody_waits_for_company():
    began = time.monotonic()
    assert Combining(lambda numbers: numbers, 16)(3) == 3
    assert time.monotonic() - began < 0.02


def test_an_error_reaches_the_one_who_caused_it():
    combining = Combining(slow_squares, 64)

    def call(number):
        try:
            return combining(number)
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(call, [1, -2, 3, -4, *range(5, 33)]))
    assert found[:4] == [1, "negative: -2", 9, "negative: -4"]
    assert found[4:] == [number * number for number in range(5, 33)]


def test_weights_bound_a_run_and_a_heavier_one_goes_alone():
    seen = []

    def lengths(texts):
        seen.append([len(text) for text in texts])
        time.sleep(0.01)
        return [len(text) for text in texts]

    combining = Combining(lengths, 10, len)
    with ThreadPoolExecutor(12) as pool:
        sizes = [1, 30, 4, 4, 4, 9, 2, 1, 7, 3, 25, 5]
        assert list(pool.map(combining, ["x" * size for size in sizes])) == sizes
    assert all(sum(sizes) <= 10 or len(sizes) == 1 for sizes in seen)


def test_one_run_at_a_time():
    under_way, most = 0, 0

    def run(numbers):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        time.sleep(0.002)
        under_way -= 1
        return numbers

    combining = Combining(run, 2)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(combining, range(50)))
    assert most == 1


# ---- the model ----

class Watched(FakeModel):
    """Notes how many pictures and texts each run had."""

    def __init__(self):
        super().__init__()
        self.runs = []

    def embed_pixels(self, pixels, batch_size=32):
        self.runs.append(("images", len(pixels)))
        time.sleep(0.01)
        return super().embed_pixels(pixels)

    def embed_texts(self, texts, batch_size=64):
        self.runs.append(("texts", len(texts)))
        time.sleep(0.01)
        return super().embed_texts(texts)


def test_a_batched_model_gives_the_same_vectors():
    plain, watched, seen = FakeModel(), Watched(), []
    model = BatchedModel.around(watched, lambda *run: seen.append(run))
    assert BatchedModel.around(model) is model
    assert model.fingerprint() == plain.fingerprint()

    def ask(number):
        return (model.embed_texts([f"text {number}"] * (number % 3 + 1)) if number % 2
                else model.embed_images([png(number), png(number + 1)]))

    with ThreadPoolExecutor(24) as pool:
        found = list(pool.map(ask, range(48)))
    for number, vectors in enumerate(found):
        expected = (plain.embed_texts([f"text {number}"] * (number % 3 + 1)) if number % 2
                    else plain.embed_images([png(number), png(number + 1)]))
        np.testing.assert_allclose(vectors, expected, atol=1e-6)
    assert len(watched.runs) < 48
    assert max(count for kind, count in watched.runs if kind == "images") <= PICTURES
    assert {kind for kind, _, _ in seen} == {"images", "texts"}


def test_a_broken_picture_troubles_only_its_own_request():
    model = BatchedModel.around(Watched())

    def ask(number):
        try:
            return model.embed_images([png(number) if number % 4 else b"no picture"]).shape
        except Exception as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(16)))
    assert found == [(1, WIDTH) if number % 4 else "not an image: plain text" for number in range(16)]


# ---- exact search ----

def test_searches_at_once_find_what_searches_alone_find(tmp_path):
    folder = write_universe(tmp_path / "u")
    queries = [Query.of(f"text {number}", k=5, filters=[HasLabel("all")] if number % 3 == 0 else (),
                        region=((-2, -2), (2, -2), (0, 2)) if number % 5 == 0 else ()) for number in range(40)]
    universe = Universe.open(folder, FakeModel())
    alone = [universe.search(query) for query in queries]
    together = Universe.open(folder, FakeModel())
    combined = together._nearest("image")._cosines
    runs, run = [], combined._run
    combined._run = lambda asked: (runs.append(len(asked)), time.sleep(0.005), run(asked))[2]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(together.search, queries))
    assert found == alone
    assert max(runs) > 1


def test_threads_load_a_model_once(tmp_path, monkeypatch):
    from vector_universe import models

    folder, loaded = write_universe(tmp_path / "u"), []

    def load(path):
        time.sleep(0.05)
        loaded.append(path)
        return FakeModel()

    monkeypatch.setattr(models, "load_run_model", load)
    universe = Universe.open(folder)
    threads = [threading.Thread(target=universe.search, args=("a tree",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loaded) == 1


def test_two_runs_may_be_under_way_and_no_more():
    lock, under_way, seen = threading.Lock(), 0, []

    def run(asked):
        nonlocal under_way
        with lock:
            under_way += 1
            seen.append(under_way)
        time.sleep(0.02)
        with lock:
            under_way -= 1
        return [-one for one in asked]

    combined = Combining(run, 2, at_once=2)
    found = {}
    threads = [threading.Thread(target=lambda one=one: found.update({one: combined(one)})) for one in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == {one: -one for one in range(12)}
    assert max(seen) == 2
