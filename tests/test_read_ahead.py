"""Reading ahead: in order, bounded, and ended by nothing but what is no broken image."""

from __future__ import annotations

import threading
import time
from itertools import count, islice

import pytest

from vector_universe.data.images import ImageError
from vector_universe.data.read_ahead import read_ahead


def test_results_keep_the_order_and_broken_images_their_place():
    def read(number):
        time.sleep(0.002 * (number % 3))
        if number % 5 == 2:
            raise ImageError(f"broken {number}")
        return -number

    found = list(read_ahead(read, range(40), ahead=7))
    assert [item for item, _ in found] == list(range(40))
    for item, result in found:
        if item % 5 == 2:
            assert isinstance(result, ImageError)
            assert str(result) == f"broken {item}"
        else:
            assert result == -item


@pytest.mark.parametrize("ahead", [1, 4, 64])
def test_no_more_than_asked_for_is_taken_and_an_endless_source_is_no_trouble(ahead):
    taken = []
    numbers = read_ahead(lambda number: number, (taken.append(n) or n for n in count()), ahead)
    for handed_out, (_, result) in enumerate(islice(numbers, 50)):
        assert result == handed_out
        assert len(taken) <= handed_out + ahead + 1
    numbers.close()
    assert len(taken) <= 50 + ahead


def test_other_errors_are_raised_when_their_turn_comes():
    def read(number):
        return 1 / (3 - number)

    numbers = read_ahead(read, range(9))
    assert [item for item, _ in islice(numbers, 3)] == [0, 1, 2]
    with pytest.raises(ZeroDivisionError):
        next(numbers)


def test_threads_end_with_the_reader():
    before = threading.active_count()
    numbers = read_ahead(lambda number: time.sleep(0.01), range(1000))
    next(numbers)
    started = time.perf_counter()
    numbers.close()
    assert time.perf_counter() - started < 1
    assert threading.active_count() == before
    assert list(read_ahead(len, [])) == []
