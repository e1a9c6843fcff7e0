#!/usr/bin/env python3
"""Pictures of every kind, and what Pillow and transformers make of them.

usage: make_images.py [DATA_DIR]

Writes golden/images/kinds/* (small files) and golden/images/{kinds,resize,smart_resize}.json. With
DATA_DIR (the folder that XR_DATA_DIR names), also golden/images/real.json for its pictures.

Versions: pillow 13.0.0, transformers 4.57.6, torch 2.13.0, torchvision 0.28.0, numpy, xxhash.
Hashes are XXH64 with seed 0, in hexadecimal.
"""
import io, json, random, struct, sys, warnings, zlib
from pathlib import Path

import numpy as np
import torch
import xxhash
from PIL import Image, ImageOps
from torchvision.transforms.v2 import functional as F
from transformers import Qwen2VLImageProcessor, Qwen2VLImageProcessorFast
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

OUT = Path(__file__).parent / "images"
KINDS = OUT / "kinds"
BOUNDS = dict(min_pixels=3136, max_pixels=12845056)
SLOW = Qwen2VLImageProcessor(**BOUNDS)
FAST = Qwen2VLImageProcessorFast(**BOUNDS)
warnings.simplefilter("ignore")
torch.set_num_threads(1)


def digest(array):
    return xxhash.xxh64(np.ascontiguousarray(array).tobytes(), seed=0).hexdigest()


# ---- pictures to encode ----

H, W = 37, 53


def scene(channels, top=255):
    """Smooth areas, edges and noise, so that every filter and every code has work."""
    rng = np.random.default_rng(channels)
    y, x = np.mgrid[0:H, 0:W]
    planes = [(x * 5 + y * 3 + 40 * c) % 256 if c % 2 == 0 else (x * y + 60 * c) % 256 for c in range(channels)]
    image = np.stack(planes, 2)
    image[5:15, 8:30] = rng.integers(0, 256, (10, 22, channels))
    image[20:30, 5:20] = 0
    return (image.astype(np.int64) * top // 255)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_rows(samples, depth):
    """Filtered rows, the filter types in turn."""
    h, w, c = samples.shape
    if depth == 16:
        rows = samples.astype(">u2").reshape(h, -1).view(np.uint8).reshape(h, -1)
    elif depth == 8:
        rows = samples.astype(np.uint8).reshape(h, -1)
    else:
        bits = ((samples.reshape(h, w * c, 1) >> np.arange(depth - 1, -1, -1)) & 1).astype(np.uint8)
        rows = np.packbits(bits.reshape(h, -1), axis=1)
    bpp = max(1, c * depth // 8)
    out, above = b"", np.zeros(rows.shape[1], np.int64)
    for y in range(h):
        row = rows[y].astype(np.int64)
        left = np.concatenate([np.zeros(bpp, np.int64), row[:-bpp]])[: len(row)]
        corner = np.concatenate([np.zeros(bpp, np.int64), above[:-bpp]])[: len(row)]
        p = left + above - corner
        near = np.stack([abs(p - left), abs(p - above), abs(p - corner)]).argmin(0)
        paeth = np.choose(near, [left, above, corner])
        kind = y % 5
        predicted = [0 * row, left, above, (left + above) // 2, paeth][kind]
        out += bytes([kind]) + ((row - predicted) % 256).astype(np.uint8).tobytes()
        above = row
    return out


def png(samples, depth, colour, before=(), after=(), interlace=False, idat=300):
    if interlace:
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
        raw = b"".join(png_rows(samples[y::dy, x::dx], depth) for y, x, dy, dx in passes)
    else:
        raw = png_rows(samples, depth)
    h, w = samples.shape[:2]
    data = zlib.compress(raw, 9)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, interlace))
            + b"".join(chunk(*c) for c in before)
            + b"".join(chunk(b"IDAT", data[i:i + idat]) for i in range(0, len(data), idat))
            + b"".join(chunk(*c) for c in after) + chunk(b"IEND", b""))


def exif(value, kind=3, order="<", count=1):
    """A TIFF directory whose second entry is the orientation."""
    pack = {3: "H", 4: "L", 1: "B", 8: "h", 9: "l", 6: "b", 5: "LL", 2: "4s"}[kind]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "L", 8)
    data = struct.pack(order + pack, *((value, 1) if kind == 5 else (value,)))
    data = (data * count)
    body = struct.pack(order + "H", 2) + struct.pack(order + "HHLL", 0x0100, 4, 1, 53)
    body += struct.pack(order + "HHL", 0x0112, kind, count)
    where = 8 + 2 + 24 + 4
    body += data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(order + "L", where)
    return head + body + struct.pack(order + "L", 0) + (data if len(data) > 4 else b"")


def xmp(text):
    return b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description ' + text + b"</rdf:RDF></x:xmpmeta>"


ATTRIBUTE = xmp(b'tiff:Orientation="6"/>')
ELEMENT = xmp(b"><tiff:Orientation>8</tiff:Orientation></rdf:Description>")


def png_files():
    def palette(n):
        return (b"PLTE", np.random.default_rng(n).integers(0, 256, 3 * n, dtype=np.uint8).tobytes())

    grey, rgb = scene(1), scene(3)
    for depth in (1, 2, 4, 8, 16):
        top = 2 ** depth - 1
        for lace in (False, True):
            yield f"grey{depth}{'_interlaced' if lace else ''}.png", png(scene(1, top), depth, 0, interlace=lace)
    dark = scene(1, 65535) // 200
    yield "grey16_dark.png", png(dark, 16, 0)
    for depth in (1, 2, 4, 8):
        n = 2 ** depth
        yield f"palette{depth}.png", png(scene(1, n - 1), depth, 3, [palette(n)])
        yield f"palette{depth}_interlaced.png", png(scene(1, n - 1), depth, 3, [palette(n)], interlace=True)
    yield "palette_short.png", png(grey, 8, 3, [palette(100)])
    yield "palette_clear.png", png(grey, 8, 3, [palette(256), (b"tRNS", bytes(range(0, 250, 2)))])
    yield "grey_clear.png", png(grey, 8, 0, [(b"tRNS", struct.pack(">H", int(grey[3, 3, 0])))])
    yield "rgb_clear.png", png(rgb, 8, 2, [(b"tRNS", struct.pack(">HHH", *map(int, rgb[25, 10])))])
    for depth in (8, 16):
        top = 2 ** depth - 1
        for name, colour, channels in (("grey_alpha", 4, 2), ("rgb", 2, 3), ("rgba", 6, 4)):
            for lace in (False, True):
                image = png(scene(channels, top), depth, colour, interlace=lace)
                yield f"{name}{depth}{'_interlaced' if lace else ''}.png", image
    marks = [(b"gAMA", struct.pack(">I", 100000)), (b"sRGB", b"\0"), (b"bKGD", struct.pack(">HHH", 1, 2, 3)),
             (b"sBIT", b"\5\6\5"), (b"pHYs", struct.pack(">IIB", 1, 2, 0)), (b"iCCP", b"name\0\0broken")]
    yield "marks.png", png(rgb, 8, 2, marks)
    yield "exif6.png", png(rgb, 8, 2, [(b"eXIf", exif(6))])
    yield "exif_after.png", png(rgb, 8, 2, after=[(b"eXIf", exif(3, order=">"))])
    profile = exif(5)
    lines = "\nexif\n%8d\n%s\n" % (len(profile), "\n".join(profile.hex()[i:i + 72] for i in range(0, 200, 72)))
    key = b"Raw profile type exif\0"
    yield "profile.png", png(rgb, 8, 2, [(b"tEXt", key + lines.encode())])
    yield "profile_packed.png", png(rgb, 8, 2, [(b"zTXt", key + b"\0" + zlib.compress(lines.encode()))])
    key = b"XML:com.adobe.xmp\0"
    yield "xmp.png", png(rgb, 8, 2, [(b"iTXt", key + b"\0\0\0\0" + ATTRIBUTE)])
    yield "xmp_packed.png", png(rgb, 8, 2, [(b"iTXt", key + b"\1\0en\0k\0" + zlib.compress(ELEMENT))])
    frames = [Image.fromarray(np.roll(rgb, i, 1).astype(np.uint8)) for i in range(3)]
    yield "animated.png", save(frames[0], "PNG", save_all=True, append_images=frames[1:])


def save(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def insert(jpeg, segments):
    """Segments (marker, data) right after the start of a JPEG."""
    head = b"".join(struct.pack(">BBH", 255, m, len(d) + 2) + d for m, d in segments)
    return jpeg[:2] + head + jpeg[2:]


def jpeg_files():
    rgb = Image.fromarray(scene(3).astype(np.uint8))
    grey = Image.fromarray(scene(1)[:, :, 0].astype(np.uint8))
    cmyk = Image.fromarray(scene(4).astype(np.uint8), "CMYK")
    yield "grey.jpg", save(grey, "JPEG")
    for name, sampling in (("444", 0), ("422", 1), ("420", 2)):
        yield f"rgb{name}.jpg", save(rgb, "JPEG", subsampling=sampling)
        yield f"rgb{name}_progressive.jpg", save(rgb, "JPEG", subsampling=sampling, progressive=True)
    yield "rgb411.jpg", save(rgb, "JPEG", subsampling="4:1:1")
    yield "quality10.jpg", save(rgb, "JPEG", quality=10)
    yield "restart.jpg", save(rgb, "JPEG", restart_marker_blocks=2)
    yield "stored_rgb.jpg", save(rgb, "JPEG", keep_rgb=True)
    packed = save(cmyk, "JPEG", quality=90)
    yield "cmyk.jpg", packed
    yield "cmyk_progressive.jpg", save(cmyk, "JPEG", progressive=True)
    adobe = packed.index(b"Adobe")
    yield "ycck.jpg", packed[:adobe + 11] + b"\2" + packed[adobe + 12:]
    start = adobe - 4
    length = struct.unpack(">H", packed[start + 2:start + 4])[0]
    yield "cmyk_unmarked.jpg", packed[:start] + packed[start + 2 + length:]
    plain = save(rgb, "JPEG", quality=60)
    head = b"Exif\0\0"
    for value in range(0, 10):
        yield f"exif{value}.jpg", insert(plain, [(0xE1, head + exif(value, order="<>"[value % 2]))])
    for kind in (1, 4, 6, 8, 9):
        yield f"exif_type{kind}.jpg", insert(plain, [(0xE1, head + exif(6, kind))])
    yield "exif_two.jpg", insert(plain, [(0xE1, head + exif(5, count=2))])
    yield "exif_four.jpg", insert(plain, [(0xE1, head + exif(7, count=4))])
    yield "exif_cut.jpg", insert(plain, [(0xE1, head + exif(6)[:15])])
    split = exif(8)
    yield "exif_split.jpg", insert(plain, [(0xE1, head + split[:20]), (0xE1, head + split[20:])])
    space = b"http://ns.adobe.com/xap/1.0/\0"
    yield "xmp.jpg", insert(plain, [(0xE1, space + ATTRIBUTE)])
    yield "xmp_element.jpg", insert(plain, [(0xE1, space + ELEMENT)])
    yield "xmp_and_exif.jpg", insert(plain, [(0xE1, space + ATTRIBUTE), (0xE1, head + exif(3))])
    yield "xmp_and_exif0.jpg", insert(plain, [(0xE1, space + ATTRIBUTE), (0xE1, head + exif(0))])
    yield "trailing.jpg", plain + b"bytes after the end"


def webp_files():
    rgb = Image.fromarray(scene(3).astype(np.uint8))
    rgba = Image.fromarray(scene(4).astype(np.uint8))
    yield "lossy.webp", save(rgb, "WEBP", quality=60)
    yield "lossless.webp", save(rgb, "WEBP", lossless=True)
    yield "lossy_alpha.webp", save(rgba, "WEBP", quality=60)
    yield "lossless_alpha.webp", save(rgba, "WEBP", lossless=True, exact=True)
    yield "exif6.webp", save(rgb, "WEBP", quality=30, exif=exif(6))
    yield "exif_marked.webp", save(rgb, "WEBP", quality=30, exif=b"Exif\0\0" + exif(7, order=">"))
    yield "xmp.webp", save(rgb, "WEBP", quality=30, xmp=ELEMENT)
    frames = [Image.fromarray(np.roll(scene(4), i * 5, 1).astype(np.uint8)) for i in range(3)]
    yield "animated.webp", save(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    yield "corner.webp", corner_frame(rgba)


def corner_frame(image):
    """An animation whose first frame covers only a part of the canvas."""
    inner = save(image.crop((0, 0, 20, 16)), "WEBP", lossless=True, exact=True)
    at = inner.index(b"VP8L")
    size = struct.unpack("<I", inner[at + 4:at + 8])[0]
    picture = inner[at:at + 8 + size + size % 2]

    def riff(kind, data):
        return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)

    def u24(value):
        return struct.pack("<I", value)[:3]

    frame = u24(10 // 2) + u24(8 // 2) + u24(20 - 1) + u24(16 - 1) + u24(100) + b"\2"
    body = riff(b"VP8X", b"\x12\0\0\0" + u24(W - 1) + u24(H - 1)) + riff(b"ANIM", b"\0\0\0\0\0\0")
    body += riff(b"ANMF", frame + picture) + riff(b"ANMF", frame + picture)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


# ---- what becomes of them ----

def load(data):
    image = Image.open(io.BytesIO(data))
    return ImageOps.exif_transpose(image)


def on_white(image):
    image = image.convert("RGBA")
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(image, mask=image.split()[3])
    return white


def patches(image, processor):
    out = processor(images=image, return_tensors="pt")
    return out["image_grid_thw"][0].tolist(), digest(out["pixel_values"].numpy())


def cut_accepted(data, rgb):
    """How many bytes may be missing at the end."""
    cut = 0
    while True:
        try:
            if not (np.array(load(data[:len(data) - cut - 1]).convert("RGB")) == rgb).all():
                return cut
        except Exception:
            return cut
        cut += 1


def kind_rows():
    for name, data in [*png_files(), *jpeg_files(), *webp_files()]:
        (KINDS / name).write_bytes(data)
        image = load(data)
        rgb = image.convert("RGB")
        row = {"file": name, "width": rgb.width, "height": rgb.height, "rgb": digest(np.array(rgb)),
               "cut": cut_accepted(data, np.array(rgb))}
        if image.mode != "I;16":
            row["white"] = digest(np.array(on_white(image)))
        row["grid"], row["slow"] = patches(rgb, SLOW)
        row["fast"] = patches(rgb, FAST)[1]
        yield row


def noise(h, w):
    """The bytes of tests/test_image.c: a linear congruential generator's upper bits."""
    count, state = h * w * 3, 12345
    out = bytearray(count)
    for i in range(count):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out[i] = state >> 24
    return np.frombuffer(bytes(out), np.uint8).reshape(h, w, 3)


def resize_rows():
    sizes = [(1, 1, 28, 28), (1, 200, 28, 392), (200, 1, 392, 28), (1, 50, 1, 20), (50, 1, 20, 1), (2, 3, 84, 56),
             (50, 60, 56, 70), (50, 60, 40, 50), (50, 60, 56, 50), (50, 60, 42, 70), (60, 50, 60, 70),
             (60, 50, 70, 50), (60, 50, 60, 50), (63, 65, 64, 64), (64, 64, 63, 65), (65, 129, 127, 64),
             (17, 31, 33, 15), (16, 16, 32, 32), (100, 100, 80, 90), (100, 100, 79, 90), (100, 100, 81, 90),
             (100, 90, 98, 92), (300, 20, 200, 25), (20, 300, 25, 200), (500, 400, 28, 28), (28, 28, 280, 252),
             (131, 257, 112, 252), (257, 131, 252, 140), (90, 700, 28, 644), (700, 90, 644, 28), (33, 1000, 28, 5)]
    rng = random.Random(7)
    sizes += [tuple(rng.randint(1, 180) for _ in range(4)) for _ in range(40)]
    for h, w, height, width in sizes:
        pixels = noise(h, w)
        image = Image.fromarray(pixels)
        tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
        fast = F.resize(tensor, [height, width], interpolation=F.InterpolationMode.BICUBIC, antialias=True)
        yield {"from": [h, w], "to": [height, width],
               "slow": digest(np.array(image.resize((width, height), Image.BICUBIC))),
               "slow_pillow12": digest(np.array(image.resize((width, h), Image.BICUBIC).resize((width, height),
                                                                                            Image.BICUBIC))),
               "fast": digest(fast.permute(1, 2, 0).numpy())}


def smart_resize_rows():
    rng = random.Random(11)
    cases = [(480, 640), (1080, 1920), (1365, 2048), (448, 448), (70, 70), (42, 42), (42, 4200), (70, 14000),
             (10, 100), (1, 200), (200, 1), (1, 1), (14, 14), (13, 2600), (9999, 9999), (3000, 60000), (27, 5400)]
    cases += [(14 * rng.randint(1, 300), 14 * rng.randint(1, 300)) for _ in range(60)]
    cases += [(rng.randint(1, 6000), rng.randint(1, 6000)) for _ in range(120)]
    for h, w in cases:
        factor, low, high = rng.choice([(28, 3136, 12845056)] * 3 + [(28, 4 * 784, 1280 * 784), (32, 1024, 640 * 1024),
                                                                     (28, 200704, 1003520), (56, 1, 56 * 56)])
        if max(h, w) / min(h, w) <= 200:
            yield [h, w, factor, low, high, *smart_resize(h, w, factor, low, high)]


def real_rows(folder):
    for path in sorted([*folder.glob("images/*"), *folder.glob("mathvision/images/*")]):
        rgb = load(path.read_bytes()).convert("RGB")
        grid, slow = patches(rgb, SLOW)
        yield {"file": str(path.relative_to(folder)), "width": rgb.width, "height": rgb.height,
               "rgb": digest(np.array(rgb)), "grid": grid, "slow": slow}


def write(name, rows):
    rows = list(rows)
    text = "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n"
    (OUT / name).write_text(text)
    print(f"{name}: {len(rows)} rows")


if __name__ == "__main__":
    KINDS.mkdir(parents=True, exist_ok=True)
    write("kinds.json", kind_rows())
    write("resize.json", resize_rows())
    write("smart_resize.json", smart_resize_rows())
    if len(sys.argv) > 1:
        write("real.json", real_rows(Path(sys.argv[1])))
