"""A progress bar for people: in a notebook and in a terminal, and nowhere else."""

import os
import sys

from tqdm.auto import tqdm


def progress(*arguments, **options):
    """`tqdm`, silent where nobody watches: output to a file or a pipe, or `TQDM_DISABLE=1` (tests, stored outputs)."""
    return tqdm(*arguments, disable=not _watched(), **options)


def _watched():
    if os.environ.get("TQDM_DISABLE", "") not in ("", "0"):
        return False
    return _in_notebook() or sys.stderr.isatty()


def _in_notebook():
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return type(shell).__name__ in ("ZMQInteractiveShell", "Shell")  # Jupyter's, and Colab's
