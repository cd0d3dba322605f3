#!/usr/bin/env python3
"""Posts pictures that say which colours they mean by other things than common profiles, and looks at the colours that come out.

    said_colours.py URL TOKEN

PNG's cHRM, gAMA and cICP are compared with what their chromaticities and curves give by themselves (W3C PNG, third edition, section 13.13,
and ITU-T H.273), profiles that are tables, as XYB's, with the colours that are written into the table. Headless Chromium paints the same,
but for one of 255. Prints a line a check; ends with status 1 if one is wrong.
"""

import struct
import zlib

import numpy
from PIL import Image, ImageCms

from colours import profile, text
from pictures import check, png_chunk, run, saved, seen, smooth

SRGB = {"red": (0.64, 0.33), "green": (0.3, 0.6), "blue": (0.15, 0.06)}
P3 = {"red": (0.68, 0.32), "green": (0.265, 0.69), "blue": (0.15, 0.06)}
WIDE = {"red": (0.708, 0.292), "green": (0.17, 0.797), "blue": (0.131, 0.046)}
ADOBE = {"red": (0.64, 0.33), "green": (0.21, 0.71), "blue": (0.15, 0.06)}
EUROPE = {"red": (0.64, 0.33), "green": (0.29, 0.6), "blue": (0.15, 0.06)}
AMERICA = {"red": (0.63, 0.34), "green": (0.31, 0.595), "blue": (0.155, 0.07)}
DAYLIGHT = (0.3127, 0.329)


def to_xyz(primaries):
    """The matrix from light of three lamps, which give white daylight together, to CIE XYZ."""
    lamps = numpy.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries.values()]).T
    white = numpy.array([DAYLIGHT[0] / DAYLIGHT[1], 1, (1 - sum(DAYLIGHT)) / DAYLIGHT[1]])
    return lamps * numpy.linalg.solve(lamps, white)


def srgb_light(numbers):
    return numpy.where(numbers <= 0.04045, numbers / 12.92, ((numbers + 0.055) / 1.055) ** 2.4)


def in_srgb(pixels, primaries, light):
    """What numbers mean, as numbers of sRGB.

    - light: from numbers of 0 to 1 to light.
    """
    shown = light(pixels / 255) @ (numpy.linalg.inv(to_xyz(SRGB)) @ to_xyz(primaries)).T
    shown = numpy.clip(shown, 0, 1)
    return 255 * numpy.where(shown <= 0.0031308, 12.92 * shown, 1.055 * shown ** (1 / 2.4) - 0.055)


def power(exponent):
    return lambda numbers: numbers ** exponent


def png(pixels, *chunks):
    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if pixels.ndim == 3 else 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*some) for some in ((b"IHDR", header), *chunks, (b"IDAT", rows), (b"IEND", b"")))


def chromaticities(primaries):
    return b"cHRM", struct.pack(">8I", *(round(value * 100_000) for place in (DAYLIGHT, *primaries.values()) for value in place))


def gamma(exponent):
    return b"gAMA", struct.pack(">I", round(100_000 / exponent))


def code_points(*numbers):
    return b"cICP", bytes(numbers)


def paints(network, file, wanted, most=2):
    _, image, thumbnail = network.post(file)
    for name, data in (("the image", image), ("the thumbnail", thumbnail)):
        distance = numpy.abs(seen(data)[:, :, :3] - wanted)
        assert distance.max() <= most, f"{name} is {distance.max():.1f} of 255 off at most, {distance.mean():.2f} on average"


COLOURS = smooth(3)
for name, primaries in (("sRGB", SRGB), ("Display P3", P3), ("Adobe RGB", ADOBE)):
    for exponent in (1, 1.8, 2.2):
        @check(f"PNG with the chromaticities of {name} and a gamma of {exponent}, in either order")
        def _(network, primaries=primaries, exponent=exponent):
            wanted = in_srgb(COLOURS, primaries, power(exponent))
            said = chromaticities(primaries), gamma(exponent)
            paints(network, png(COLOURS, *said), wanted)
            paints(network, png(COLOURS, *reversed(said)), wanted)


@check("chromaticities without a gamma count for nothing")
def _(network):
    paints(network, png(COLOURS, chromaticities(P3)), COLOURS, most=0)


for name, numbers, primaries, light in (
    ("sRGB", (1, 13), SRGB, srgb_light), ("Display P3", (12, 13), P3, srgb_light), ("BT.2020", (9, 14), WIDE, power(2.4)),
    ("BT.709", (1, 1), SRGB, power(2.4)), ("linear light", (1, 8), SRGB, power(1)), ("BT.470 M's curve", (1, 4), SRGB, power(2.2)),
    ("BT.470 BG", (5, 5), EUROPE, power(2.8)), ("SMPTE 170M", (6, 6), AMERICA, power(2.4)),
):
    @check(f"PNG whose cICP says {name}, whatever is said besides")
    def _(network, numbers=numbers, primaries=primaries, light=light):
        wanted, said = in_srgb(COLOURS, primaries, light), code_points(*numbers, 0, 1)
        paints(network, png(COLOURS, said), wanted)
        paints(network, png(COLOURS, gamma(1), said, chromaticities(ADOBE)), wanted)
        paints(network, png(COLOURS, (b"sRGB", b"\0"), said), wanted)


@check("grey PNG whose cICP says that its numbers are light")
def _(network):
    wanted = in_srgb(COLOURS[:, :, :1].repeat(3, axis=2), SRGB, power(1))
    paints(network, png(COLOURS[:, :, 0].copy(), code_points(1, 8, 0, 1)), wanted)


@check("cICP without a meaning counts for nothing, and gAMA counts then")
def _(network):
    for numbers in ((2, 2, 0, 1), (200, 200, 0, 1), (12, 2, 0, 1), (12, 13, 0, 0), (2, 13, 0, 1)):
        paints(network, png(COLOURS, code_points(*numbers)), COLOURS, most=0)
    paints(network, png(COLOURS, code_points(200, 200, 0, 1), gamma(1)), in_srgb(COLOURS, SRGB, power(1)))


# Numbers of a row of one colour, and what Chromium 156 paints for them: what sRGB's screens cannot show is dimmed.
NUMBERS = (16, 32, 64, 96, 128, 144, 160, 176, 192)
BRIGHT = {
    ("PQ", 9, 16): {
        (1, 1, 1): [(1, 1, 1), (5, 5, 5), (30, 30, 30), (70, 70, 70), (132, 132, 132), (175, 175, 175), (213, 213, 213), (237, 237, 237),
                    (255, 255, 255)],
        (0, 1, 0): [(0, 1, 0), (0, 6, 0), (0, 32, 0), (0, 75, 0), (0, 140, 0), (0, 185, 0), (0, 226, 0), (0, 250, 0), (0, 255, 0)],
    },
    ("PQ with Display P3", 12, 16): {
        (1, 0, 0): [(1, 0, 0), (6, 0, 0), (34, 0, 0), (78, 0, 0), (145, 0, 0), (192, 0, 0), (247, 0, 0), (255, 0, 0), (255, 0, 0)],
    },
    ("HLG", 9, 18): {
        (1, 1, 1): [(3, 3, 3), (14, 14, 14), (43, 43, 43), (71, 71, 71), (99, 99, 99), (115, 115, 115), (135, 135, 135), (160, 160, 160),
                    (189, 189, 189)],
        (0, 0, 1): [(0, 0, 2), (0, 0, 9), (0, 0, 33), (0, 0, 56), (0, 0, 80), (0, 0, 93), (0, 0, 110), (0, 0, 130), (0, 0, 154)],
    },
}
for (name, primaries, function), colours in BRIGHT.items():
    @check(f"PNG for brighter screens, whose cICP says {name}")
    def _(network, said=code_points(primaries, function, 0, 1), colours=colours):
        for colour, wanted in colours.items():
            pixels = numpy.array([[[number * share for share in colour] for number in NUMBERS]]).astype("uint8")
            paints(network, png(pixels, said), numpy.array([wanted]))
        grey = numpy.array([NUMBERS]).astype("uint8")
        if (1, 1, 1) in colours:
            paints(network, png(grey, said), numpy.array([colours[1, 1, 1]]))


def table_of(colours):
    """A profile that is a table from red, green and blue to CIE Lab, as XYB's are: nothing but A2B0 says what its numbers mean.

    - colours: a function from numbers of sRGB, an array of 17^3 rows, to those that are to be seen.
    """
    side = numpy.round(numpy.linspace(0, 255, 17))
    grid = numpy.stack(numpy.meshgrid(side, side, side, indexing="ij"), axis=3).reshape(1, -1, 3)
    shown = Image.fromarray(colours(grid).astype("uint8"))
    lab = numpy.asarray(ImageCms.profileToProfile(shown, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"))
    # Of version 2: 65,280 is 100 for L, and 32,768 is 0 for a and b (ICC.1:2001-04, table 76). Pillow's a and b have a sign.
    values = lab.reshape(-1, 3).astype(int)
    values = numpy.stack([values[:, 0] * 256, (values[:, 1] ^ 128) * 256, (values[:, 2] ^ 128) * 256], axis=1)
    line = struct.pack(">2H", 0, 65535)
    table = b"mft2" + bytes(4) + bytes([3, 3, 17, 0]) + struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536) + struct.pack(">HH", 2, 2)
    table += line * 3 + values.astype(">u2").tobytes() + line * 3
    made = profile(b"RGB ", [("desc", text("Table")), ("cprt", b"text" + bytes(4) + b"none\0"), ("A2B0", table)])
    return made[:20] + b"Lab " + made[24:]


@check("a profile that is nothing but a table is honoured: as one in which red and blue have changed places")
def _(network):
    swapped = table_of(lambda grid: grid[:, :, ::-1])
    image = Image.fromarray(COLOURS)
    wanted = COLOURS[:, :, ::-1].astype(float)
    for file in (saved(image, "JPEG", quality=97, subsampling=0, icc_profile=swapped), saved(image, "PNG", icc_profile=swapped),
                 saved(image, "WEBP", lossless=True, icc_profile=swapped)):
        _, served, thumbnail = network.post(file)
        for data in (served, thumbnail):
            distance = numpy.abs(seen(data)[:, :, :3] - wanted)
            assert distance.mean() <= 2, f"{distance.mean():.2f} on average"


run()
