"""tests/import/decode.py -- images of every kind, and what they are to be.

    decode.py make      folders png, jpeg, held and bad
    decode.py FOLDER    compares FOLDER.h5 with PIL, or with what was meant
"""
import io
import os
import struct
import sys
import zlib

import h5py
import numpy as np
from PIL import Image

SIDE = 32
y, x = np.mgrid[:SIDE, :SIDE]
COLOUR = np.stack([x * 8, y * 8, (x + y) * 4], -1).astype("u1")
GREY = ((3 * x + 5 * y) % 256).astype("u1")


def write(name, data):
    os.makedirs(os.path.dirname(name), exist_ok=True)
    with open(name, "wb") as f:
        f.write(data)


def chunk(kind, data):
    return (struct.pack(">I", len(data)) + kind + data +
            struct.pack(">I", zlib.crc32(kind + data)))


def png(kind, depth, rows, *extra):
    """rows: the bytes of each; colour type `kind`."""
    body = zlib.compress(b"".join(b"\0" + r for r in rows))
    return (b"\x89PNG\r\n\x1a\n" +
            chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, depth, kind,
                                       0, 0, 0)) +
            b"".join(chunk(*e) for e in extra) +
            chunk(b"IDAT", body) + chunk(b"IEND", b""))


def rows8(a):
    return [r.tobytes() for r in a.reshape(SIDE, -1)]


def rows16(a):
    """The lower byte is of no account, so it is made large."""
    return [r.astype(">u2").tobytes()
            for r in (a.astype("u2") * 256 + 255).reshape(SIDE, -1)]


def bits(a, depth):
    per = 8 // depth
    a = a.reshape(SIDE, -1, per).astype(int)
    packed = sum(a[:, :, k] << (8 - depth * (k + 1)) for k in range(per))
    return [r.tobytes() for r in packed.astype("u1")]


def grey3(a):
    return np.stack([a] * 3, -1)


def pngs():
    """Name: bytes, and the pixels that are meant."""
    alpha = ((x * y) % 256).astype("u1")[..., None]
    gama = (b"gAMA", struct.pack(">I", 55556))
    table = np.stack([np.arange(256), 255 - np.arange(256),
                      np.arange(256) // 2], -1).astype("u1")
    plte = (b"PLTE", table.tobytes())
    out = {
        "grey8": (png(0, 8, rows8(GREY)), grey3(GREY)),
        "grey16": (png(0, 16, rows16(GREY)), grey3(GREY)),
        "colour8": (png(2, 8, rows8(COLOUR)), COLOUR),
        "colour16": (png(2, 16, rows16(COLOUR)), COLOUR),
        "gama8": (png(2, 8, rows8(COLOUR), gama), COLOUR),
        "gama16": (png(2, 16, rows16(COLOUR), gama), COLOUR),
        "srgb": (png(2, 8, rows8(COLOUR), (b"sRGB", b"\0")), COLOUR),
        "trns": (png(2, 8, rows8(COLOUR), (b"tRNS", bytes(6))), COLOUR),
        "greytrns": (png(0, 8, rows8(GREY), (b"tRNS", b"\0\7")), grey3(GREY)),
        "palette": (png(3, 8, rows8(GREY), plte), table[GREY]),
        "palettetrns": (png(3, 8, rows8(GREY), plte,
                            (b"tRNS", bytes(range(200)))), table[GREY]),
        "greyalpha8": (png(4, 8, rows8(np.concatenate(
            [GREY[..., None], alpha], -1))), grey3(GREY)),
        "greyalpha16": (png(4, 16, rows16(np.concatenate(
            [GREY[..., None], alpha], -1))), grey3(GREY)),
        "alpha8": (png(6, 8, rows8(np.concatenate([COLOUR, alpha], -1))),
                   COLOUR),
        "alpha16": (png(6, 16, rows16(np.concatenate([COLOUR, alpha], -1)),
                        gama), COLOUR),
    }
    for depth in (1, 2, 4):
        few = (GREY >> (8 - depth)).astype("u1")
        scale = 255 // (2 ** depth - 1)
        out["grey%d" % depth] = (png(0, depth, bits(few, depth)),
                                 grey3(few * scale))
        out["palette%d" % depth] = (png(3, depth, bits(few, depth), plte),
                                    table[few])
    return out


def jpeg(image, **how):
    b = io.BytesIO()
    image.save(b, "JPEG", quality=92, **how)
    return b.getvalue()


def jpegs():
    image = Image.fromarray(COLOUR)
    inks = Image.merge("CMYK", [Image.fromarray(a.astype("u1")) for a in
                                (x * 8, y * 8, (x + y) * 4, 96 - x * 3)])
    return {"plain": jpeg(image, subsampling=0),
            "sub": jpeg(image, subsampling=2),
            "progressive": jpeg(image, progressive=True),
            "grey": jpeg(Image.fromarray(GREY)),
            "greyprogressive": jpeg(Image.fromarray(GREY), progressive=True),
            "cmyk": jpeg(inks), "cmykprogressive": jpeg(inks, progressive=True),
            "tail": jpeg(image) + bytes(99)}


# How the stored image looks when it is shown, by EXIF's definition: where its
# first row and first column lie.
HELD = {1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1], 5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2)
        .transpose(1, 0, 2), 8: lambda a: np.rot90(a, 1)}


def exif(way, big):
    order = ">" if big else "<"
    return ((b"MM" if big else b"II") +
            struct.pack(order + "HIHHHIHHI", 42, 8, 1, 0x112, 3, 1, way, 0, 0))


def make():
    for name, (data, _) in pngs().items():
        write("png/a/%s.png" % name, data)
    for name, data in jpegs().items():
        write("jpeg/a/%s.jpg" % name, data)
    good = jpeg(Image.fromarray(COLOUR))
    for way in range(1, 9):
        e = exif(way, way % 2 == 0)
        e = b"Exif\0\0" + e
        write("held/a/j%d.jpg" % way,
              good[:2] + b"\xff\xe1" + struct.pack(">H", len(e) + 2) + e +
              good[2:])
        write("held/a/p%d.png" % way,
              png(2, 8, rows8(COLOUR), (b"eXIf", exif(way, way % 2 == 1))))
    for folder in ("png", "jpeg", "held", "bad"):
        write(folder + "/b/1.jpg", good)
    spoil(jpeg(Image.fromarray(COLOUR), progressive=True), good)


def spoil(slow, good):
    """Names with an x in them do not decode."""
    whole = pngs()["colour8"][0]
    cut = dict(("cut%d-x" % k, slow[:len(slow) * k // 8]) for k in range(3, 8))
    scans = [i for i in range(len(slow)) if slow[i:i + 2] == b"\xff\xda"]
    cut["end-x"] = slow[:-2]
    cut["scans-x"] = slow[:scans[-1]] + b"\xff\xd9"
    cut["coarse-x"] = slow[:scans[1]] + b"\xff\xd9"
    cut["zeros-x"] = slow[:len(slow) // 2] + bytes(len(slow) // 2)
    cut["half-x"] = good[:len(good) // 2]
    cut["halfend-x"] = good[:len(good) // 2] + b"\xff\xd9"
    cut["gif-x"] = b"GIF89a" + bytes(40)
    cut["empty-x"] = b""
    cut["page-x"] = b"<!DOCTYPE html><p>Not found"
    cut["short-x"] = whole[:-20]
    cut["flip-x"] = whole[:90] + bytes([whole[90] ^ 8]) + whole[91:]
    cut["huge-x"] = (whole[:8] + chunk(b"IHDR", struct.pack(
        ">IIBBBBB", 16000, 16000, 8, 2, 0, 0, 0)) + whole[33:])
    for name, data in cut.items():
        write("bad/a/%s.jpg" % name, data)
    os.symlink("nowhere", "bad/a/link-x.png")
    write("bad/a/good.jpg", good)
    write("bad/a/slow.jpg", slow)


def compare(folder):
    made = h5py.File(folder + ".h5", "r")["train/images"][:]
    known, turned = pngs(), folder == "held"
    most = 0
    for i, name in enumerate(sorted(os.listdir(folder + "/a"))):
        stem = name.split(".")[0]
        with Image.open(folder + "/a/" + name) as image:
            want = (known[stem][1] if folder == "png"
                    else np.asarray(image.convert("RGB")))
            if folder == "png" and stem != "grey16":  # which PIL clips
                other = np.asarray(image.convert("RGB")).astype(int)
                if "16" not in stem and abs(other - want).max() > 0:
                    sys.exit("%s: PIL disagrees with what was meant" % name)
        want = HELD[int(stem[1:])](want) if turned else want
        far = abs(made[i].transpose(1, 2, 0).astype(int) -
                  want.astype(int)).max()
        bound = 0 if name.endswith(".png") else 1
        if far > bound:
            sys.exit("%s: %d levels from what it is to be" % (name, far))
        most = max(most, far)
    print("%d images, at most %d levels" % (i + 1, most))


if sys.argv[1] == "make":
    make()
else:
    compare(sys.argv[1])
