"""Trackers: the figures of a run in TensorBoard or Weights & Biases too, beside `metrics.jsonl`."""

from __future__ import annotations

import json
import netrc
import os
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from vector_universe.errors import UserError
from vector_universe.folders import replace_text

TrackerKind = Literal["none", "tensorboard", "wandb"]
KINDS: tuple[TrackerKind, ...] = ("none", "tensorboard", "wandb")
IDENTITY = "tracker.json"
PROJECT = "vector-universe"  # of W&B; WANDB_PROJECT names another
PROBE_SECONDS, START_SECONDS = 5.0, 30.0  # a tracker must never make a run wait for long
WAY_OUT = "set WANDB_MODE=offline to keep its files in the run folder, or choose another tracker"


class Tracker(Protocol):
    """Where figures go. Figures have flat names, such as "geometry/effective_rank": see `flat_figures`."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Record the figures of one step."""

    def close(self) -> None:
        """Write what is still held back."""


def open_tracker(kind: TrackerKind, run_path: Path, config: Mapping[str, Any], first_step: int = 0) -> Tracker:
    """Open a tracker of accelerate, or one that records nothing; a run that goes on continues its tracker's run.

    TensorBoard's files go to RUN/tensorboard: `tensorboard --logdir RUN`. W&B's go to RUN/wandb, by the settings of
    its own environment variables: with WANDB_MODE=offline no network is needed and `wandb sync` sends them later. The
    id by which a run is continued is kept in RUN/tracker.json. In a run of several processes the first one records.

    Args:
        kind: "none", "tensorboard" or "wandb".
        run_path: the run folder, which must exist.
        config: the settings of the run, shown beside its figures.
        first_step: the step from which this process goes on; later ones of a killed process are dropped.

    Raises:
        UserError: there is no such kind, its package is missing, or W&B has no key or cannot be reached: within
            seconds, and without asking for anything.
    """
    if kind not in KINDS:
        raise UserError(f"tracker is {kind!r}: choose one of {', '.join(KINDS)}")
    if kind == "none":
        return _Nothing()
    found = find_spec(kind)
    if found is None or found.origin is None:  # without origin: a mere folder, as W&B leaves in working directories
        raise UserError(f"the tracker {kind} needs a package that is not installed: pip install "
                        "'vector-universe[track]'")
    from accelerate import PartialState
    if not PartialState().is_main_process:
        return _Nothing()
    if kind == "tensorboard":
        return _tensorboard(run_path, config, first_step)
    return _wandb(run_path, config)


class _Nothing:
    def log(self, values: Mapping[str, float], step: int) -> None:
        pass

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class _TensorBoard:
    tracker: Any  # accelerate.tracking.TensorBoardTracker

    def log(self, values: Mapping[str, float], step: int) -> None:
        self.tracker.log(dict(values), step=step)

    def close(self) -> None:
        self.tracker.finish()


@dataclass(frozen=True)
class _WandB:
    tracker: Any  # accelerate.tracking.WandBTracker

    def log(self, values: Mapping[str, float], step: int) -> None:
        # As a figure: W&B's own step must grow, and would drop those that a continued run repeats.
        self.tracker.log({**values, "step": step})

    def close(self) -> None:
        self.tracker.finish()


def _tensorboard(run_path: Path, config: Mapping[str, Any], first_step: int) -> Tracker:
    from accelerate.tracking import TensorBoardTracker
    tracker = TensorBoardTracker("tensorboard", run_path, purge_step=first_step or None)
    tracker.start()
    if not first_step:
        tracker.log({"config": "\n".join(f"    {name}: {value}" for name, value in config.items())}, step=0)
    return _TensorBoard(tracker)


def _wandb(run_path: Path, config: Mapping[str, Any]) -> Tracker:
    import wandb
    from accelerate.tracking import WandBTracker
    settings = wandb.setup().settings
    if settings.mode in ("online", "shared"):
        _check_online(settings.base_url)
    tracker = WandBTracker(os.environ.get("WANDB_PROJECT", PROJECT), id=_run_id(run_path), name=run_path.name,
                           resume="allow", dir=str(run_path), config=dict(config),
                           settings=wandb.Settings(init_timeout=START_SECONDS, console="off", quiet=True))
    try:
        tracker.start()
        tracker.tracker.define_metric("step")
        tracker.tracker.define_metric("*", step_metric="step")
    except Exception as error:  # its errors are of many kinds, and there is one way out of all
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"W&B does not start ({reason}): {WAY_OUT}") from error
    return _WandB(tracker)


def _check_online(url: str) -> None:
    """W&B itself would ask for a key, or try for minutes."""
    host = urlsplit(url).hostname or url
    if not (os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE") or _in_netrc(host)):
        raise UserError(f"there is no key for W&B ({host}) here: run `wandb login`, {WAY_OUT}")
    if not _answers(url):
        raise UserError(f"W&B cannot be reached ({host}): {WAY_OUT}")


def _in_netrc(host: str) -> bool:
    """Whether `wandb login` has left a key."""
    places = [os.environ.get("NETRC"), Path.home() / ".netrc", Path.home() / "_netrc"]
    for place in filter(None, places):
        try:
            if netrc.netrc(str(place)).authenticators(host):
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False


def _answers(url: str) -> bool:
    answered = []

    def ask() -> None:
        try:
            urllib.request.urlopen(url, timeout=PROBE_SECONDS).close()
        except urllib.error.HTTPError:
            pass  # an error page is an answer
        except (OSError, ValueError):
            return
        answered.append(True)

    asking = threading.Thread(target=ask, daemon=True)  # looking up a name can take longer than any timeout
    asking.start()
    asking.join(PROBE_SECONDS)
    return bool(answered)


def _run_id(run_path: Path) -> str:
    path = run_path / IDENTITY
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["id"])
    except (OSError, ValueError, KeyError, TypeError):
        run_id = uuid.uuid4().hex[:12]
        replace_text(path, json.dumps({"kind": "wandb", "id": run_id}) + "\n")
        return run_id
