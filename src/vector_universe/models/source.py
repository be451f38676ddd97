"""Where a pretrained model comes from, a folder or the hub, and what can be wrong with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from vector_universe.errors import UserError

HUB_ARGUMENTS = ("revision", "token", "cache_dir", "local_files_only", "force_download", "subfolder")
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_NAMED_KEYS = 3


def read_config(name: str | PathLike, hub: dict[str, Any]) -> dict:
    """The content of a model's config.json; from the hub's cache where the hub cannot be reached.

    Args:
        name: a folder, or a name on the hub.
        hub: arguments for the hub, such as revision; `local_files_only` is set when the hub cannot be reached.

    Raises:
        UserError: there is no such model, or its weights are pickled alone.
    """
    folder = Path(name, hub.get("subfolder") or "")
    if folder.is_dir():
        refuse_pickles(folder)
        path = folder / "config.json"
    elif Path(name).is_absolute() or not _HUB_NAME.fullmatch(str(name)):
        raise UserError(f"{name} holds no trained model: there is no such folder")
    else:
        path = _from_hub(str(name), hub)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("model_type"), str):
        raise UserError(f"{name} holds no trained model: give the folder that `vu train --out` wrote, once it "
                        "finished, or a pretrained CLIP or SigLIP, by folder or hub name")
    return found


def read_json(name: str | PathLike, file: str, hub: dict[str, Any]) -> dict:
    """A JSON file beside a model's config; empty where there is none."""
    from transformers.utils import cached_file
    try:
        path = cached_file(str(name), file, **hub)
        found = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def refuse_pickles(folder: Path) -> None:
    """Weights in pickle run whatever program they carry when they are read: only safetensors is.

    Raises:
        UserError: the folder has weights in pickle and none in safetensors.
    """
    pickles = sorted(path for pattern in _PICKLES for path in folder.glob(pattern)
                     if path.name not in ("training_args.bin", "optimizer.pt", "scheduler.pt"))
    if pickles and not any(folder.glob("*.safetensors")):
        raise UserError(f"{folder} cannot be loaded: its weights are pickled ({pickles[0].name}), which may run any "
                        "program; get the model in safetensors, or convert it where you trust it with save_pretrained")


@contextmanager
def explained(name: str | PathLike) -> Iterator[None]:
    """Turn what transformers raises while a model is loaded into one line.

    Raises:
        UserError: naming the model and the reason.
    """
    try:
        yield
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError,
            SafetensorError) as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        if "sentencepiece" in str(error):
            reason = "its tokenizer needs sentencepiece: pip install sentencepiece"
        raise UserError(f"the model in {name} cannot be loaded ({reason}): fetch or train it again") from error


def refuse_misfit(name: str | PathLike, report: dict[str, Any], may_miss: tuple[str, ...] = (),
                  may_have_more: bool = False) -> None:
    """Check the loading report of transformers: weights must fit their config.

    Args:
        name: the model, for the message.
        report: what `from_pretrained(..., output_loading_info=True)` returns beside the model.
        may_miss: starts of names of weights that are not used.
        may_have_more: a head of another task is no fault.

    Raises:
        UserError: naming some of the weights that are missing, too many, or of another shape.
    """
    missing = sorted(key for key in report["missing_keys"] if not key.startswith(may_miss))
    unexpected = [] if may_have_more else sorted(report["unexpected_keys"])
    mismatched = sorted(f"{key} {list(stored)} for {list(wanted)}" for key, stored, wanted in report["mismatched_keys"])
    found = [f"{len(keys)} {what} ({', '.join(keys[:_NAMED_KEYS])}{', …' if len(keys) > _NAMED_KEYS else ''})"
             for what, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", mismatched))
             if keys]
    if found:
        raise UserError(f"the model in {name} cannot be loaded: its weights do not fit its config.json: "
                        f"{'; '.join(found)}; fetch both again from one place")


def _from_hub(name: str, hub: dict[str, Any]) -> Path:
    """Download, or find in the cache, the config of a hub model."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError
    where = {key: hub[key] for key in ("revision", "subfolder") if key in hub}
    unreachable: Exception | None = None
    if not hub.get("local_files_only"):
        try:  # one look first: the download itself tries for half a minute to reach a hub that is not there
            get_hf_file_metadata(hf_hub_url(name, "config.json", **where), token=hub.get("token"))
        except EntryNotFoundError:
            raise UserError(f"{name} on the hub has no config.json: it is no model of transformers") from None
        except HfHubHTTPError as error:
            status = getattr(getattr(error, "response", None), "status_code", "error")
            raise UserError(f"no model {name}: no folder of this name is here, and the hub has none that you may read "
                            f"(HTTP {status}); check the name, or `hf auth login`") from error
        except (OSError, RuntimeError, ValueError) as error:  # offline, by network or by setting
            unreachable = error
        except Exception as error:
            if not type(error).__module__.startswith(("httpx", "httpcore", "requests")):
                raise
            unreachable = error
        if unreachable is not None:
            hub["local_files_only"] = True
    try:
        return Path(hf_hub_download(name, "config.json", **{"local_files_only": False} | hub))
    except OSError as error:
        raise UserError(f"no model {name}: no folder of this name is here, the hub cannot be reached, and its cache "
                        "does not have it; check the name and the network") from error
