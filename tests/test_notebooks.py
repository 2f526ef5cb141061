"""Every notebook runs from top to bottom, and again, with the Python of the tests, whatever kernels the user has."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
LARGEST_BYTES = 300_000  # outputs that are kept must be small


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a kernel that is this Python, found before all others; nothing of the user's is read or written."""
    folder = tmp_path / "jupyter" / "kernels" / "of-the-tests"
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (folder / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "tests", "language": "python"}))
    for variable in ("JUPYTER_PATH", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(variable, str(tmp_path / ("jupyter" if variable == "JUPYTER_PATH" else variable.lower())))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return "of-the-tests"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_twice_in_one_folder(path: Path, kernel: str, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, kernel_name=kernel, timeout=240, resources={"metadata": {"path": str(work)}})
    with client.setup_kernel():
        for index, cell in 2 * list(enumerate(notebook.cells)):
            client.execute_cell(cell, index)  # raises if it fails, with its traceback
    errors = [o for cell in notebook.cells for o in cell.get("outputs", []) if o.get("name") == "stderr"]
    assert not [o["text"] for o in errors if "Error" in o["text"]]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_its_outputs_and_pictures(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "run in order, once"
    assert not any(cell.metadata for cell in cells), "no times"
    assert any(kind.startswith("image/") for cell in cells for o in cell.outputs for kind in o.get("data", {}))
    assert not [o for cell in cells for o in cell.outputs if o.get("name") == "stderr"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_small_and_free_of_leftovers(path: Path) -> None:
    text = path.read_text()
    assert len(text) < LARGEST_BYTES
    assert str(Path.home()) not in text
    assert "Traceback" not in text
