"""The same picture or text twice: within a split, and across splits, where it makes figures too good."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import replace

from vector_universe.data.doctor.findings import Case
from vector_universe.data.doctor.scan import Seen
from vector_universe.data.splits import SPLITS

_ORDER = {split: number for number, split in enumerate(SPLITS)}
FEW = 0.01  # share of the texts outside train: so many short captions meet by chance
TEXTS_ARE_CLASSES = 0.5  # share of the texts outside train that train has too: above it they are names of classes
ACROSS = "_across_splits"


def image_cases(seen: Sequence[Seen], identical: Sequence[int], alike: Sequence[int]) -> Iterator[Case]:
    """Images that repeat an earlier one, byte by byte or nearly.

    Args:
        seen: all examples.
        identical, alike: of each example, the number of its group, as `duplicates` gives them.
    """
    same = _repeats("image_identical", "identical to", seen, [(group, "", place) for place, group
                                                             in enumerate(identical)])
    near = _repeats("image_alike", "looks like", seen, [(group, "", place) for place, group in enumerate(alike)])
    yield from (*same.values(), *_untold(near, same))


def label_cases(seen: Sequence[Seen], identical: Sequence[int]) -> Iterator[Case]:
    """Identical images of which each has a label that the other lacks."""
    groups: defaultdict[int, list[Seen]] = defaultdict(list)
    for one, group in zip(seen, identical, strict=True):
        if one.labels:
            groups[group].append(one)
    for first, *others in groups.values():
        for one in others:
            if set(one.labels) - set(first.labels) and set(first.labels) - set(one.labels):
                yield _case("labels_contradict", one, first,
                            f"{', '.join(one.labels)} here, {', '.join(first.labels)} at {first.id}")


def text_cases(seen: Sequence[Seen], images: Sequence[int]) -> Iterator[Case]:
    """Texts that repeat one of an earlier example, exactly or but for case, punctuation and spaces.

    Texts that are names of classes rather than titles repeat across splits by nature: those stand under the kinds for
    one split, which are information. A text that only comes along with its image is the image's matter.

    Args:
        seen: all examples.
        images: of each example, a number that copies of its image share.
    """
    spoken = [(text, text, one.place) for one in seen for text in dict.fromkeys(one.texts)]
    exact = _repeats("text_identical", "also at", seen, spoken)
    near = _repeats("text_alike", "almost as at", seen, [(key, text, place) for _, text, place in spoken
                                                         if (key := plain(text))])
    cases = [case for case in (*exact.values(), *_untold(near, exact))
             if case.example is None or case.partner is None or images[case.example] != images[case.partner]]
    outside = sum(one.split != SPLITS[0] for one in seen for _ in one.texts)
    across = sum(scope == ACROSS for scope, _, _ in exact)
    classes = across > TEXTS_ARE_CLASSES * outside
    for case in cases:
        yield replace(case, kind=case.kind.removesuffix(ACROSS)) if classes else case


def minor_kinds(cases: Iterable[Case], seen: Sequence[Seen]) -> set[str]:
    """Kinds of texts across splits that are too few to make figures too good."""
    outside = sum(len(one.texts) for one in seen if one.split != SPLITS[0])
    counts = Counter(case.kind for case in cases if case.kind.startswith("text") and case.kind.endswith(ACROSS))
    return {kind for kind, count in counts.items() if count <= FEW * outside}


def plain(text: str) -> str:
    """A text without what people type differently: case, punctuation, spaces, and forms of the same letter."""
    return " ".join(re.sub(r"[\W_]+", " ", unicodedata.normalize("NFKC", text).casefold()).split())


def _repeats(kind: str, words: str, seen: Sequence[Seen], members: Iterable[tuple[Hashable, str, int]]
             ) -> dict[tuple[str, str, int], Case]:
    """A case for each member of a group after the first of its split, and for each that an earlier split has too.

    Args:
        members: (key of the group, text to show, place of the example); one example counts once in a group.
    """
    cases = {}
    groups: defaultdict[Hashable, dict[int, str]] = defaultdict(dict)
    for key, text, place in members:
        groups[key].setdefault(place, text)
    for group in groups.values():
        if len(group) == 1:
            continue
        first: dict[str, Seen] = {}
        for place in group:
            first.setdefault(seen[place].split, seen[place])
        earliest = min(first.values(), key=lambda one: _ORDER[one.split])
        for place, text in group.items():
            one, quoted = seen[place], f"“{text}” " if text else ""
            if one.split != earliest.split:
                cases[ACROSS, text, place] = _case(kind + ACROSS, one, earliest, f"{quoted}{words} {earliest.id}")
            if one is not first[one.split]:
                cases["", text, place] = _case(kind, one, first[one.split], f"{quoted}{words} {first[one.split].id}")
    return cases


def _untold(near: dict[tuple[str, str, int], Case], exact: dict[tuple[str, str, int], Case]) -> list[Case]:
    return [case for key, case in near.items() if key not in exact]


def _case(kind: str, one: Seen, other: Seen, detail: str) -> Case:
    return Case(kind, one.id, one.place + 1, detail, one.split, one.place, other.place, other.id, other.split)

