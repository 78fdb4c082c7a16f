"""Loading pictures: three tiers, clear refusals. No test asks the network: downloads come from this machine."""

import hashlib
import http.server
import io
import os
import pickle
import socket
import struct
import tarfile
import threading
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import data, download


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("INSIDE_CNNS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("INSIDE_CNNS_OFFLINE", "1")
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def server(tmp_path):
    """Serve tmp_path/served; yields the folder and its address."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def picture(path, colour=(200, 30, 90), size=(32, 32), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


def cifar_folders(home, size=(32, 32)):
    for part, count in (("train", 3), ("test", 2)):
        for i, name in enumerate(data.CIFAR10_CLASSES):
            for k in range(count):
                picture(home / "cifar10" / part / name / f"{k:04d}.png", (i * 20, k, 7), size)


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_offline_and_empty_serves_scenes(home):
    train, test = data.cifar10()
    assert (len(train), len(test)) == (10_000, 2_000) and train.images.shape[1:] == (3, 32, 32)
    assert "drawn" in train.source and len(train.classes) == 10
    assert not any(home.iterdir())


def test_train_and_test_scenes_differ(home):
    train, test = data.cifar10()
    known = {image.numpy().tobytes() for image in train.images}
    assert not any(image.numpy().tobytes() in known for image in test.images)


def test_cifar10_from_folders(home):
    cifar_folders(home)
    train, test = data.cifar10()
    assert (len(train), len(test)) == (30, 20) and train.classes == tuple(data.CIFAR10_CLASSES)
    assert train.labels.tolist() == sorted(list(range(10)) * 3)
    assert train.images[4, :, 0, 0].tolist() == [20, 1, 7]
    assert "CIFAR-10" in train.source


def test_the_decoded_copy_is_used_and_renewed(home):
    cifar_folders(home)
    first = data.cifar10()[0]
    stamp = (home / "cifar10" / "decoded.npz").stat().st_mtime_ns
    assert torch.equal(data.cifar10()[0].images, first.images)
    assert (home / "cifar10" / "decoded.npz").stat().st_mtime_ns == stamp
    picture(home / "cifar10" / "train" / "cat" / "9999.png")
    assert len(data.cifar10()[0]) == 31
    (home / "cifar10" / "decoded.npz").write_bytes(b"half a file")
    assert len(data.cifar10()[0]) == 31


@pytest.mark.parametrize("part, lost", [("train", "dog"), ("test", "ship")])
def test_cifar10_folders_that_lack_a_class(home, part, lost):
    cifar_folders(home)
    folder = home / "cifar10" / part / lost
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    with pytest.raises(ValueError, match=f"{part}.*{lost}"):
        data.cifar10()


def test_cifar10_folders_of_another_size(home):
    cifar_folders(home, size=(28, 28))
    with pytest.raises(ValueError, match="32x32.*28x28"):
        data.cifar10()


def make_batches(folder, monkeypatch):
    """CIFAR-10 in torchvision's layout, tiny, with torchvision told its checksums."""
    from torchvision.datasets import CIFAR10

    base = folder / "cifar-10-batches-py"
    base.mkdir(parents=True)
    rng = np.random.default_rng(0)
    sums = {}
    for name in ["data_batch_1", "test_batch"]:
        content = {"data": rng.integers(0, 256, (4, 3072), dtype=np.uint8), "labels": [0, 3, 9, 1]}
        (base / name).write_bytes(pickle.dumps(content))
        sums[name] = md5(base / name)
    (base / "batches.meta").write_bytes(pickle.dumps({"label_names": data.CIFAR10_CLASSES}))
    monkeypatch.setattr(CIFAR10, "train_list", [["data_batch_1", sums["data_batch_1"]]])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    meta = CIFAR10.meta | {"md5": md5(base / "batches.meta")}
    monkeypatch.setattr(CIFAR10, "meta", meta)
    return base


def test_cifar10_from_batches(home, monkeypatch):
    base = make_batches(home, monkeypatch)
    train, test = data.cifar10()
    stored = pickle.loads((base / "data_batch_1").read_bytes())
    assert train.images.flatten(1).tolist() == stored["data"].tolist()
    assert train.labels.tolist() == [0, 3, 9, 1] and test.images.shape == (4, 3, 32, 32)


def test_damaged_batches_are_named(home, monkeypatch):
    base = make_batches(home, monkeypatch)
    (base / "data_batch_1").write_bytes(b"cut")
    with pytest.raises(ValueError, match="cifar-10-batches-py is damaged or incomplete"):
        data.cifar10()
    assert (base / "data_batch_1").read_bytes() == b"cut"


def test_cifar10_is_downloaded_from_the_address_in_the_environment(home, server, monkeypatch, tmp_path):
    served, address = server
    make_batches(tmp_path / "made", monkeypatch)
    with tarfile.open(served / "c.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "made" / "cifar-10-batches-py", "cifar-10-batches-py")
    monkeypatch.setenv("INSIDE_CNNS_OFFLINE", "0")
    monkeypatch.setenv("INSIDE_CNNS_CIFAR10_URL", f"{address}/c.tar.gz")
    monkeypatch.setattr(data, "CIFAR10_MD5", md5(served / "c.tar.gz"))
    train, _ = data.cifar10()
    assert len(train) == 4 and "CIFAR-10" in train.source
    assert sorted(p.name for p in home.iterdir()) == ["cifar-10-batches-py", "cifar-10-python.tar.gz"]


def test_no_network_warns_and_serves_scenes(home, monkeypatch):
    monkeypatch.setenv("INSIDE_CNNS_OFFLINE", "0")
    monkeypatch.setenv("INSIDE_CNNS_CIFAR10_URL", "http://127.0.0.1:9/nothing.tar.gz")
    with pytest.warns(UserWarning, match=r"could not download cifar-10-python.tar.gz(.|\n)*127.0.0.1:9"):
        train, _ = data.cifar10()
    assert "drawn" in train.source
    assert not any(home.iterdir())


def caltech_folders(home):
    root = home / "caltech101" / "101_ObjectCategories"
    for i, name in enumerate(("BACKGROUND_Google", "butterfly", "kangaroo")):
        for k in range(2):
            picture(root / name / f"image_{k:04d}.jpg", (60 * i, 0, 0), (40 + 10 * i, 30))


def test_caltech101(home):
    caltech_folders(home)
    every = data.caltech101(size=24)
    assert every.classes == ("butterfly", "kangaroo") and every.images.shape == (4, 3, 24, 24)
    one = data.caltech101(["kangaroo"], size=24)
    assert one.classes == ("kangaroo",) and abs(int(one.images[0, 0, 0, 0]) - 120) < 4
    with pytest.raises(ValueError, match="unknown Caltech-101 class 'kangaro'; did you mean kangaroo"):
        data.caltech101(["kangaro"])


def test_caltech101_offline(home):
    drawn = data.caltech101(["butterfly", "kangaroo", "sunflower"], size=48)
    assert len(drawn.classes) == 3 and drawn.images.shape == (240, 3, 48, 48) and "drawn" in drawn.source


def test_caltech101_is_downloaded(home, server, monkeypatch, tmp_path):
    served, address = server
    caltech_folders(tmp_path / "made")
    with tarfile.open(tmp_path / "inner.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "made" / "caltech101" / "101_ObjectCategories", "101_ObjectCategories")
    with zipfile.ZipFile(served / "c.zip", "w") as archive:
        archive.write(tmp_path / "inner.tar.gz", "caltech-101/101_ObjectCategories.tar.gz")
    monkeypatch.setenv("INSIDE_CNNS_OFFLINE", "")
    monkeypatch.setattr(data, "CALTECH101_URLS", (f"{address}/c.zip",))
    monkeypatch.setattr(data, "CALTECH101_MD5", md5(served / "c.zip"))
    assert len(data.caltech101(size=20)) == 4
    assert (home / "caltech101" / "101_ObjectCategories" / "butterfly").is_dir()


def test_fetch_tries_the_next_mirror_and_leaves_no_parts(server, tmp_path):
    served, address = server
    (served / "good").write_bytes(b"whole" * 1000)
    (served / "cut").write_bytes(b"whole" * 10)
    target = tmp_path / "down" / "file"
    download.fetch([f"{address}/absent", f"{address}/cut", f"{address}/good"], target, md5(served / "good"))
    assert target.read_bytes() == b"whole" * 1000 and [p.name for p in target.parent.iterdir()] == ["file"]


def test_fetch_says_what_each_address_answered(server, tmp_path):
    served, address = server
    (served / "cut").write_bytes(b"x")
    with pytest.raises(OSError, match=r"absent: .*404(.|\n)*cut: .*damaged or incomplete"):
        download.fetch([f"{address}/absent", f"{address}/cut"], tmp_path / "down" / "file", "0" * 32)
    assert not any((tmp_path / "down").iterdir())


def test_a_truncated_archive_in_the_home_is_named_and_kept(home):
    (home / "cifar-10-python.tar.gz").write_bytes(b"half")
    with pytest.raises(ValueError, match="cifar-10-python.tar.gz is damaged or incomplete: its md5"):
        data.cifar10()
    assert (home / "cifar-10-python.tar.gz").read_bytes() == b"half"


def test_unpacking_a_broken_archive_leaves_nothing(tmp_path):
    broken = io.BytesIO()
    with tarfile.open(fileobj=broken, mode="w:gz") as tar:
        info = tarfile.TarInfo("inside/a")
        info.size = 100_000
        tar.addfile(info, io.BytesIO(np.random.default_rng(0).bytes(100_000)))
    (tmp_path / "a.tar.gz").write_bytes(broken.getvalue()[:5000])
    with pytest.raises((OSError, EOFError, tarfile.TarError)):
        download.unpack(tmp_path / "a.tar.gz", "inside", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tar.gz"]


def test_write_whole_keeps_the_old_file_on_failure(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")

    def fail(path):
        open(path, "w").write("half")
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        download.write_whole(target, fail)
    assert target.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_image_folder_takes_mixed_modes_and_sizes(tmp_path):
    picture(tmp_path / "a" / "grey.png", 120, (20, 30), "L")
    picture(tmp_path / "a" / "rgb.jpg", (250, 0, 0), (40, 20))
    picture(tmp_path / "a" / "clear.png", (0, 0, 255, 0), (25, 25), "RGBA")
    picture(tmp_path / "b" / "cmyk.jpg", (0, 0, 0, 0), (33, 21), "CMYK")
    picture(tmp_path / "b" / "bits.png", 1, (33, 21), "1")
    palette = Image.new("P", (30, 30), 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    palette.save(tmp_path / "b" / "palette.png")
    (tmp_path / "b" / "notes.txt").write_text("not a picture")
    (tmp_path / ".hidden").mkdir()
    loaded = data.image_folder(tmp_path, size=(16, 24))
    assert loaded.images.shape == (6, 3, 16, 24) and loaded.classes == ("a", "b")
    colours = loaded.images[:, :, 8, 8].tolist()
    assert colours[0] == [255, 255, 255], "transparent lies on white"
    assert colours[1] == [120, 120, 120] and colours[2][0] > 240
    assert colours[5] == [10, 200, 30] and colours[3] == [255, 255, 255]


def test_image_folder_keeps_one_size_and_refuses_two(tmp_path):
    picture(tmp_path / "a" / "1.png", size=(20, 30))
    assert data.image_folder(tmp_path).images.shape == (1, 3, 30, 20)
    picture(tmp_path / "a" / "2.png", size=(21, 30))
    with pytest.raises(ValueError, match="2.png is 21x30 pixels, 1.png is 20x30: pass size="):
        data.image_folder(tmp_path)


def test_pictures_are_turned_upright(tmp_path):
    turned = Image.new("RGB", (40, 20))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    assert data.photo(tmp_path / "turned.jpg").shape == (3, 40, 20)


def test_image_folder_names_what_is_wrong(tmp_path):
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        data.image_folder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds no class folders"):
        data.image_folder(tmp_path)
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError, match="class folder .*a holds no pictures"):
        data.image_folder(tmp_path)
    deep = Image.fromarray(np.full((8, 8), 40_000, np.uint16))
    deep.save(tmp_path / "a" / "deep.png")
    with pytest.raises(ValueError, match="deep.png has more than 8 bits a channel"):
        data.image_folder(tmp_path)
    whole = picture(tmp_path / "b" / "cut.jpg", size=(200, 200)).read_bytes()
    (tmp_path / "b" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "a" / "deep.png").unlink()
    picture(tmp_path / "a" / "fine.png")
    with pytest.raises(ValueError, match="cut.jpg cannot be read as a picture"):
        data.image_folder(tmp_path, size=8)


@pytest.mark.parametrize("name", list(data.PHOTOS))
def test_every_photo_is_there_without_network(name, home):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shot = data.photo(name)
    assert shot.dtype == torch.uint8 and shot.shape[0] == 3 and min(shot.shape[1:]) > 100 and shot.float().std() > 10
    assert data.photo(name, size=32).shape == (3, 32, 32)


def test_photo_names_what_is_wrong(tmp_path):
    with pytest.raises(ValueError, match="unknown photograph 'cofee'; did you mean coffee"):
        data.photo("cofee")
    with pytest.raises(ValueError, match="there is no picture .*mine.jpg"):
        data.photo(tmp_path / "mine.jpg")
    (tmp_path / "mine.jpg").write_text("words")
    with pytest.raises(ValueError, match="mine.jpg cannot be read as a picture"):
        data.photo(tmp_path / "mine.jpg")
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        data.photo("cat", size=0)


def stored(picture, kind="PNG", **options):
    """The bytes of a PIL picture as a file of this kind."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def turned_photo():
    """A red and green JPEG, 40 wide and 20 high, that says it was taken with the camera turned (EXIF 6)."""
    shot, exif = Image.new("RGB", (40, 20), (250, 0, 0)), Image.Exif()
    shot.paste((0, 250, 0), (0, 0, 20, 20))
    exif[0x0112] = 6
    return stored(shot, "JPEG", exif=exif, quality=95)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_photo_from_the_bytes_of_an_upload(kind):
    shot = data.photo(kind(turned_photo()))
    assert shot.shape == (3, 40, 20) and shot.dtype == torch.uint8
    assert (shot[1, :15] > 200).all() and (shot[0, 25:] > 200).all()  # the left half has come to the top
    assert data.photo(kind(turned_photo()), size=8).shape == (3, 8, 8)


def test_an_upload_with_transparency_or_in_grey():
    clear = data.photo(stored(Image.new("RGBA", (4, 5), (0, 0, 0, 0))))
    assert clear.shape == (3, 5, 4) and (clear == 255).all()
    half = data.photo(stored(Image.new("RGBA", (4, 5), (0, 0, 0, 128))))
    assert (half == 127).all()
    assert (data.photo(stored(Image.new("L", (4, 5), 77))) == 77).all()
    assert (data.photo(stored(Image.new("LA", (4, 5), (0, 0)))) == 255).all()


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html></html>", turned_photo()[:200]])
def test_an_upload_that_is_no_picture(content):
    with pytest.raises(ValueError, match="the upload cannot be read as a picture: [^<]*$"):
        data.photo(content)


def test_an_upload_of_16_bits():
    with pytest.raises(ValueError, match="the upload has more than 8 bits"):
        data.photo(stored(Image.fromarray(np.full((4, 4), 40_000, np.uint16))))


def test_a_photo_by_address(server, home, monkeypatch):
    folder, address = server
    (folder / "turned.jpg").write_bytes(turned_photo())
    (folder / "page.jpg").write_text("<!DOCTYPE html><html></html>")
    monkeypatch.setenv("INSIDE_CNNS_OFFLINE", "0")
    assert data.photo(f"{address}/turned.jpg").shape == (3, 40, 20)
    assert data.photo(f"{address}/turned.jpg?width=40", size=(6, 9)).shape == (3, 6, 9)
    with pytest.raises(ValueError, match="page.jpg cannot be read as a picture"):
        data.photo(f"{address}/page.jpg")
    with pytest.raises(OSError, match="could not download .*/none.jpg: HTTP Error 404"):
        data.photo(f"{address}/none.jpg")
    assert not any(home.iterdir())


def test_an_address_with_too_much_behind_it(server, home, monkeypatch):
    folder, address = server
    (folder / "long.jpg").write_bytes(bytes(2**20 + 1))
    monkeypatch.setenv("INSIDE_CNNS_OFFLINE", "0")
    monkeypatch.setattr(download, "LARGEST", 2**20)
    with pytest.raises(OSError, match="more than 1 MB"):
        data.photo(f"{address}/long.jpg")


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/x.jpg", "https://", "http://[half/x.jpg"])
def test_an_address_that_does_not_answer(address, home, monkeypatch):
    monkeypatch.setenv("INSIDE_CNNS_OFFLINE", "0")
    with pytest.raises(OSError, match="could not download"):
        data.photo(address)


def test_no_address_is_asked_offline(home):
    with pytest.raises(ValueError, match="INSIDE_CNNS_OFFLINE keeps us from asking for https://x.org/a.jpg"):
        data.photo("https://x.org/a.jpg")


def test_a_truncated_decoded_copy_is_made_again(home):
    cifar_folders(home)
    whole = data.cifar10()[0].images
    copy = home / "cifar10" / "decoded.npz"
    content = copy.read_bytes()
    for damaged in (content[:10], content[: len(content) // 2], content[:-30]):
        copy.write_bytes(damaged)
        assert torch.equal(data.cifar10()[0].images, whole)
    copy.write_bytes(content[:-200] + bytes([content[-200] ^ 255]) + content[-199:])
    assert torch.equal(data.cifar10()[0].images, whole)


def test_a_picture_written_again_is_decoded_again(home):
    cifar_folders(home)
    data.cifar10()
    file = home / "cifar10" / "train" / "cat" / "0001.png"
    before = file.stat()
    picture(file, (1, 2, 3))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert [1, 2, 3] in data.cifar10()[0].images[:, :, 0, 0].tolist()


def test_batches_come_before_folders(home, monkeypatch):
    cifar_folders(home)
    make_batches(home, monkeypatch)
    assert len(data.cifar10()[0]) == 4


@pytest.mark.parametrize(
    "answer", [b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"]
)
def test_a_broken_mirror_gives_way_to_the_next(server, tmp_path, answer):
    served, address = server
    (served / "good").write_bytes(b"whole")
    with socket.create_server(("127.0.0.1", 0)) as broken:

        def reply():
            peer, _ = broken.accept()
            peer.recv(1000)
            peer.sendall(answer)
            peer.close()

        threading.Thread(target=reply, daemon=True).start()
        bad = f"http://127.0.0.1:{broken.getsockname()[1]}/file"
        download.fetch([bad, f"{address}/good"], tmp_path / "file", md5(served / "good"))
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_an_impossible_address_is_a_failed_download(home, monkeypatch):
    monkeypatch.setenv("INSIDE_CNNS_OFFLINE", "no")
    monkeypatch.setenv("INSIDE_CNNS_CIFAR10_URL", "http://127.0.0.1/a b")
    with pytest.warns(UserWarning, match="could not download"):
        assert "drawn" in data.cifar10()[0].source


def test_two_processes_may_unpack_at_once(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_text("content")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "a", "a")
    for _ in range(2):  # the second finds what the first put there
        download.unpack(tmp_path / "a.tar.gz", "a", tmp_path / "out")
    assert (tmp_path / "out" / "b").read_text() == "content"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "a.tar.gz", "out"]


def test_a_home_that_cannot_be_written_serves_scenes(home, monkeypatch):
    (home / "cifar-10-python.tar.gz").write_bytes(b"x")
    monkeypatch.setattr(data, "CIFAR10_MD5", hashlib.md5(b"x").hexdigest())

    def refuse(*args, **options):
        raise PermissionError("read-only")

    monkeypatch.setattr(download.tempfile, "TemporaryDirectory", refuse)
    with pytest.warns(UserWarning, match="read-only"):
        assert "drawn" in data.cifar10()[0].source


def test_files_can_be_read_by_others(tmp_path):
    download.write_whole(tmp_path / "shared", lambda path: path.write_text("x"))
    (tmp_path / "plain").write_text("x")
    assert (tmp_path / "shared").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("offline", [True, False])
@pytest.mark.parametrize(
    "classes, words",
    [
        (["kangaro"], "unknown Caltech-101 class 'kangaro'; did you mean kangaroo"),
        ("kangaroo", r"classes must be a list of names, such as \['kangaroo'\]"),
        ([], "at least one class"),
        (["kangaroo", "kangaroo"], "each once"),
    ],
)
def test_caltech101_checks_its_classes_on_every_tier(home, offline, classes, words):
    if not offline:
        caltech_folders(home)
    with pytest.raises(ValueError, match=words):
        data.caltech101(classes)


def test_caltech101_offline_takes_every_size_and_iterable(home):
    drawn = data.caltech101((name for name in ("ant", "anchor")), size=(10, 24))
    assert drawn.images.shape == (160, 3, 10, 24) and len(drawn.classes) == 2
    assert len(data.caltech101(size=16).classes) == 10


def png16(path, colour_type, channels):
    """A 4x4 PNG with 16 bits a channel, written by hand since Pillow cannot."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + struct.pack(">H", 40_000) * 4 * channels for _ in range(4))
    header = struct.pack(">IIBBBBB", 4, 4, 16, colour_type, 0, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("colour_type, channels", [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_16_bits_a_channel_are_refused(tmp_path, colour_type, channels):
    png16(tmp_path / "a" / "deep.png", colour_type, channels)
    with pytest.raises(ValueError, match="deep.png has more than 8 bits a channel"):
        data.image_folder(tmp_path)


def test_a_16_bit_ppm_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "deep.ppm").write_bytes(b"P6 2 2 65535\n" + bytes(24))
    with pytest.raises(ValueError, match="deep.ppm has more than 8 bits a channel"):
        data.image_folder(tmp_path)


def test_image_folder_cuts_out_the_middle(tmp_path):
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 16:44] = (10, 200, 90)
    (tmp_path / "a").mkdir()
    Image.fromarray(wide).save(tmp_path / "a" / "WIDE.PNG")
    (tmp_path / "a" / "._x.jpg").write_bytes(b"a Mac's shadow file")
    (tmp_path / "__MACOSX").mkdir()
    loaded = data.image_folder(str(tmp_path), size=10)
    assert loaded.images[0].flatten(1).T.unique(dim=0).tolist() == [[10, 200, 90]]


def test_scaling_is_smooth(tmp_path):
    stripes = np.zeros((40, 40, 3), np.uint8)
    stripes[:, ::2] = 255
    (tmp_path / "a").mkdir()
    Image.fromarray(stripes).save(tmp_path / "a" / "stripes.png")
    assert data.image_folder(tmp_path, size=10).images.float().sub(127.5).abs().max() < 20


def test_a_photo_by_name_comes_before_a_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cat").mkdir()
    assert data.photo("cat").shape == (3, 300, 451)


@pytest.mark.parametrize(
    "value, offline", [("1", True), ("true", True), ("0", False), ("no", False), ("False", False), (" ", False)]
)
def test_what_counts_as_offline(value, offline, monkeypatch):
    monkeypatch.setenv("INSIDE_CNNS_OFFLINE", value)
    assert data.offline() is offline


def test_home(monkeypatch, tmp_path):
    monkeypatch.setenv("INSIDE_CNNS_HOME", "~/some where")
    assert data.home() == Path.home() / "some where"
    monkeypatch.setenv("INSIDE_CNNS_HOME", " ")
    assert data.home().name == "inside-cnns"
