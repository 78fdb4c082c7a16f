"""The site, built afresh for the tests, served to a real browser."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The folder of the built site. Built from nothing, so that no page's warnings are missed."""
    output = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build"]
    command = [*build, "-W", "-n", "--keep-going", "--path-output", str(output), "."]
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONWARNINGS": "ignore"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if built.returncode:
        lines = [line for line in (built.stdout + built.stderr).splitlines() if "WARNING" in line or "ERROR" in line]
        pytest.fail("the site has warnings:\n" + ("\n".join(lines) or built.stdout[-2000:] + built.stderr[-2000:]))
    return output / "_build" / "html"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args) -> None:
        pass


@pytest.fixture(scope="session")
def address(site) -> str:
    """Where the built site is served, on this machine only."""
    handler = functools.partial(Quiet, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="session")
def browser():
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not executable:
        pytest.skip("no Chromium or Chrome on the PATH: the pages are not tried in a browser")
    from playwright.sync_api import sync_playwright

    quiet = ["--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu", *quiet])
        yield browser
        browser.close()
