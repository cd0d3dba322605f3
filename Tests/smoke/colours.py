#!/usr/bin/env python3
"""Posts pictures whose colours are known and looks, with Pillow, at the colours that come out.

    colours.py URL TOKEN

Every kind of picture is made with every profile, posted, fetched, posted again as it came, five times more, and compared each time with
what Pillow says that the first one shows. A lossy picture may differ by 2 of 255 on average; a lossless one not at all, and where a
profile was applied by the rounding of it. Prints a line a picture; ends with status 1 if one is wrong.
"""

import io
import struct
import sys
import zlib

import numpy
from PIL import Image, ImageCms

from pictures import Network, difference, png_chunk, saved, seen, smooth

PASSES = 5
WIDTH, HEIGHT = smooth(1).shape[1::-1]


# -- Profiles (ICC.1:2010): a matrix and a curve, or a curve alone ----------------------------------------------------


def profile(space, tags):
    """A version 2 profile of a display from its tags, name to bytes."""
    table, data, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags:
        content += bytes(-len(content) % 4)
        table += name.encode() + struct.pack(">II", start + len(data), len(content))
        data += content
    header = struct.pack(">I4sI4s4s4s", start + len(data), b"test", 0x02400000, b"mntr", space, b"XYZ ")
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += struct.pack(">3i", round(0.9642 * 65536), 65536, round(0.8249 * 65536))
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def text(words):
    return b"desc" + bytes(4) + struct.pack(">I", len(words) + 1) + words.encode() + b"\0" + bytes(78)


def point(x, y, z):
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in (x, y, z)))


def curve(values):
    """From numbers to light: an exponent, or a table."""
    if isinstance(values, float):
        return b"curv" + bytes(4) + struct.pack(">IH", 1, round(values * 256))
    return b"curv" + bytes(4) + struct.pack(f">I{len(values)}H", len(values), *(round(value * 65535) for value in values))


def srgb_curve():
    numbers = numpy.linspace(0, 1, 1024)
    return list(numpy.where(numbers <= 0.04045, numbers / 12.92, ((numbers + 0.055) / 1.055) ** 2.4))


def of_colours(name, red, green, blue, tone):
    common = [("desc", text(name)), ("cprt", b"text" + bytes(4) + b"none\0"), ("wtpt", point(0.9642, 1, 0.8249))]
    return profile(b"RGB ", common + [(tag, point(*xyz)) for tag, xyz in (("rXYZ", red), ("gXYZ", green), ("bXYZ", blue))]
                   + [(tag, curve(tone)) for tag in ("rTRC", "gTRC", "bTRC")])


# The colorants are those of the profiles that Apple and Adobe publish, adapted to D50.
PROFILES = {
    "none": None,
    "sRGB": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    "Display P3": of_colours("P3", (0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841), srgb_curve()),
    "Adobe RGB": of_colours("A98", (0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446), 2.19921875),
    "grey": profile(b"GRAY", [("desc", text("Grey")), ("cprt", b"text" + bytes(4) + b"none\0"), ("wtpt", point(0.9642, 1, 0.8249)),
                              ("kTRC", curve(1.8))]),
}

# -- Pictures ---------------------------------------------------------------------------------------------------------


def png(colour_type, depth, rows, chunks=()):
    """A PNG file of rows of bytes: what Pillow does not write."""
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colour_type, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    return (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + b"".join(png_chunk(*some) for some in chunks)
            + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b""))


def deep(channels, colour_type, icc):
    """16 bits a channel, the lower byte of which is not nothing."""
    wide = (smooth(channels).astype(int) * 256 + 100).astype(">u2")
    chunks = [(b"iCCP", b"x\0\0" + zlib.compress(icc))] if icc else []
    return png(colour_type, 16, [row.tobytes() for row in wide], chunks)


RGB = Image.fromarray(smooth(3))
RGBA = Image.fromarray(smooth(4))
GREY = Image.fromarray(smooth(3)[:, :, 0])
PALETTE = RGB.quantize(200)
LA = Image.merge("LA", (GREY, Image.fromarray(smooth(4)[:, :, 3])))
INKS = Image.merge("CMYK", [Image.fromarray(smooth(4)[:, :, n] // (1 if n < 3 else 2)) for n in range(4)])


def pictures(icc):
    """(name, the picture as Pillow has it, its file, whether it is lossless)."""
    some = {"icc_profile": icc} if icc else {}
    yield "grey JPEG", None, saved(GREY, "JPEG", quality=95, **some), False
    yield "JPEG", None, saved(RGB, "JPEG", quality=95, **some), False
    yield "JPEG 4:4:4", None, saved(RGB, "JPEG", quality=95, subsampling=0, **some), False
    yield "JPEG of inks", None, saved(INKS, "JPEG", quality=95, **some), False
    yield "grey PNG", GREY, saved(GREY, "PNG", **some), True
    yield "grey PNG with alpha", LA, saved(LA, "PNG", **some), True
    yield "PNG of 1 bit", GREY.convert("1"), saved(GREY.convert("1"), "PNG", **some), True
    yield "PNG", RGB, saved(RGB, "PNG", **some), True
    yield "PNG with alpha", RGBA, saved(RGBA, "PNG", **some), True
    yield "PNG with a palette", PALETTE.convert("RGB"), saved(PALETTE, "PNG", **some), True
    yield "PNG of 16 bits", RGB, deep(3, 2, icc), True
    yield "grey PNG of 16 bits", GREY, deep(1, 0, icc), True
    yield "GIF", PALETTE.convert("RGB"), saved(PALETTE, "GIF", **some), True
    yield "GIF with a colour that is none", None, saved(PALETTE, "GIF", transparency=7, **some), True
    yield "WebP", None, saved(RGB, "WEBP", quality=95, **some), False
    yield "WebP with alpha", None, saved(RGBA, "WEBP", quality=95, **some), False
    yield "lossless WebP", RGB, saved(RGB, "WEBP", lossless=True, **some), True
    yield "lossless WebP with alpha", RGBA, saved(RGBA, "WEBP", lossless=True, exact=True, **some), True


def shown(name, image, icc):
    """What is to be seen: a profile that does not fit counts for nothing."""
    space = icc[16:20] if icc else None
    is_grey = image.mode in ("L", "LA", "1", "I", "I;16")
    fits = space == (b"GRAY" if is_grey else b"RGB ") and "GIF" not in name and image.mode != "CMYK"
    # Grey is a colour with three equal numbers, in a JPEG.
    fits = fits or (space == b"RGB " and name == "grey JPEG")
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    plain = image.convert("L" if is_grey and space == b"GRAY" else "RGB")
    if fits:
        source = ImageCms.getOpenProfile(io.BytesIO(icc))
        plain = ImageCms.profileToProfile(plain, source, ImageCms.createProfile("sRGB"), renderingIntent=0, outputMode="RGB")
    plain = plain.convert("RGB")
    if alpha:
        plain.putalpha(alpha)
    return plain.convert("RGBA"), fits


def main():
    network = Network(*sys.argv[1:])
    wrong = count = 0
    for profile_name, icc in PROFILES.items():
        for name, image, data, is_lossless in pictures(icc):
            original = image or Image.open(io.BytesIO(data))
            original.load()
            wanted, fits = shown(name, original if original.mode != "P" else original.convert("RGBA"), icc)
            wanted = numpy.asarray(wanted).astype(float)
            results = []
            for _ in range(1 + PASSES):
                _, data, thumbnail = network.post(data)
                results.append(difference(wanted, seen(data)))
            results.append(difference(wanted, seen(thumbnail)))
            first, last = results[0], max(results)
            # Of 16 bits Pillow looks at the higher 8 alone.
            rounding = (0.5, 3 if "16 bits" in name else 2)
            allowed = (2, 255) if not is_lossless else rounding if fits else (0, 0)
            is_right = all(mean <= allowed[0] and most <= allowed[1] for mean, most in results)
            count += 1
            wrong += not is_right
            print(f"{'ok' if is_right else 'WRONG'}  {name}, profile {profile_name}: first {first[0]:.2f} (at most {first[1]:.0f}), "
                  f"worst of {len(results)} {last[0]:.2f} (at most {last[1]:.0f})")
    print(f"{count} pictures, {wrong} wrong")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
