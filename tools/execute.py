"""Normalise and execute chapters, and store their outputs: `python tools/execute.py [03 06 ...]`."""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
MAX_BYTES = 2_000_000
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE_INFO = {"file_extension": ".py", "mimetype": "text/x-python", "name": "python", "pygments_lexer": "ipython3"}
# a path below somebody's home, of a virtual environment, of a temporary folder, or of this checkout
HERE = "|".join(re.escape(str(path)) for path in (NOTEBOOKS.parent, Path.home(), Path(tempfile.gettempdir())))
MACHINE_PATH = re.compile(rf"(?:{HERE}|/home/|/Users/|/root/|/tmp/|[A-Z]:\\+Users\\|site-packages|\.venv/)\S*")
# The first code cell of every chapter; a test compares them.
SET_UP = """\
try:
    from helpers import plot
except ImportError:  # Colab or a bare Jupyter: fetch the book's package, keep the installed torch
    %pip install --quiet --no-deps git+https://github.com/inside-cnns/inside-cnns
    from helpers import plot  # still failing? Run the line above by itself: PyPI's `helpers` is another package"""
WIDGET = "application/vnd.jupyter.widget-view+json"


def normalise(notebook: nbformat.NotebookNode) -> None:
    """Give every chapter the same metadata, and fold solution cells on the site, in JupyterLab, in Colab."""
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNELSPEC, "language_info": LANGUAGE_INFO})
    for cell in notebook.cells:
        for key in ("execution", "collapsed", "scrolled", "ExecuteTime", "id"):
            cell.metadata.pop(key, None)
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "code" and "solution" in tags:
            cell.metadata["tags"] = sorted({*tags, "hide-cell"})
            cell.metadata["jupyter"] = {"source_hidden": True, "outputs_hidden": True}
            cell.metadata["cellView"] = "form"
            prompts = {"code_prompt_show": "Solution", "code_prompt_hide": "Solution"}
            cell.metadata["mystnb"] = {**cell.metadata.get("mystnb", {}), **prompts}


def tidy_outputs(notebook: nbformat.NotebookNode) -> None:
    """Number the cells in order, drop widgets (they need a live kernel) and join neighbouring streams."""
    notebook.metadata.pop("widgets", None)
    count = 0
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count = count
        kept = []
        for output in cell.outputs:
            if WIDGET in output.get("data", {}):
                continue
            if output.output_type == "execute_result":
                output.execution_count = count
            if output.output_type == "stream" and kept and kept[-1].get("name") == output.name:
                kept[-1].text += output.text
            else:
                kept.append(output)
        cell.outputs = kept


def text_of(output: nbformat.NotebookNode) -> str:
    """All text in an output that a reader would see."""
    shown = [value for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
    return "\n".join([output.get("text", ""), *shown, *output.get("traceback", [])])


def faults(notebook: nbformat.NotebookNode) -> list[str]:
    """What must not be stored, each naming its cell."""
    found = []
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        head = next((line for line in cell.source.splitlines() if line.strip()), "(empty)")[:60]
        where = f"cell {index} ({head!r})"
        may_raise = "raises-exception" in cell.metadata.get("tags", [])
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stderr":
                found.append(f"{where} writes to stderr: {output.text.strip()[:300]}")
            if output.output_type == "error" and not may_raise:
                found.append(f"{where} raises {output.ename}: {output.evalue[:300]}")
            if path := MACHINE_PATH.search(text_of(output)):
                found.append(f"{where} shows a path of this machine: {path.group()[:120]}")
    size = len(nbformat.writes(notebook).encode())
    if size > MAX_BYTES:
        sizes = [(len(str(cell.get("outputs", ""))), index) for index, cell in enumerate(notebook.cells)]
        largest = ", ".join(f"cell {index} ({n / 1e3:.0f} kB)" for n, index in sorted(sizes)[:-4:-1])
        found.append(f"the file has {size / 1e6:.1f} MB, more than {MAX_BYTES / 1e6:.0f}; largest: {largest}")
    return found


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write whole or not at all."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def execute(path: Path, timeout: int, normalise_only: bool = False) -> list[str]:
    """Run one chapter; store it if nothing is wrong with it, else return what is."""
    notebook = nbformat.read(path, as_version=4)
    normalise(notebook)
    if not normalise_only:
        client = NotebookClient(
            notebook,
            timeout=timeout,
            kernel_name="python3",
            resources={"metadata": {"path": str(path.parent)}},
            record_timing=False,
        )
        try:
            client.execute()
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            return [str(error)]
        normalise(notebook)
    tidy_outputs(notebook)
    if found := faults(notebook):
        return found
    write(notebook, path)
    return []


def chapters(numbers: list[str]) -> list[Path]:
    """The notebooks of these numbers; all of them if none is given."""
    paths = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    if not numbers:
        return paths
    wanted = [number.zfill(2) for number in numbers]
    if missing := [n for n in wanted if not any(path.name.startswith(n) for path in paths)]:
        sys.exit(f"no chapter {', '.join(missing)} in notebooks/")
    return [path for path in paths if path.name[:2] in wanted]


def main() -> int:
    os.environ["TQDM_DISABLE"] = "1"  # stored outputs hold no progress bars
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chapters", nargs="*", help="numbers such as 03; all if none is given")
    parser.add_argument("--timeout", type=int, default=900, help="seconds a cell may take (default %(default)s)")
    parser.add_argument("--normalise-only", action="store_true", help="keep the stored outputs, run nothing")
    arguments = parser.parse_args()
    failed = False
    for path in chapters(arguments.chapters):
        start = time.perf_counter()
        found = execute(path, arguments.timeout, arguments.normalise_only)
        failed |= bool(found)
        print(f"{path.name}: {'NOT stored' if found else 'stored'}, {time.perf_counter() - start:.0f} s")
        for fault in found:
            print(f"  {fault}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
