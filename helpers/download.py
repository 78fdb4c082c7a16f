"""Downloads that are whole or not there at all: to a temporary file, checked, then renamed."""

import hashlib
import http.client
import os
import tarfile
import tempfile
import urllib.request
import uuid
import zipfile
from pathlib import Path

from helpers.progress import progress

CHUNK = 2**20
LARGEST = 50 * 2**20  # bytes that `read` takes


def fetch(urls, path, digits, algorithm="md5"):
    """Return `path`, downloaded from the first of `urls` that serves a file whose hash begins with `digits`.

    digits: hexadecimal, of the hash that hashlib knows under the name `algorithm`.
    A file already there is used if its hash is right; otherwise ValueError, and it is left as it is.
    Raises OSError, with what each address answered, if none serves it.
    """
    path = Path(path)
    if path.exists():
        return _checked(path, digits, algorithm)
    path.parent.mkdir(parents=True, exist_ok=True)
    answers = []
    for url in urls:
        try:
            return _download(url, path, digits, algorithm)
        except (OSError, ValueError, http.client.HTTPException) as error:
            answers.append(f"{url}: {error}")
    raise OSError(f"could not download {path.name}:\n" + "\n".join(answers))


def read(url):
    """The bytes at an address, at most LARGEST. Raises OSError, naming the address, where they cannot be had."""
    try:
        asked = urllib.request.Request(url, headers={"User-Agent": "inside-cnns (a course's notebooks)"})
        with urllib.request.urlopen(asked, timeout=20) as reply:
            content = reply.read(LARGEST + 1)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise OSError(f"could not download {url}: {error}") from error
    if len(content) > LARGEST:
        raise OSError(f"could not download {url}: it has more than {LARGEST // 2**20} MB")
    return content


def unpack(archive, inside, target):
    """Unpack a .tar, .tar.gz or .zip and move what it calls `inside` to `target`, which appears only when whole.

    inside: a path in the archive, or several, each an archive that holds the next. A target already there stays.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".unpacking-") as scratch:
        for step in [inside] if isinstance(inside, str) else inside:
            _extract(archive, scratch)
            archive = Path(scratch) / step
        _place(archive, target)


def write_whole(path, write):
    """Call `write(temporary_path)`, then give the file its name; a failure leaves nothing behind."""
    path = Path(path)
    temporary = path.with_name(f".{path.stem}-{uuid.uuid4().hex}{path.suffix}")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _place(whole, target):
    try:
        os.replace(whole, target)
    except OSError:
        if not target.exists():  # else another process was faster, and what it put there is whole, too
            raise


def _checked(path, digits, algorithm):
    found = _hash(path, algorithm)
    if not found.startswith(digits):
        raise ValueError(
            f"{path} is damaged or incomplete: its {algorithm} is {found}, it should "
            f"{'be' if len(digits) == len(found) else 'begin with'} {digits}. Move it away and run again"
        )
    return path


def _hash(path, algorithm):
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


def _download(url, path, digits, algorithm):
    def write(temporary):
        with urllib.request.urlopen(url, timeout=20) as reply, open(temporary, "wb") as file:
            size = int(reply.headers.get("Content-Length") or 0) or None
            with progress(total=size, unit="B", unit_scale=True, desc=path.name) as bar:
                while block := reply.read(CHUNK):
                    file.write(block)
                    bar.update(len(block))
        _checked(temporary, digits, algorithm)

    write_whole(path, write)
    return path


def _extract(archive, folder):
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            file.extractall(folder)
    else:
        with tarfile.open(archive) as file:
            file.extractall(folder, filter="data") if hasattr(tarfile, "data_filter") else file.extractall(folder)
