"""Names of groups of items: the words and labels that stand in a group more often than elsewhere."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_PRIOR = 10.0  # items of average use that are added to each group
_DISTINCT = 1.96  # standard errors by which a term must be more frequent in the group than elsewhere
_LIFT = 2.0  # times as frequent as elsewhere; "of" and "the" are a little more frequent in many a group
_LEAST = 0.05  # share of a group's items that must carry a term that names it
_LABEL_BONUS = 1.5  # a label is written to name its kind; a word of a title may be there by chance
_SAME = 0.7  # a longer term that stands in this share of a term's items says the same, and more exactly
_ENOUGH = 0.6  # a name that this share of the items carries needs no second term
_TRIED = 40  # terms for each group
_TITLE = 24  # characters of a title that stands for a name
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_HANGUL = re.compile(r"[가-힣]{3,}")
_JOINING = frozenset({"a", "an", "and", "are", "as", "at", "by", "for", "from", "in", "into", "is", "it", "of", "on",
                      "or", "s", "that", "the", "this", "to", "vs", "with"})
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]{2,}")  # kana, Han, Thai: no spaces between words


@dataclass(frozen=True)
class TopicName:
    """A name, and the share, 0 to 1, of the group's items in whose texts or labels a word or label of it stands."""

    name: str
    share: float


class TermCounts:
    """In how many items of each of K groups each term stands.

    Terms are labels, words and pairs of words, whatever their case. Korean words count by each of their beginnings too,
    because particles are written onto them; scripts without spaces count by runs of two to four characters.

    Args:
        texts, labels: of N items.
        groups_N: the group of each, 0 … K − 1, or −1 for none.
        groups: K.
    """

    def __init__(self, texts: Sequence[Sequence[str]], labels: Sequence[Sequence[str]], groups_N: NDArray[np.integer],
                 groups: int) -> None:
        self.sizes_K = np.bincount(groups_N[groups_N >= 0], minlength=groups)
        self._items = [(group, terms_of(said, tagged), said, tagged) for said, tagged, group
                       in zip(texts, labels, groups_N.tolist(), strict=True) if group >= 0]
        overall = Counter(term for _, terms, _, _ in self._items for term in terms)
        self.terms = sorted(term for term, items in overall.items() if items > 1 or len(self._items) < 8)
        self.labels = {_plain(label) for _, _, _, tagged in self._items for label in tagged}
        places = {term: place for place, term in enumerate(self.terms)}
        self._terms_of_items: list[list[set[str]]] = [[] for _ in range(groups)]
        self.counts_KT = np.zeros((groups, len(self.terms)), np.int32)
        for group, terms, _, _ in self._items:
            self._terms_of_items[group].append(terms)
            self.counts_KT[group, [places[term] for term in terms if term in places]] += 1

    def share(self, group: int, name: Collection[str]) -> float:
        """Share of a group's items in which a term of `name` stands."""
        found = sum(not terms.isdisjoint(name) for terms in self._terms_of_items[group])
        return found / max(1, int(self.sizes_K[group]))

    def written(self, terms: Collection[str]) -> dict[str, str]:
        """Terms as people wrote them most often; a label as it is written, with spaces for underscores."""
        found: dict[str, Counter[str]] = {term: Counter() for term in terms}
        for _, among, said, tagged in self._items:
            if among.isdisjoint(found):
                continue
            for label in tagged:
                if _plain(label) in found:
                    found[_plain(label)][" ".join(label.replace("_", " ").split())] += 1_000_000  # before any word
            for text in said:
                words = _WORD.findall(unicodedata.normalize("NFKC", text))
                for spelt in (*words, *map(" ".join, pairwise(words))):
                    if spelt.casefold() in found:
                        found[spelt.casefold()][spelt] += 1
        return {term: min(forms, key=lambda form: (-forms[form], form)) if forms else term
                for term, forms in found.items()}


def terms_of(texts: Sequence[str], labels: Sequence[str]) -> set[str]:
    """The terms of one item: its labels, words, pairs of words, beginnings of Korean words, runs of kana and Han."""
    terms = {_plain(label) for label in labels}
    for text in texts:
        words = [word.casefold() for word in _WORD.findall(unicodedata.normalize("NFKC", text))]
        terms.update(word for word in words if _says_something(word))
        terms.update(f"{one} {two}" for one, two in pairwise(words)
                     if _says_something(one) and _says_something(two))
        for word in words:
            if _HANGUL.fullmatch(word):
                terms.update(word[:end] for end in range(2, len(word)))
            for run in _UNSPACED.findall(word):
                terms.update(run[start:start + length] for length in (2, 3, 4)
                             for start in range(len(run) - length + 1))
    return terms - {""}


def distinctiveness(counts_KT: NDArray[np.integer], sizes_K: NDArray[np.integer]) -> NDArray[np.float64]:
    """By how many standard errors each term is more frequent in a group than in the others, (K, T).

    The log-odds ratio of a term standing in an item, with the use in all groups as informative prior, over its standard
    error: Monroe et al., "Fightin' Words", 2008, equations 15 to 22, with items for tokens. Words that are frequent
    everywhere, such as articles of any language, come out near 0.

    Args:
        counts_KT: items of each group in which each term stands.
        sizes_K: items of each group.
    """
    inside_KT, totals_T, total = counts_KT.astype(np.float64), counts_KT.sum(axis=0), int(sizes_K.sum())
    outside_KT = totals_T - inside_KT
    prior_T = _PRIOR * (totals_T + 0.5) / (total + 1)
    odds_in = (inside_KT + prior_T) / (sizes_K[:, None] - inside_KT + _PRIOR - prior_T)
    odds_out = (outside_KT + prior_T) / (total - sizes_K[:, None] - outside_KT + _PRIOR - prior_T)
    errors_KT = np.sqrt(1 / (inside_KT + prior_T) + 1 / (outside_KT + prior_T))
    scores_KT: NDArray[np.float64] = (np.log(odds_in) - np.log(odds_out)) / errors_KT
    return scores_KT


def telling(counts_KT: NDArray[np.integer], sizes_K: NDArray[np.integer]) -> NDArray[np.float64]:
    """How much each term tells of a group, (K, T): its share of the group's items × ln(that share / its share of all).

    The term's part in the Kullback-Leibler divergence of the group from the whole: high for what is frequent here and
    rare elsewhere; the class-based tf-idf of Grootendorst (2022) with a plain ratio for its idf.
    """
    inside_KT = counts_KT / np.maximum(sizes_K, 1)[:, None]
    overall_T = np.maximum(counts_KT.sum(axis=0) / max(1, int(sizes_K.sum())), 1e-12)
    found_KT: NDArray[np.float64] = inside_KT * np.log(np.maximum(inside_KT, 1e-12) / overall_T)
    return found_KT


def name_groups(counts: TermCounts, titles: Sequence[str], avoid: Sequence[Collection[str]] | None = None,
                taken: Collection[str] = ()) -> tuple[list[TopicName], list[tuple[str, ...]]]:
    """Name each of K groups by one or two terms; no two alike, and the most distinctive choose first.

    Args:
        counts: of the groups.
        titles: of an item in the middle of each group, which stands for a group that has no distinctive term.
        avoid: terms that a group's name must not hold: those of the larger group round it.
        taken: names that are in use already.

    Returns:
        The names with the share of items that carry them, and the terms of each. A group without distinctive terms is
        called "like TITLE" (share 0), or "topic 7", by its number from 1.
    """
    groups = len(counts.sizes_K)
    avoid = avoid or [()] * groups
    labels_T = np.array([term in counts.labels for term in counts.terms], bool)
    scores_KT = telling(counts.counts_KT, counts.sizes_K) * np.where(labels_T, _LABEL_BONUS, 1.0)
    allowed_KT = _fit_to_name(counts, labels_T)
    ranked = [sorted(np.flatnonzero(allowed_KT[group]).tolist(), key=lambda place: (-scores_KT[group, place], place))
              for group in range(groups)]
    ranked = [[place for place in best if not _overlap(counts.terms[place], avoid[group])]
              for group, best in enumerate(ranked)]

    chosen: list[tuple[str, ...]] = [()] * groups
    used: set[str] = {_plain(name) for name in taken}
    for _, group, place in sorted((-scores_KT[group, place], group, place) for group, best in enumerate(ranked)
                                  for place in best[:_TRIED]):
        term = counts.terms[place]
        if not chosen[group] and term not in used:
            longer = _longer(counts, group, ranked[group], place)
            used |= {term, longer}
            chosen[group] = (longer,)
    for group, best in enumerate(ranked):
        if chosen[group] and (first := counts.share(group, chosen[group])) < _ENOUGH:
            second = _second(counts, group, best, chosen[group][0], first)
            chosen[group] += (second,) if second else ()
    written = counts.written({term for terms in chosen for term in terms})
    names: list[str] = []
    for group, terms in enumerate(chosen):
        like = " ".join(titles[group].split())[:_TITLE]
        name = " · ".join(written[term] for term in terms) or (f"like {like}" if like else f"topic {group + 1}")
        names.append(name if name not in names and name not in taken else f"{name} ({group + 1})")
    return [TopicName(name, counts.share(group, chosen[group])) for group, name in enumerate(names)], chosen


def _fit_to_name(counts: TermCounts, labels_T: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which terms may name which groups (K, T): frequent enough there, and surely more frequent than elsewhere."""
    counts_KT, sizes_K = counts.counts_KT, counts.sizes_K
    least_K = np.maximum(_LEAST * sizes_K, min(2, int(sizes_K.min(initial=2))))
    outside_KT = (counts_KT.sum(axis=0) - counts_KT) / np.maximum(sizes_K.sum() - sizes_K, 1)[:, None]
    often_KT = counts_KT >= _LIFT * outside_KT * sizes_K[:, None]
    fit_KT: NDArray[np.bool_] = (distinctiveness(counts_KT, sizes_K) >= _DISTINCT) & (
        counts_KT >= least_K[:, None]) & (often_KT | labels_T)
    places = {term: place for place, term in enumerate(counts.terms)}
    for place, term in enumerate(counts.terms):  # "with heart" is no better than "with"
        for word in term.split() if " " in term and not labels_T[place] else ():
            fit_KT[:, place] &= fit_KT[:, places[word]]
    return fit_KT


def _longer(counts: TermCounts, group: int, best: Sequence[int], place: int) -> str:
    """The longest distinctive term that holds this one and stands in nearly as many items of the group."""
    term, items = counts.terms[place], counts.counts_KT[group, place]
    if term in counts.labels:
        return term
    fitting = [counts.terms[other] for other in best if term in counts.terms[other]
               and counts.terms[other].count(" ") <= 1 and counts.counts_KT[group, other] >= _SAME * items]
    return max(fitting, key=lambda longer: (len(longer), longer))


def _second(counts: TermCounts, group: int, best: Sequence[int], first: str, share: float) -> str | None:
    """Of the six next best terms the one that, beside the first, covers most items of the group."""
    others = [counts.terms[place] for place in best if not _overlap(counts.terms[place], (first,))][:6]
    gains = {term: counts.share(group, (first, term)) - share for term in others}
    found = max(others, key=lambda term: gains[term], default=None)
    return found if found is not None and gains[found] >= 0.05 else None


def _overlap(term: str, others: Collection[str]) -> bool:
    """Whether a term shares a word with others, or lies within one: "cat" with "black cat", "고양" with "고양이"."""
    words = set(term.split())
    return any(words & set(other.split()) or term in other or other in term for other in others)


def _plain(label: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", label).replace("_", " ").casefold().split())


def _says_something(word: str) -> bool:
    """Not a number, no single letter of an alphabet, and none of the words that join others."""
    return word not in _JOINING and any(char.isalpha() for char in word) and (len(word) > 1 or ord(word[0]) >= 0x3400)
