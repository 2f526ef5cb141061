"""Commands in processes of their own: a fresh Python, or a fork of one that has imported what takes long.

PyTorch, Lightning and the like take a fresh Python six seconds of processor time. A forked one imports the package
itself, in its own folder and environment, and ends as a fresh one does.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

# None of them imports huggingface_hub or wandb, which read their environment when they are imported.
IMPORTED = ("torch", "torchvision", "lightning", "torchmetrics", "kornia", "skimage.data", "rich.console", "hydra")
SECONDS = 200  # then the process is killed


def fresh(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """``python *arguments`` in ``folder``."""
    variables = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=SECONDS)


def forked(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """As ``fresh``, for ``-m module …`` and ``-c code``; one that takes too long is -SIGALRM's."""
    with tempfile.TemporaryDirectory() as kept:
        outputs = [Path(kept, name) for name in ("stdout", "stderr")]
        variables = os.environ | {"OMP_NUM_THREADS": "1"} | environment
        request = json.dumps([str(folder), arguments, variables, [str(output) for output in outputs]])
        server = _server()
        assert server.stdin is not None
        assert server.stdout is not None
        print(request, file=server.stdin, flush=True)
        code = int(server.stdout.readline())
        return subprocess.CompletedProcess(arguments, code, *(output.read_text() for output in outputs))


@cache
def _server() -> subprocess.Popen[str]:
    """Started by the first command; the end of its input ends it."""
    command, variables = [sys.executable, __file__], os.environ | {"OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(command, env=variables, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    atexit.register(server.communicate)
    return server


def _requested() -> Any:
    """Fork for each line of the input and answer with the exit code; returns in the forked process only."""
    for line in sys.stdin:
        process = os.fork()
        if not process:
            return json.loads(line)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
    sys.exit()


def _run(folder: str, arguments: list[str], environment: dict[str, str], outputs: list[str]) -> None:
    signal.alarm(SECONDS)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, output in enumerate(outputs, start=1):
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:1] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    kind, what, *rest = arguments
    sys.argv = [kind, *rest]
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})


if __name__ == "__main__":
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()  # or each forked process copies the pages of all that is imported, to look for garbage
    _run(*_requested())
