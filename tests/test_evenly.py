from vector_universe.data.evenly import evenly


def test_some_are_spread_over_all():
    assert evenly(range(10), 3) == [0, 3, 6]
    assert evenly("abcdefgh", 4) == ["a", "c", "e", "g"]


def test_all_are_taken_where_there_are_no_more():
    assert evenly([4, 5], 3) == [4, 5]
    assert evenly([], 3) == []


def test_none_twice_and_in_order():
    for size in range(1, 40):
        for count in range(1, size + 1):
            found = evenly(range(size), count)
            assert len(found) == count == len(set(found))
            assert found == sorted(found)
