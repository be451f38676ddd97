"""The nearest items of every item, worked out once for a page that has no server to ask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vector_universe.index.map.knn import exactly_nearest_rows, nearest_rows
from vector_universe.index.search.neighbours import EXACT_UP_TO, unit
from vector_universe.index.search.vector_scan import cosines
from vector_universe.progress import StageProgress, counter

NONE = -1  # a place in the list that no neighbour fills
_BLOCK = 1024  # items compared with all others at once
_SPARE = 8  # candidates beyond the ones wanted: float32 may order close ones wrongly


def nearest_of_all(vectors_ND: NDArray[np.floating], k: int,
                   progress: StageProgress) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The `k` rows nearest to each row by cosine, without itself: nearest first, equal ones by row.

    Up to 50,000 rows every pair is compared; beyond, each row is compared with its surroundings, as for the map.

    Args:
        vectors_ND: (N, D), as stored; a row of zeros has no neighbours and is nobody's.
        k: at least 1.
        progress: called with ("finding neighbours", done, N).

    Returns:
        Rows (N, k), `NONE` where there are fewer, and their cosines (N, k), NaN there.
    """
    count = len(vectors_ND)
    rows_Nk, cosines_Nk = np.full((count, k), NONE, np.int32), np.full((count, k), np.nan, np.float32)
    there = np.flatnonzero(vectors_ND.any(axis=1))
    units_MD = unit(vectors_ND[there])
    advance = counter(progress, "finding neighbours", count)
    advance(count - len(there))
    if len(there) < 2:
        return rows_Nk, cosines_Nk
    wanted = min(k + 1 + _SPARE, len(there))
    exact = len(there) <= EXACT_UP_TO
    near_MW = None if exact else nearest_rows(units_MD, units_MD, wanted)[1]
    for start in range(0, len(there), _BLOCK):
        block_BD = units_MD[start:start + _BLOCK]
        near_BW = (exactly_nearest_rows(block_BD, units_MD, wanted)[1] if near_MW is None
                   else near_MW[start:start + _BLOCK])
        for place, candidates_W in enumerate(near_BW, start):
            others = np.sort(candidates_W[candidates_W != place])
            scores = cosines(units_MD[others], units_MD[place].astype(np.float64))
            best = np.argsort(-scores, kind="stable")[:k]
            rows_Nk[there[place], :len(best)] = there[others[best]]
            cosines_Nk[there[place], :len(best)] = scores[best]
        advance(len(block_BD))
    return rows_Nk, cosines_Nk
