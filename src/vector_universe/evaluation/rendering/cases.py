"""Hits and misses as pictures: what was asked, what was wanted, and what was found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from vector_universe.evaluation.section import Case, shorten

FOUND = 5
KINDS = {"hit": "Found", "miss": "Missed"}


def places_of(cases: Iterable[Case]) -> set[int]:
    """Places of all pictures that `case_list` shows."""
    return {place for case in cases for place in (
        *([case.query_image] if case.query_image is not None else []), *case.wanted[:1],
        *(found for found, _, _ in case.found[:FOUND]))}


def case_list(cases: Sequence[Case], pictures: Mapping[int, str]) -> str:
    """Cards of hits, then of misses.

    Args:
        cases: of a section.
        pictures: data URIs by place.
    """
    parts = []
    for kind, heading in KINDS.items():
        chosen = [case for case in cases if case.kind == kind]
        groups = [[case for case in chosen if bool(case.found_texts) is texts] for texts in (False, True)]
        lists = "".join(f'<ul class="cases {"narrow" if group[0].found_texts else "wide"}">'
                        + "\n".join(_card(case, pictures) for case in group) + "</ul>" for group in groups if group)
        if lists:
            parts.append(f"<h3>{heading}</h3>{lists}")
    return "\n".join(parts)


def _card(case: Case, pictures: Mapping[int, str]) -> str:
    asked = _picture(case.query_image, pictures, "asked") if case.query_image is not None else ""
    wanted = _picture(case.wanted[0], pictures, "wanted") if case.wanted else ""
    found = "".join(_picture(place, pictures, "right" if right else "wrong", f"{score:.2f}")
                    for place, score, right in case.found[:FOUND])
    texts = "".join(f'<li class="{"right" if right else "wrong"}">{escape(shorten(text, 80))} '
                    f'<span class="quiet">{score:.2f}</span></li>' for text, score, right in case.found_texts[:FOUND])
    said = f'<b>{escape(shorten(case.query))}</b><span class="quiet">{escape(case.note)}</span>'
    answers = f"<ol>{texts}</ol>" if texts else f"{_arrow(bool(asked or wanted) and bool(found))}{found}"
    return f'<li>{said}<div class="row">{asked}{wanted}{answers}</div></li>'


def _picture(place: int, pictures: Mapping[int, str], kind: str, score: str = "") -> str:
    if place not in pictures:
        return ""
    label = {"asked": "asked with", "wanted": "wanted", "right": "right", "wrong": "wrong"}[kind]
    said = f"{label} {score}".strip()
    return (f'<figure class="{kind}"><img src="{pictures[place]}" alt="{said}">'
            f"<figcaption>{score or label}</figcaption></figure>")


def _arrow(shown: bool) -> str:
    return '<span class="arrow" aria-hidden="true">→</span>' if shown else ""
