#!/usr/bin/env python3
"""Posts pictures as cameras, phones and editors leave them: every browser shows them, though something is wrong with their files.

    odd_pictures.py URL TOKEN

Prints a line a picture; ends with status 1 if one is wrong.
"""

import io
import struct
import zlib

import numpy
from PIL import Image, ImageSequence

from pictures import check, difference, png_chunk, refused, run, saved, seen, shows, smooth

RGB = Image.fromarray(smooth(3))
JPEG = saved(RGB, "JPEG", quality=95, subsampling=0)
PNG = saved(RGB, "PNG")
GIF = saved(RGB.quantize(64), "GIF")
WEBP = saved(RGB, "WEBP", lossless=True)
ENDINGS = {"JPEG": JPEG, "PNG": PNG, "GIF": GIF, "WebP": WEBP}

def second_segment(jpeg):
    return 4 + int.from_bytes(jpeg[4:6], "big")


def with_segment(jpeg, marker, content):
    place = second_segment(jpeg)
    return jpeg[:place] + bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content + jpeg[place:]


# -- Behind the end, between the parts, and without the end -----------------------------------------------------------

TRAILERS = {
    "a line feed": b"\n",
    "zeros": bytes(100),
    "what Canon's software puts there": b"CANON OPTIONAL DATA\0" + bytes(60) + b"CANON OPTIONAL DATA\0",
    "vivo's notes": b"vivo{\"camera\": 1}" + b"cameralbum!\0\0\0",
    "Samsung's notes": b"SEFHk\1notesSEFT",
    "AFCP": b"AXS!" + bytes(20) + b"AXS*",
    "MIE": b"~\x10\x04\xfezmie" + bytes(12) + b"~\0\0\0",
    "a video": b"\0\0\0\x18ftypmp42\0\0\0\0isommp42",
    "an archive": b"PK\5\6" + bytes(18),
    "another picture": JPEG,
    "half of another picture": JPEG[len(JPEG) // 2 :],
    "a script": b"<script>alert(1)</script>",
}
for kind, file in ENDINGS.items():
    for name, trailer in TRAILERS.items():
        @check(f"{kind}, behind it {name}")
        def _(network, file=file, trailer=trailer):
            for served in shows(network, file + trailer, file):
                assert not any(trailer) or len(trailer) < 8 or trailer not in served, "it is served"


@check("JPEG without its end")
def _(network):
    shows(network, JPEG[:-2], JPEG)


@check("JPEG that ends in the middle")
def _(network):
    refused(network, JPEG[: len(JPEG) * 2 // 3])


@check("JPEG with stray bytes between its segments")
def _(network):
    place = second_segment(JPEG)
    for stray in (b"\0", b"\xff\xff", b"\1\2\3", b"\xff\0\n"):
        shows(network, JPEG[:place] + stray + JPEG[place:], JPEG)


@check("JPEG with Photoshop's property list of a Mac")
def _(network):
    words = b"Photoshop 3.0\x008BIM\x03\xed" + b'<?xml version="1.0"?><!DOCTYPE plist PUBLIC "-//Apple Computer//DTD PLIST 1.0//EN">'
    image, _ = shows(network, with_segment(JPEG, 0xED, words), JPEG)
    assert b"plist" not in image


@check("JPEG with a comment that is shorter than its length")
def _(network):
    place = second_segment(JPEG)
    shows(network, JPEG[:place] + b"\xff\xfe\0\0" + JPEG[place:], JPEG)


@check("PNG without its last chunk")
def _(network):
    shows(network, PNG[:-12], PNG, most=0)


@check("PNG that ends in the middle")
def _(network):
    refused(network, PNG[: len(PNG) * 2 // 3])


@check("GIF without its last byte")
def _(network):
    shows(network, GIF[:-1], GIF, most=0)
    shows(network, GIF[:-2], GIF, most=0)


@check("GIF with zeros between its blocks")
def _(network):
    first = saved(RGB.quantize(64), "GIF")
    start = 13 + 3 * 64
    shows(network, first[:start] + b"\0" + first[start:-1] + b"\0\0" + first[-1:], first, most=0)


# -- What a picture says of itself ------------------------------------------------------------------------------------


@check("PNG whose gAMA says that its numbers are light")
def _(network):
    place = 8 + 25
    light = PNG[:place] + png_chunk(b"gAMA", struct.pack(">I", 100_000)) + PNG[place:]
    numbers = smooth(3) / 255
    wanted = 255 * numpy.where(numbers <= 0.0031308, 12.92 * numbers, 1.055 * numbers ** (1 / 2.4) - 0.055)
    _, image, _ = network.post(light)
    got = seen(image)[:, :, :3]
    assert numpy.abs(got - wanted).max() <= 2, f"{numpy.abs(got - wanted).max():.1f} at most"


@check("PNG whose gAMA is that of sRGB, and one that says sRGB besides")
def _(network):
    place = 8 + 25
    usual = png_chunk(b"gAMA", struct.pack(">I", 45_455))
    shows(network, PNG[:place] + usual + PNG[place:], PNG, most=0)
    shows(network, PNG[:place] + png_chunk(b"sRGB", b"\0") + png_chunk(b"gAMA", struct.pack(">I", 100_000)) + PNG[place:], PNG, most=0)


@check("an animated PNG keeps its frames and their times, and shows none that is not one of them")
def _(network):
    frames = [Image.new("RGBA", (60, 40), colour) for colour in ("red", "lime", "blue", (0, 0, 0, 0))]
    for extra in ({}, {"default_image": True}):
        shown = frames[1:] if extra else frames
        file = saved(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=[100, 200, 300, 400][-len(shown):], **extra)
        path, image, thumbnail = network.post(file)
        assert path.endswith(".webp"), path
        served = [frame.convert("RGBA") for frame in ImageSequence.Iterator(Image.open(io.BytesIO(image)))]
        assert len(served) == len(shown), f"{len(served)} frames"
        for wanted, got in zip(shown, served):
            mean, most = difference(numpy.asarray(wanted).astype(float), numpy.asarray(got).astype(float))
            assert most == 0, f"a frame differs by {mean:.1f}"
        assert difference(numpy.asarray(shown[0]).astype(float), seen(thumbnail))[1] == 0, "the thumbnail is not the first frame"


@check("lossless WebP stays exact, still and animated")
def _(network):
    art = Image.fromarray(numpy.kron(numpy.random.default_rng(7).integers(0, 255, (8, 8, 3)).astype("uint8"), numpy.ones((4, 4, 1), "uint8")))
    shows(network, saved(art, "WEBP", lossless=True), saved(art, "PNG"), most=0)
    frames = [art, art.rotate(90), art.rotate(180)]
    _, image, _ = network.post(saved(art, "WEBP", save_all=True, append_images=frames[1:], duration=50, lossless=True))
    served = [numpy.asarray(frame.convert("RGBA")).astype(float) for frame in ImageSequence.Iterator(Image.open(io.BytesIO(image)))]
    assert len(served) == 3
    for wanted, got in zip(frames, served):
        assert difference(numpy.asarray(wanted.convert("RGBA")).astype(float), got)[1] == 0


@check("lossy WebP does not wear out where colours change from place to place")
def _(network):
    down, right = numpy.mgrid[0:96, 0:128]
    waves = [127.5 + 127.5 * numpy.sin(2 * numpy.pi * (right + n * down) / 32 + n) for n in (0, 1, 2)]
    patches = numpy.kron(numpy.random.default_rng(5).integers(0, 255, (6, 8, 3)), numpy.ones((16, 16, 1)))
    for pixels in (numpy.stack(waves, axis=2), patches):
        original = saved(Image.fromarray(pixels.astype("uint8")), "WEBP", quality=75)
        data = original
        for _ in range(6):
            _, data, _ = network.post(data)
        mean, _ = difference(seen(original), seen(data))
        assert mean <= 2, f"{mean:.2f} on average after six times"


@check("the thumbnail of a dithered GIF has the colours that its dots make")
def _(network):
    down, right = numpy.mgrid[0:600, 0:800]
    gradient = Image.fromarray(numpy.stack([right * 255 // 799, down * 255 // 599, 255 - right * 255 // 799], axis=2).astype("uint8"))
    dithered = gradient.convert("1").convert("P"), gradient.quantize(8, dither=Image.Dither.FLOYDSTEINBERG)
    for picture in dithered:
        _, _, thumbnail = network.post(saved(picture, "GIF"))
        small = Image.open(io.BytesIO(thumbnail)).convert("RGB")
        wanted = picture.convert("RGB").resize((40, 30), Image.Resampling.BOX)
        got = small.resize((40, 30), Image.Resampling.BOX)
        distance = numpy.abs(numpy.asarray(wanted).astype(float) - numpy.asarray(got).astype(float)).mean()
        assert distance <= 8, f"{distance:.1f} on average"


@check("GIF keeps its frames, times and colours exactly")
def _(network):
    frames = [Image.fromarray(numpy.roll(smooth(3), n * 9, axis=1)).quantize(200) for n in range(6)]
    file = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=[40, 80, 120, 160, 200, 240], loop=3)
    _, image, _ = network.post(file)
    before, after = Image.open(io.BytesIO(file)), Image.open(io.BytesIO(image))
    assert before.n_frames == after.n_frames and before.info["loop"] == after.info["loop"]
    for number in range(before.n_frames):
        before.seek(number)
        after.seek(number)
        assert before.info["duration"] == after.info["duration"]
        assert difference(numpy.asarray(before.convert("RGBA")).astype(float), numpy.asarray(after.convert("RGBA")).astype(float))[1] == 0


def gif(width, height, frames):
    """A GIF with black and white, of frames (left, top, width, height), all white."""
    body = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(3) + b"\xff" * 3
    for frame in frames:
        pixels = frame[2] * frame[3]
        codes, bits = [4] + [code for _ in range(pixels) for code in (1, 4)] + [5], 0
        for number, code in enumerate(codes):
            bits |= code << (3 * number)
        data = bits.to_bytes((3 * len(codes) + 7) // 8, "little")
        blocks = b"".join(bytes([len(data[n:n + 255])]) + data[n:n + 255] for n in range(0, len(data), 255))
        body += b"," + struct.pack("<HHHHB", *frame, 0) + b"\2" + blocks + b"\0"
    return body + b";"


@check("GIF whose frame is smaller than its screen shows nothing around it")
def _(network):
    for width, side in ((40, 40), (800, 400)):
        _, image, thumbnail = network.post(gif(width, width, [(0, 0, width // 2, 16)]))
        assert struct.unpack("<HHHH", image[image.index(b",", 19) + 1:][:8]) == (0, 0, width // 2, 16), "the frame has another place"
        small = Image.open(io.BytesIO(thumbnail))
        assert small.size == (side, side)
        if side < width:
            assert small.convert("RGBA").getpixel((side - 1, side - 1))[3] == 0, "there is something around it in the thumbnail"
            assert small.convert("RGBA").getpixel((2, 2)) == (255, 255, 255, 255)


# -- Too much ---------------------------------------------------------------------------------------------------------


@check("an animation of more than 40 megapixels in all is told so")
def _(network):
    refused(network, gif(1000, 1000, [(0, 0, 1, 1)] * 41), "the frames of the animation have more than 40 megapixels in all")
    network.post(gif(1000, 1000, [(0, 0, 1, 1)] * 40))
    refused(network, gif(8001, 5000, [(0, 0, 1, 1)]), "the image has more than 40 megapixels")


@check("frames without end, and scans without end, are refused before anything is decoded")
def _(network):
    refused(network, gif(1, 1, [(0, 0, 1, 1)] * 9_766), "the frames of the animation have more than 40 megapixels in all")
    network.post(gif(1, 1, [(0, 0, 1, 1)] * 9_765))
    wide = saved(Image.new("L", (8000, 5000)), "JPEG", progressive=True)
    scan = wide[wide.index(b"\xff\xda"): -2]
    refused(network, wide[:-2] + scan * 40 + wide[-2:])


@check("a picture that says to be far larger than what it has is refused")
def _(network):
    refused(network, PNG[:16] + struct.pack(">II", 6000, 6000) + PNG[24:29] + struct.pack(
        ">I", zlib.crc32(PNG[12:16] + struct.pack(">II", 6000, 6000) + PNG[24:29])) + PNG[33:])


run()
