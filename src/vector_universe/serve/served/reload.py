"""A server goes on with the new index when it changes on disk or in its bucket."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Thread

from vector_universe.errors import UserError
from vector_universe.index.table import generation as generations
from vector_universe.index.table.item_table import commits
from vector_universe.index.table.notes import FOLDER
from vector_universe.index.table.place import Place
from vector_universe.serve.served.batching import Observer, unobserved
from vector_universe.serve.served.compare import Side, put, side_of
from vector_universe.serve.served.device import warm_up
from vector_universe.serve.served.snapshot import Served, Snapshot, open_to_stay

SECONDS, SECONDS_IN_BUCKET = 2.0, 20.0  # between two looks
_SETTLED_WITHIN = 60.0  # seconds; an index that is being written to all the time is read all the same

State = tuple[object, ...]


def index_state(place: Place) -> State:
    """Something that changes whenever the index of a universe does; costs three small reads.

    Raises:
        UserError: the bucket cannot be reached.
    """
    pointer = generations.pointer(place)
    if pointer is None:
        return (None,)
    try:
        inside = place / (generations.current(place) or "")
    except UserError as error:
        return (pointer, str(error))
    return (pointer, commits(inside), (inside / FOLDER).stamps())


class Reloader:
    """Looks every few seconds whether the index has changed, opens it anew beside the old one, and puts it in place.

    Requests in flight end on what they began with. Where the new one cannot be opened the old one stays, one line says
    why, and the next try waits for the next change. The model stays loaded as long as it is the same.

    Args:
        served: what requests are answered from.
        path: the universe's folder, or s3://bucket/folder.
        state: `index_state` of before it was opened.
        say: told in one line of what happened.
        side: which of two compared universes lies there.
        observe: told of every run of the model.
        seconds: between two looks; unset: 2, and 20 for a bucket.
    """

    def __init__(self, served: Served, path: str, state: State, say: Callable[[str], None], *,
                 side: Side = "this", observe: Observer = unobserved, seconds: float | None = None) -> None:
        self._served, self._place, self._say, self._observe = served, Place(path), say, observe
        self._side: Side = side
        self._seconds = seconds or (SECONDS if self._place.is_local else SECONDS_IN_BUCKET)
        self._done_with = self._seen = state
        self._unsettled_since: float | None = None
        self._complaint: str | None = None
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="reload", daemon=True)

    def start(self) -> None:
        """Begin to look, in a thread that ends with the process."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def look(self) -> bool:
        """Look once; returns whether another index was put in place. One that still changes is left to the next."""
        try:
            state = index_state(self._place)
        except (UserError, OSError) as error:
            self._complain(error)
            return False
        if state == self._done_with:
            self._seen, self._unsettled_since = state, None
            return False
        now = time.monotonic()
        self._unsettled_since = self._unsettled_since or now
        if state != self._seen and now - self._unsettled_since < _SETTLED_WITHIN:
            self._seen = state
            return False
        self._done_with, self._seen, self._unsettled_since = state, state, None
        try:
            snapshot = self._opened()
            put(self._served, snapshot, self._side)
        except Exception as error:  # whatever it is, what is served goes on
            self._complain(error)
            return False
        self._complaint = None
        self._say(f"the index has changed: {len(snapshot):,} items are served now")
        return True

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            self.look()

    def _opened(self) -> Snapshot:
        old = side_of(self._served.current, self._side).universe
        in_use = generations.current(self._place)
        facts = None if in_use is None else generations.read(self._place, in_use)
        is_same_model = facts is not None and (facts.model_fingerprint, facts.model_files) == (
            old.generation.model_fingerprint, old.generation.model_files)
        universe = open_to_stay(self._place.uri, old.loaded_model if is_same_model else None)
        snapshot = Snapshot.of(universe, self._observe)
        if not is_same_model:
            warm_up(universe)
        return snapshot

    def _complain(self, error: Exception) -> None:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if reason != self._complaint:
            self._complaint = reason
            self._say(f"the index cannot be read now, so what was opened before is served on: {reason}")
