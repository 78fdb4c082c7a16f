"""The stored results of the experiments, for the chapters that plot them. Source: Chapter 6, "Ten epochs"."""

import csv
import io
import urllib.request
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "experiments"
ADDRESS = "https://raw.githubusercontent.com/inside-cnns/inside-cnns/main/experiments/"


def table(name, **wanted):
    """The rows of `experiments/<name>.csv` as dicts, numbers as numbers; only those whose columns equal `wanted`.

    Where the package is installed without the repository, as on Colab, the file is read from the repository's address;
    OSError says if that fails. Raises ValueError for an unknown name or column, naming those that are there.
    """
    path = FOLDER / f"{name}.csv"
    if path.is_file():
        text = path.read_text(encoding="utf-8")
    elif FOLDER.is_dir():
        known = ", ".join(sorted(p.stem for p in FOLDER.glob("*.csv")))
        raise ValueError(f"there are no results named {name!r}; there are {known}")
    else:
        with urllib.request.urlopen(f"{ADDRESS}{name}.csv", timeout=30) as answer:
            text = answer.read().decode("utf-8")
    rows = [{key: _number(value) for key, value in row.items()} for row in csv.DictReader(io.StringIO(text))]
    if unknown := set(wanted) - set(rows[0]):
        raise ValueError(f"{name} has no column {', '.join(sorted(unknown))}; it has {', '.join(rows[0])}")
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def _number(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
