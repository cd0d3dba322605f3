"""What the tests of pictures have in common: making them, posting them, and looking at them with Pillow."""

import io
import json
import struct
import sys
import urllib.error
import urllib.request
import zlib

import numpy
from PIL import Image


def smooth(channels):
    """A smooth pattern that goes through most colours: rows of pixels."""
    width, height = 96, 64
    down, right = numpy.mgrid[0:height, 0:width] / numpy.array([height - 1, width - 1]).reshape(2, 1, 1)
    planes = [right, down, 1 - (right + down) / 2, 0.25 + 0.75 * right * down]
    return numpy.stack([255 * planes[n] for n in range(channels)], axis=2).round().astype("uint8")


def saved(image, kind, **options):
    """The bytes of a picture of Pillow's as a file of a kind."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


class Refused(Exception):
    """An answer other than success; its message is what it says."""


class Network:
    """The service at URL, as whom the token names."""

    def __init__(self, url, token):
        self.url, self.token = url, token

    def post(self, data):
        """Posts a picture. Returns the post's image_url, the picture as it is served, and its thumbnail."""
        body = b""
        for name, value in ((b"title", b"Colours"), (b"content", b"Seen")):
            body += b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name, value)
        body += b'--b\r\nContent-Disposition: form-data; name="image"; filename="p"\r\n\r\n' + data + b"\r\n--b--\r\n"
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "multipart/form-data; boundary=b"}
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + "/posts", body, headers), timeout=60) as answer:
                post = json.load(answer)["post"]
        except urllib.error.HTTPError as error:
            raise Refused(f"{error.code} {error.read().decode()}") from error
        return post["image_url"], self.fetch(post["image_url"]), self.fetch(post["thumbnail_url"])

    def fetch(self, path):
        with urllib.request.urlopen(self.url + path, timeout=20) as answer:
            return answer.read()


def seen(data):
    """The first frame as it is to be seen: red, green, blue and alpha."""
    return numpy.asarray(Image.open(io.BytesIO(data)).convert("RGBA")).astype(float)


def difference(wanted, got):
    """On average and at most, over what can be seen: colours as far as they are opaque, and how opaque they are."""
    if wanted.shape != got.shape:
        return 255.0, 255.0

    def flat(pixels):
        return numpy.concatenate([pixels[:, :, :3] * pixels[:, :, 3:] / 255, pixels[:, :, 3:]], axis=2)

    distance = numpy.abs(flat(wanted) - flat(got))
    return distance.mean(), distance.max()


def shows(network, data, like, most=2.0):
    """A picture is taken, and shows the same as another file. Returns it as it is served, and its thumbnail."""
    _, image, thumbnail = network.post(data)
    for file in (image, thumbnail):
        mean, _ = difference(seen(like), seen(file))
        assert mean <= most, f"{mean:.2f} on average"
    return image, thumbnail


def refused(network, data, words=""):
    try:
        network.post(data)
    except Refused as error:
        assert str(error).startswith("422 ") and words in str(error), str(error)
        return
    raise AssertionError("it was taken")


checks = []


def check(name):
    """Makes a check of a function, which gets the network and asserts what is right."""
    def add(function):
        checks.append((name, function))
        return function
    return add


def run():
    """Does all checks at URL and as whom TOKEN names, the program's arguments, and ends the program."""
    network, wrong = Network(*sys.argv[1:]), 0
    for name, function in checks:
        try:
            function(network)
            print(f"ok  {name}")
        except (AssertionError, Refused) as error:
            wrong += 1
            print(f"WRONG  {name}: {error}")
    print(f"{len(checks)} checks, {wrong} wrong")
    sys.exit(wrong > 0)
