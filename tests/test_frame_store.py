"""Frames: the same bits kept or decoded late, within the budget, and nothing left behind."""

from __future__ import annotations

import errno
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from vector_universe.data import Example, Framing, ImageError, frame_store
from vector_universe.data.frame_store import FrameStore, decode_frame

PLENTY = 10**9
SHAPES = [(64, 48), (40, 40), (300, 90), (90, 300), (500, 20), (33, 65)]


def encoded(width, height, format="PNG"):
    noise = np.random.default_rng(width + 1000 * height).integers(0, 256, (height, width, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).filter(ImageFilter.GaussianBlur(1)).save(buffer, format)
    return buffer.getvalue()


def examples(*broken):
    """One of each shape, with broken pictures at these places."""
    found = [Example(f"{width}x{height}", encoded(width, height, "JPEG" if width > 99 else "PNG"), ["x"], [])
             for width, height in SHAPES]
    for place in broken:
        found.insert(place, Example(f"broken {place}", encoded(64, 64)[:500], ["x"], []))
    return found


@settings(max_examples=80)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(8, 60), st.integers(0, 12),
       st.sampled_from(["bicubic", "bilinear", "lanczos"]), st.sampled_from(["PNG", "JPEG"]))
def test_the_middle_of_a_frame_is_what_the_model_sees(width, height, size, margin, resampling, format):
    framing = Framing(size, "crop", size + margin if margin else None, resampling)
    source = encoded(width, height, format)
    frame = decode_frame(source, framing)
    assert frame.dtype == np.uint8
    assert min(frame.shape[:2]) == size + margin
    assert max(frame.shape[:2]) <= 2 * (size + margin)
    top, left = (frame.shape[0] - size) // 2, (frame.shape[1] - size) // 2
    assert np.array_equal(frame[top:top + size, left:left + size], framing.pixels(source))


def test_a_frame_is_the_whole_picture_resized():
    image = Image.open(io.BytesIO(encoded(150, 100)))
    frame = decode_frame(encoded(150, 100), Framing(40, "crop"))
    assert frame.shape == (40, 60, 3)
    whole = np.asarray(image.resize((60, 40), Image.Resampling.BICUBIC))
    assert np.abs(frame.astype(int) - whole).max() <= 1


def test_the_ends_of_a_panorama_are_cut_off():
    image = Image.new("RGB", (1000, 100), "red")
    image.paste((0, 0, 255), (400, 0, 600, 100))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    frame = decode_frame(buffer.getvalue(), Framing(20, "crop"))
    assert frame.shape == (20, 40, 3)
    assert (frame[:, 2:-2] == (0, 0, 255)).all()


@pytest.mark.parametrize("fit", ["pad", "stretch"])
def test_without_a_crop_a_frame_is_the_framed_square(fit):
    for width, height in SHAPES:
        source = encoded(width, height)
        assert np.array_equal(decode_frame(source, Framing(24, fit)), Framing(24, fit).pixels(source))


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_frames_are_the_same_kept_or_not(tmp_path, fit):
    framing, order = Framing(24, fit), [5, 0, 3, 3, 1, 2, 4]
    with (FrameStore.build(examples(0, 4), framing, tmp_path / "a", PLENTY) as kept,
          FrameStore.build(examples(0, 4), framing, tmp_path / "b", 0) as late):
        assert (kept.cached, late.cached) == (True, False)
        assert kept.bytes == late.bytes == sum(frame.nbytes for frame in kept.frames(range(6)))
        assert [example.id for example in kept.examples] == [example.id for example in examples()]
        assert late.examples == kept.examples
        for one, other, row in zip(kept.frames(order), late.frames(order), order, strict=True):
            assert one.dtype == np.uint8
            assert np.array_equal(one, other)
            assert np.array_equal(one, decode_frame(kept.examples[row].image, framing))


def test_broken_pictures_are_listed_and_every_picture_is_counted(tmp_path):
    for budget in (0, PLENTY):
        done = []
        with FrameStore.build(examples(0, 4, 8), Framing(16, "crop"), tmp_path, budget, done.append) as store:
            assert [(row.file, row.row, row.reason) for row in store.skipped] == [
                (f"broken {place}", None, "truncated") for place in (0, 4, 8)]
            assert len(store.frames(range(6))) == 6
        assert sum(done) == 9


@pytest.mark.parametrize("budget", [0, PLENTY])
def test_a_store_of_nothing(tmp_path, budget):
    broken = [Example("x", b"no picture", ["x"], [])]
    for given_examples in ([], broken):
        with FrameStore.build(given_examples, Framing(16), tmp_path, budget) as store:
            assert (store.examples, store.bytes, store.frames([])) == ([], 0, [])


def test_frames_over_the_budget_are_not_kept(tmp_path):
    framing = Framing(24, "crop")
    with FrameStore.build(examples(), framing, tmp_path, 0) as store:
        needed = store.bytes
    with FrameStore.build(examples(), framing, tmp_path, needed) as store:
        assert store.cached
        file, = tmp_path.iterdir()
        assert file.stat().st_size == needed
    with FrameStore.build(examples(), framing, tmp_path, needed - 1) as store:
        assert not store.cached
        assert store.bytes == needed
        assert list(tmp_path.iterdir()) == []
        assert len(store.frames([0, 5])) == 2


def test_closing_removes_the_file_and_leaves_frames_readable(tmp_path):
    store = FrameStore.build(examples(), Framing(24, "crop"), tmp_path, PLENTY)
    frame, = store.frames([2])
    wanted = frame.copy()
    store.close()
    store.close()
    assert list(tmp_path.iterdir()) == []
    assert np.array_equal(frame, wanted)
    with pytest.raises(ValueError, match="closed"):
        store.frames([2])


def test_what_a_killed_run_left_is_removed_and_nothing_else(tmp_path):
    (tmp_path / "frames-killed.uint8").write_bytes(b"1234")
    (tmp_path / "model").mkdir()
    (tmp_path / "metrics.jsonl").write_text("{}")
    with FrameStore.build(examples(), Framing(24), tmp_path, 0):
        assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.jsonl", "model"]


def test_two_stores_of_one_folder_do_not_disturb_each_other(tmp_path):
    with FrameStore.build(examples(), Framing(24), tmp_path, PLENTY) as first:
        wanted = [frame.copy() for frame in first.frames(range(6))]
        with FrameStore.build(examples(), Framing(32), tmp_path, PLENTY):
            assert all(map(np.array_equal, first.frames(range(6)), wanted))
        assert all(map(np.array_equal, first.frames(range(6)), wanted))


@pytest.mark.parametrize("failing", ["write", "flush"])
def test_a_full_disk_names_the_file_and_leaves_nothing(tmp_path, monkeypatch, failing):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    class FullDisk(io.BytesIO):
        write = full if failing == "write" else io.BytesIO.write
        flush = full if failing == "flush" else io.BytesIO.flush

    def fdopen(number, mode):
        frame_store.os.close(number)
        return FullDisk()

    monkeypatch.setattr(frame_store.os, "fdopen", fdopen)
    with pytest.raises(OSError, match=r"No space left on device.*frames-.*uint8") as error:
        FrameStore.build(examples(), Framing(24), tmp_path, PLENTY)
    assert error.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_a_picture_lost_after_the_first_pass_is_an_error(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(encoded(20, 20))
    with FrameStore.build([Example("x", path, ["x"], [])], Framing(16), tmp_path / "frames", 0) as store:
        path.unlink()
        with pytest.raises(ImageError, match="file not found"):
            store.frames([0])
