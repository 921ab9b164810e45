"""Open a pickle and save its tensors alone; run by `undoor.load.trusted` in a separate process.

The argument is one JSON object, see `main`. The restrictions that took effect are written to a pipe
that is closed before the pickle is opened, so that the code in it cannot forge them.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

WEIGHTS, CLASS, PROBLEM = "weights.safetensors", "class.txt", "problem.txt"
DEEPEST = 4


def main(given: dict[str, Any]) -> None:
    """Confine this process, open a pickle, and save its tensors.

    Parameters
    ----------
    given
        "file", "key" (or None), "folder" (to write to), "seconds" (of computing), "memory" (bytes),
        "pipe" (a file descriptor) and "path" (where modules are imported from).
    """
    from undoor.load.jail import confine, give_up_calls, limit_memory

    folder = Path(given["folder"])
    # Libraries try several places for temporary files, and remove what they wrote there.
    tempfile.tempdir = str(folder)
    restrictions = confine(folder, given["seconds"])
    sys.path[:] = given["path"]
    # From here on this is the confined process.
    import torch
    from safetensors.torch import save

    from undoor.errors import UndoorError
    from undoor.load.state_dicts import find_state_dict

    torch.set_num_threads(1)
    restrictions += limit_memory(given["memory"]) + give_up_calls()
    os.write(given["pipe"], json.dumps(restrictions).encode())
    os.close(given["pipe"])
    try:
        content = torch.load(given["file"], map_location="cpu", weights_only=False)
        plain = _without_modules(content)
        file, key = Path(given["file"]), given["key"]
        found = find_state_dict(plain, file, key=key)
        state = {name: value.detach().contiguous().clone() for name, value in found.items()}
        (folder / WEIGHTS).write_bytes(save(state))
        (folder / CLASS).write_text(_class_of(content), encoding="utf-8")
    except UndoorError as error:
        (folder / PROBLEM).write_text(str(error), encoding="utf-8")
    # Untrusted code may raise anything.
    except BaseException as error:
        message = (str(error).strip().splitlines() or ["no message"])[0]
        problem = f"{type(error).__name__}: {message}"
        (folder / PROBLEM).write_text(problem[:500], encoding="utf-8")


def _without_modules(content: Any, depth: int = 0) -> Any:
    """Return the content with each module replaced by its state dict."""
    from torch import nn

    if isinstance(content, nn.Module):
        return nn.Module.state_dict(content)
    if type(content) is dict and depth < DEEPEST:
        return {key: _without_modules(value, depth + 1) for key, value in content.items()}
    return content


def _class_of(content: Any) -> str:
    from torch import nn

    values = [content, *content.values()] if isinstance(content, dict) else [content]
    module = next((value for value in values if isinstance(value, nn.Module)), None)
    return f"{type(module).__module__}.{type(module).__qualname__}" if module else ""


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
