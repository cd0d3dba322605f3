#!/usr/bin/env python3
"""Posts animations, some with something wrong in their files, and looks at what is kept of them: as headless Chromium shows them.

    animations.py URL TOKEN

Prints a line a check; ends with status 1 if one is wrong.
"""

import io
import struct
import zlib

import numpy
from PIL import Image, ImageSequence

from pictures import check, difference, png_chunk, refused, run, saved, seen, shows, smooth


def frames(data):
    return [numpy.asarray(frame.convert("RGBA")).astype(float) for frame in ImageSequence.Iterator(Image.open(io.BytesIO(data)))]


# -- WebP -------------------------------------------------------------------------------------------------------------


def webp_frames(data):
    """What each frame of an animated WebP says of itself: place, size, time, blending and disposal; and how often all is shown."""
    place, said = 12, []
    while place < len(data):
        kind, size = data[place:place + 4], int.from_bytes(data[place + 4:place + 8], "little")
        content = data[place + 8:place + 8 + size]
        if kind == b"ANIM":
            said.append(content[4:6])
        if kind == b"ANMF":
            said.append(content[:16])
        place += 8 + size + size % 2
    return said


def waves(number, channels=3):
    """Colours that change from place to place, and move."""
    down, right = numpy.mgrid[0:96, 0:128]
    planes = [127.5 + 127.5 * numpy.sin(2 * numpy.pi * (right + n * down + 5 * number) / 32 + n) for n in range(channels)]
    return numpy.stack(planes, axis=2).astype("uint8")


def square(number):
    """A square of waves that moves over grey: frames that are smaller than their canvas."""
    picture = numpy.full((96, 128, 3), 200, "uint8")
    picture[20:60, 10 + 12 * number:50 + 12 * number] = waves(number)[20:60, 10 + 12 * number:50 + 12 * number]
    return picture


@check("animated lossy WebP does not wear out, and keeps its alpha, places, times and how often it is shown")
def _(network):
    for pictures in ([waves(n) for n in range(4)], [waves(n, 4) for n in range(4)], [square(n) for n in range(4)]):
        images = [Image.fromarray(picture) for picture in pictures]
        original = saved(images[0], "WEBP", save_all=True, append_images=images[1:], duration=[40, 80, 120, 160], loop=3, quality=75)
        data = original
        for _ in range(6):
            _, data, thumbnail = network.post(data)
        wanted, got = frames(original), frames(data)
        mean = max(difference(*pair)[0] for pair in zip(wanted, got, strict=True))
        assert mean <= 2, f"{mean:.2f} on average after six times"
        assert all((a[:, :, 3] == b[:, :, 3]).all() for a, b in zip(wanted, got)), "the alpha differs"
        assert webp_frames(data) == webp_frames(original), "its frames have other places or times"
        mean, _ = difference(got[0], seen(thumbnail))
        assert mean <= 4, f"the thumbnail is {mean:.2f} from the first frame"


@check("a thumbnail of an animated WebP shows its first frame in its place")
def _(network):
    still = saved(Image.new("RGB", (40, 20), (10, 200, 30)), "WEBP", lossless=True)
    content = struct.pack("<I", 50)[:3] + struct.pack("<I", 30)[:3] + struct.pack("<I", 39)[:3] + struct.pack("<I", 19)[:3] + b"\x64\0\0\2"
    body = content + still[12:]
    chunks = b"VP8X" + struct.pack("<I", 10) + b"\x12\0\0\0" + struct.pack("<I", 199)[:3] + struct.pack("<I", 99)[:3]
    chunks += b"ANIM" + struct.pack("<IIH", 6, 0, 0) + (b"ANMF" + struct.pack("<I", len(body)) + body) * 2
    _, image, thumbnail = network.post(b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks)
    wanted = numpy.zeros((100, 200, 4))
    wanted[60:80, 100:140] = (10, 200, 30, 255)
    for file in (image, thumbnail):
        assert difference(wanted, seen(file))[1] == 0


@check("an animated WebP of which a later frame is broken shows the frames before it")
def _(network):
    images = [Image.fromarray(waves(n)) for n in range(3)]
    whole = saved(images[0], "WEBP", save_all=True, append_images=images[1:], duration=50, lossless=True)
    last = whole.rindex(b"VP8L") + 30
    _, image, _ = network.post(whole[:last] + bytes([0x55]) * (len(whole) - last))
    got = frames(image)
    assert len(got) == 2, f"{len(got)} frames"
    for wanted, frame in zip(frames(whole), got):
        assert difference(wanted, frame)[1] == 0


# -- PNG --------------------------------------------------------------------------------------------------------------

PIXELS = [numpy.roll(smooth(3), 9 * n, axis=1) for n in range(3)]
HEIGHT, WIDTH = PIXELS[0].shape[:2]
START = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0))
END = png_chunk(b"IEND", b"")


def packed(pixels):
    return zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels))


def counts(count, plays=0):
    return png_chunk(b"acTL", struct.pack(">II", count, plays))


def control(number, width=WIDTH, left=0, disposal=0, blending=0):
    return png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, width, HEIGHT, left, 0, 1, 10, disposal, blending))


def picture(number=0):
    return png_chunk(b"IDAT", packed(PIXELS[number]))


def more(number, frame):
    return png_chunk(b"fdAT", struct.pack(">I", number) + packed(PIXELS[frame]))


def wrong_sum(chunk):
    return chunk[:-1] + bytes([chunk[-1] ^ 1])


def animated(count=counts(3), numbers=(0, 1, 2, 3, 4), second=None):
    """Three frames."""
    first = START + count + control(numbers[0]) + picture()
    return first + (second or control(numbers[1]) + more(numbers[2], 1)) + control(numbers[3]) + more(numbers[4], 2) + END


# (what is odd, the file, how many frames of the three are shown)
APNG = [
    ("nothing", animated(), 3),
    ("its first fcTL is before acTL", START + control(0) + counts(3) + picture() + animated()[len(START + counts(3) + control(0) + picture()):], 3),
    ("acTL behind the first pixels", START + control(0) + picture() + counts(3) + control(1) + more(2, 1) + END, 1),
    ("acTL says no frames", animated(counts(0)), 1),
    ("acTL says one frame", animated(counts(1)), 1),
    ("acTL says two frames", animated(counts(2)), 2),
    ("acTL says more frames than there are", animated(counts(100)), 3),
    ("acTL says more frames than PNG can count", animated(counts(1 << 31)), 1),
    ("acTL says more plays than PNG can count", animated(counts(3, 1 << 31)), 1),
    ("acTL's checksum is wrong", animated(wrong_sum(counts(3))), 1),
    ("its second fcTL has the number of its third", animated(numbers=(0, 3, 2, 1, 4)), 1),
    ("a number is left out", animated(numbers=(0, 1, 2, 4, 5)), 2),
    ("all numbers are 0", animated(numbers=(0, 0, 0, 0, 0)), 1),
    ("the last fdAT has another number", animated(numbers=(0, 1, 2, 3, 9)), 2),
    ("fcTL's checksum is wrong", animated(second=wrong_sum(control(1)) + more(2, 1)), 1),
    ("a frame reaches beyond the picture", animated(second=control(1, left=5) + more(2, 1)), 1),
    ("a frame has no width", animated(second=control(1, width=0) + more(2, 1)), 1),
    ("a frame is blended as PNG does not know", animated(second=control(1, blending=7) + more(2, 1)), 1),
    ("a frame is disposed of as PNG does not know", animated(second=control(1, disposal=7) + more(2, 1)), 1),
    ("a frame's pixels are broken", animated(second=control(1) + png_chunk(b"fdAT", struct.pack(">I", 2) + packed(PIXELS[1])[:200] + b"x" * 99)), 1),
    ("it ends in its third frame", animated()[:-len(END) - 200], 2),
    ("it ends behind its third frame", animated()[:-len(END)], 3),
]
for name, file, count in APNG:
    @check(f"animated PNG, of which this is odd: {name}")
    def _(network, file=file, count=count):
        _, image, thumbnail = network.post(file)
        got = frames(image)
        assert len(got) == count, f"{len(got)} frames and not {count}"
        for wanted, frame in zip(PIXELS, got):
            assert difference(numpy.dstack([wanted, numpy.full((HEIGHT, WIDTH), 255)]).astype(float), frame)[1] == 0, "a frame differs"
        assert difference(got[0], seen(thumbnail))[1] == 0, "the thumbnail is not the first frame"


WHOLE = START + picture() + END
CODED = packed(PIXELS[0])
for name, file in {
    "with a wrong sum of its pixels": START + png_chunk(b"IDAT", CODED[:-4] + b"sums") + END,
    "that ends before the checksum of its pixels": WHOLE[:-16],
    "that ends in the sum of its pixels": WHOLE[:-18],
    "that ends at the head of more pixels than it has": WHOLE[:-12] + b"\0\0\1\0IDAT",
    "that ends in more pixels than it has": WHOLE[:-12] + b"\0\0\1\0IDATmore",
    "whose pixels are in two parts, of which the second is cut":
        START + png_chunk(b"IDAT", CODED[:-10]) + png_chunk(b"IDAT", CODED[-10:] + bytes(50))[:30],
}.items():
    @check(f"PNG {name}")
    def _(network, file=file):
        shows(network, file, WHOLE, most=0)


@check("PNG without its last pixel")
def _(network):
    rows = zlib.decompress(CODED)[:-1]
    refused(network, START + png_chunk(b"IDAT", zlib.compress(rows)) + END)


@check("a chunk of PNG that has a wrong checksum counts for nothing")
def _(network):
    held = png_chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0")
    colours = png_chunk(b"cICP", bytes([9, 13, 0, 1]))
    shows(network, START + wrong_sum(held) + wrong_sum(colours) + picture() + END, WHOLE, most=0)
    start = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 3, 0, 0, 0)) + png_chunk(b"PLTE", bytes(range(6)))
    rest = png_chunk(b"IDAT", zlib.compress(b"\0\0\1\0\1" * 4)) + END
    alpha = png_chunk(b"tRNS", b"\x80")
    shows(network, start + wrong_sum(alpha) + rest, start + rest, most=0)
    shows(network, start + alpha + png_chunk(b"tRNS", b"\x20") + rest, start + alpha + rest, most=0)


@check("PNG with a number for which there is no colour shows its last colour there")
def _(network):
    start = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 3, 0, 0, 0))
    rest = png_chunk(b"IDAT", zlib.compress(b"\0\0\1\2\xff" * 4)) + END
    two, many = bytes([255, 0, 0, 0, 0, 255]), bytes([255, 0, 0]) + bytes([0, 0, 255]) * 255
    for alpha in (b"", b"\x80", b"\x80\x40"):
        tail = png_chunk(b"tRNS", alpha) if alpha else b""
        full = png_chunk(b"tRNS", alpha + alpha[1:] * 254) if alpha else b""
        shows(network, start + png_chunk(b"PLTE", two) + tail + rest, start + png_chunk(b"PLTE", many) + full + rest, most=0)


# -- GIF --------------------------------------------------------------------------------------------------------------


def gif(side, parts, colours=bytes([255, 0, 0, 0, 255, 0])):
    flags = 0x80 if colours else 0
    return b"GIF89a" + struct.pack("<HHBBB", side, side, flags, 0, 0) + colours + b"".join(parts) + b";"


def gif_frame(left, top, side, numbers):
    """A square of numbers of colours, again and again from its first pixel on."""
    codes = [4] + [code for pixel in range(side * side) for code in (numbers[pixel % len(numbers)], 4)] + [5]
    bits = int("".join(f"{code:03b}" for code in reversed(codes)), 2)
    data = bits.to_bytes((3 * len(codes) + 7) // 8, "little")
    blocks = b"".join(bytes([len(data[n:n + 255])]) + data[n:n + 255] for n in range(0, len(data), 255))
    return b"," + struct.pack("<HHHHB", left, top, side, side, 0) + b"\2" + blocks + b"\0"


def loop(count):
    return b"!\xff\x0bNETSCAPE2.0\3\1" + struct.pack("<H", count) + b"\0"


def pause(transparent=None):
    return b"!\xf9\4" + bytes([transparent is not None]) + struct.pack("<HB", 10, transparent or 0) + b"\0"


@check("GIF of which a later frame reaches beyond the screen is as large as its screen")
def _(network):
    first = gif_frame(0, 0, 450, [0])
    for beyond in (gif_frame(440, 440, 60, [1]), gif_frame(600, 600, 4, [1]), gif_frame(60_000, 60_000, 4, [1])):
        _, image, thumbnail = network.post(gif(450, [pause(), first, pause(), beyond]))
        assert Image.open(io.BytesIO(image)).n_frames == 2
        small = Image.open(io.BytesIO(thumbnail)).convert("RGBA")
        assert small.size == (400, 400) and small.getpixel((399, 399)) == (255, 0, 0, 255), "the thumbnail is not the screen"


@check("of a GIF's counts of plays the last one counts, wherever it is")
def _(network):
    one, two = pause() + gif_frame(0, 0, 4, [0]), pause() + gif_frame(0, 0, 4, [1])
    for parts, count in (([loop(3), loop(5), one, two], 5), ([loop(3), one, loop(5), two], 5), ([loop(3), one, two, loop(5)], 5),
                         ([one, two, loop(7)], 7), ([loop(3), one, two, loop(0)], 0), ([loop(3), one, two], 3)):
        _, image, _ = network.post(gif(4, parts))
        found = [struct.unpack("<H", image[place + 13:place + 15])[0] for place in range(len(image)) if image[place:].startswith(b"NETSCAPE2.0")]
        assert found == [count], f"{found} and not {count}"


@check("GIF with a number for which there is no colour shows black there")
def _(network):
    red, green, black, none = (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 0, 255), (0, 0, 0, 0)
    for side in (8, 480):
        for transparent, row in ((None, [red, green, black, black]), (1, [red, none, black, black]), (3, [red, green, black, none])):
            parts = [pause(transparent), gif_frame(0, 0, side, [0, 1, 2, 3])]
            _, image, thumbnail = network.post(gif(side, parts))
            for file in (image, thumbnail) if side < 400 else (image,):
                got = [tuple(int(number) for number in pixel) if pixel[3] else none for pixel in seen(file)[0, :4]]
                assert got == row, got
    _, _, thumbnail = network.post(gif(480, [pause(), gif_frame(0, 0, 480, [2])]))
    assert Image.open(io.BytesIO(thumbnail)).convert("RGBA").getpixel((9, 9)) == black, "a large one's thumbnail"
    _, image, _ = network.post(gif(8, [gif_frame(0, 0, 8, [0, 1])], b""))
    assert Image.open(io.BytesIO(image)).convert("RGBA").getpixel((0, 0)) == black, "one without colours"


run()
