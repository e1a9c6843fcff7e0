#!/usr/bin/env python3
"""Downloads benchmarks as their authors publish them and turns them into what `xreasoner eval` reads.

    datasets/fetch.py --list
    datasets/fetch.py gsm8k mmlu_pro --out data      # data/gsm8k/gsm8k.jsonl, data/mmlu_pro/mmlu_pro.jsonl
    datasets/fetch.py mmmu --from FOLDER             # converts files that are already there

For each benchmark a folder NAME with NAME.jsonl (the published fields, one row a line, pictures as paths
of files), images/, and SOURCES.json: where each file came from, its SHA-256 and size, the number of rows.
Downloads are kept in NAME/published/ and checked against the sum that the hub states and, when fetched
again, against SOURCES.json. A number of rows other than the published one is an error.

Needs Python 3.9; parquet files also need pyarrow. docs/evaluation.md says which parts were never run
against the hub.
"""

import argparse
import fnmatch
import hashlib
import json
import os
import sys
import urllib.parse
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path

HUB = "https://huggingface.co"


@dataclass(frozen=True)
class Benchmark:
    name: str
    repository: str  # of the hub's data sets; or a URL, for a single file elsewhere
    files: tuple  # patterns of paths within it, in the order of the rows
    rows: int  # published; 0: not checked
    pictures: tuple = ()  # patterns of archives of pictures
    inside: str = ""  # of a zip file that holds the rows: a pattern of paths within
    licence: str = ""


BENCHMARKS = (
    Benchmark("gsm8k", "openai/gsm8k", ("main/test-*.parquet",), 1319, licence="MIT"),
    Benchmark("math_500", "HuggingFaceH4/MATH-500", ("test.jsonl",), 500, licence="MIT"),
    Benchmark("aime_2024", "HuggingFaceH4/aime_2024", ("data/train-*.parquet",), 30, licence="MIT"),
    Benchmark("aime_2025", "opencompass/AIME2025", ("aime2025-I.jsonl", "aime2025-II.jsonl"), 30,
              licence="MIT"),
    Benchmark("mmlu_pro", "TIGER-Lab/MMLU-Pro", ("data/test-*.parquet",), 12032, licence="MIT"),
    Benchmark("mmlu_pro_shots", "TIGER-Lab/MMLU-Pro", ("data/validation-*.parquet",), 70, licence="MIT"),
    Benchmark("medqa_4", "GBaker/MedQA-USMLE-4-options", ("phrases_no_exclude_test.jsonl",), 1273,
              licence="CC-BY-4.0"),
    Benchmark("medqa_5", "bigbio/med_qa", ("data_clean.zip",), 1273, inside="*/questions/US/test.jsonl",
              licence="MIT"),
    Benchmark("mmmu", "MMMU/MMMU", ("*/validation-*.parquet",), 900, licence="Apache-2.0"),
    Benchmark("mmmu_pro", "MMMU/MMMU_Pro", ("standard (10 options)/test-*.parquet",), 1730,
              licence="Apache-2.0"),
    Benchmark("mmmu_pro_4", "MMMU/MMMU_Pro", ("standard (4 options)/test-*.parquet",), 1730,
              licence="Apache-2.0"),
    Benchmark("mmmu_pro_vision", "MMMU/MMMU_Pro", ("vision/test-*.parquet",), 1730, licence="Apache-2.0"),
    Benchmark("mathvista", "AI4Math/MathVista", ("data/testmini-*.parquet",), 1000,
              licence="CC BY-SA 4.0; no training"),
    Benchmark("mathvision", "MathLLMs/MathVision", ("data/test-*.parquet",), 3040, licence="MIT"),
    Benchmark("mathvision_mini", "MathLLMs/MathVision", ("data/testmini-*.parquet",), 304, licence="MIT"),
    Benchmark("mmstar", "Lin-Chen/MMStar", ("mmstar.parquet",), 1500, licence="none stated"),
    Benchmark("omnimedvqa", "foreverbeliever/OmniMedVQA", ("*.zip",), 0, pictures=("*.zip",),
              inside="*QA_information/Open-access/*.json", licence="by source"),
    Benchmark("medxpertqa_text", "TsinghuaC3I/MedXpertQA", ("Text/test.jsonl",), 2450, licence="MIT"),
    Benchmark("medxpertqa_mm", "TsinghuaC3I/MedXpertQA", ("MM/test.jsonl",), 2000,
              pictures=("images.zip",), licence="MIT"),
    Benchmark("nejm", "OctoMed/NEJM-Image-Challenge", ("data/test-*.parquet",), 947,
              licence="none stated"),
)


class Failure(Exception):
    """What the user is told, in one line."""


# ---- files ----

def sha256_of(path):
    total = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            total.update(block)
    return total.hexdigest()


def write_whole(path, data):
    """Writes bytes so that no reader ever sees half of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


PICTURE_STARTS = ((b"\x89PNG\r\n\x1a\n", ".png"), (b"\xff\xd8\xff", ".jpg"), (b"GIF8", ".gif"))


def picture_ending(data):
    """The ending that the bytes themselves ask for: published names are often wrong."""
    for start, ending in PICTURE_STARTS:
        if data.startswith(start):
            return ending
    return ".webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else ".bin"


def safe_name(text):
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in text).lstrip(".") or "_"


# ---- rows ----

def rows_of_json(text, name):
    """Rows of JSON Lines, of an array, or of an object of rows by id, whose ids join them as "id"."""
    first = text.lstrip()[:1]
    try:
        whole = json.loads(text) if first in "[{" else None
    except json.JSONDecodeError:
        whole = None  # JSON Lines
    if isinstance(whole, list):
        return whole
    if isinstance(whole, dict) and whole and all(isinstance(v, dict) for v in whole.values()):
        return [{"id": key, **row} for key, row in whole.items()]
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise Failure(f"{name}:{number}: not JSON: {error.msg}") from None
    return rows


def rows_of_parquet(path):
    try:
        import pyarrow.parquet
    except ImportError:
        raise Failure("parquet files need pyarrow: python3 -m pip install pyarrow") from None
    file = pyarrow.parquet.ParquetFile(path)
    for batch in file.iter_batches(batch_size=64):
        yield from batch.to_pylist()


def rows_of_zip(path, pattern):
    with zipfile.ZipFile(path) as archive:
        names = sorted(n for n in archive.namelist() if fnmatch.fnmatch(n, pattern))
        if not names:
            raise Failure(f"{path}: holds no file {pattern}")
        for name in names:
            yield from rows_of_json(archive.read(name).decode("utf-8"), f"{path}:{name}")


def rows_of(path, inside):
    if path.suffix == ".parquet":
        return rows_of_parquet(path)
    if path.suffix == ".zip":
        return rows_of_zip(path, inside)
    return rows_of_json(path.read_text(encoding="utf-8"), path)


# ---- pictures ----

ID_KEYS = ("id", "pid", "question_id", "index", "image_id", "unique_id")


def row_name(row, number):
    for key in ID_KEYS:
        if isinstance(row.get(key), (str, int)):
            return safe_name(str(row[key]))
    return f"row-{number}"


def is_picture(value):
    return isinstance(value, dict) and set(value) == {"bytes", "path"}


class PictureFolder:
    """Writes pictures that rows hold as bytes, and counts them."""

    def __init__(self, folder):
        self.folder, self.count, self.names = folder, 0, set()

    def put(self, data, stem):
        if stem in self.names:
            raise Failure(f"two pictures would be called {stem}: two rows have the same id")
        self.names.add(stem)
        name = stem + picture_ending(data)
        write_whole(self.folder / "images" / name, data)
        self.count += 1
        return "images/" + name

    def outside(self, value, stem):
        """A value in which pictures are paths of files."""
        if is_picture(value):
            return self.put(value["bytes"], stem) if value["bytes"] else value["path"]
        if isinstance(value, bytes):
            return self.put(value, stem)
        if isinstance(value, list):
            return [self.outside(item, f"{stem}-{i + 1}") for i, item in enumerate(value)]
        if isinstance(value, dict):
            return {key: self.outside(item, f"{stem}-{key}") for key, item in value.items()}
        return value


def convert_row(row, number, pictures):
    name, out = row_name(row, number), {}
    for key, value in row.items():
        # "image" is a path of the published folders where the picture itself is "decoded_image".
        if key == "decoded_image":
            continue
        source = row.get("decoded_image") if key == "image" else None
        value = source if is_picture(source) and source["bytes"] else value
        out[key] = pictures.outside(value, name if key == "image" else f"{name}-{safe_name(key)}")
    return out


def unpack_pictures(path, folder):
    """Pictures of an archive, below images/; names that lead elsewhere are refused."""
    count = 0
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            parts = [p for p in entry.filename.split("/") if p]
            if entry.is_dir() or not entry.filename.lower().endswith((".png", ".jpg", ".jpeg", ".webp", ".gif")):
                continue
            if entry.filename.startswith("/") or ".." in parts or "\\" in entry.filename:
                raise Failure(f"{path}: refuses the name {entry.filename}")
            if "__MACOSX" in parts:
                continue
            lower = [p.lower() for p in parts]
            inner = parts[lower.index("images") + 1:] if "images" in lower[:-1] else parts
            write_whole(folder.joinpath("images", *inner), archive.read(entry))
            count += 1
    return count


def convert(benchmark, files, archives, folder):
    """Writes NAME.jsonl and images/; returns the numbers of rows and pictures."""
    pictures, lines = PictureFolder(folder), []
    for path in files:
        for row in rows_of(path, benchmark.inside):
            lines.append(json.dumps(convert_row(row, len(lines), pictures), ensure_ascii=False))
    unpacked = sum(unpack_pictures(path, folder) for path in archives)
    if benchmark.rows and len(lines) != benchmark.rows:
        raise Failure(f"{benchmark.name}: {len(lines)} rows, where {benchmark.rows} are published; "
                      "is it another version of the data?")
    data = "".join(line + "\n" for line in lines).encode("utf-8")
    write_whole(folder / f"{benchmark.name}.jsonl", data)
    return len(lines), pictures.count + unpacked


# ---- downloads (the part that needs the hub) ----

def open_url(url):
    request = urllib.request.Request(url, headers={"User-Agent": "xreasoner-fetch"})
    if url.startswith(HUB) and os.environ.get("HF_TOKEN"):
        request.add_header("Authorization", "Bearer " + os.environ["HF_TOKEN"])
    try:
        return urllib.request.urlopen(request, timeout=60)
    except OSError as error:
        raise Failure(f"{url}: {error}") from None


def hub_listing(repository, revision):
    """Path -> SHA-256 (or None, for small files) of a data set's files."""
    url, out = f"{HUB}/api/datasets/{repository}/tree/{revision}?recursive=true", {}
    while url:
        with open_url(url) as answer:
            for entry in json.load(answer):
                if entry.get("type") == "file":
                    out[entry["path"]] = (entry.get("lfs") or {}).get("oid")
            following = answer.headers.get("Link") or ""
        url = following.split("<")[1].split(">")[0] if 'rel="next"' in following else None
    return out


def download(url, path, expected):
    if path.exists() and expected and sha256_of(path) == expected:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    with open_url(url) as answer, open(temporary, "wb") as file:
        for block in iter(lambda: answer.read(1 << 20), b""):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    found = sha256_of(temporary)
    if expected and found != expected:
        raise Failure(f"{url}: SHA-256 {found}, where the hub states {expected}")
    os.replace(temporary, path)


def matching(place, paths, patterns):
    found = []
    for pattern in patterns:
        some = sorted(p for p in paths if fnmatch.fnmatch(p, pattern))
        if not some:
            raise Failure(f"{place}: no file matches {pattern}")
        found += [p for p in some if p not in found]
    return found


def download_all(benchmark, folder, revision):
    sums = hub_listing(benchmark.repository, revision)
    for path in matching(benchmark.repository, sums, benchmark.files + benchmark.pictures):
        url = f"{HUB}/datasets/{benchmark.repository}/resolve/{revision}/{urllib.parse.quote(path)}"
        print(f"  {path}", file=sys.stderr)
        download(url, folder / path, sums[path])


# ---- one benchmark ----

def check_sums(folder, found):
    """Refuses files other than those of the last time."""
    record = folder / "SOURCES.json"
    if not record.exists():
        return
    known = json.loads(record.read_text(encoding="utf-8"))["files"]
    for path, entry in found.items():
        if path in known and known[path]["sha256"] != entry["sha256"]:
            raise Failure(f"{folder / 'published' / path} has changed since {record} was written; "
                          "remove that record to accept the new file")


def fetch(benchmark, out, revision, published):
    folder = Path(out) / benchmark.name
    source = Path(published) if published else folder / "published"
    if not published:
        download_all(benchmark, source, revision)
    elif not source.is_dir():
        raise Failure(f"{source}: is no folder; --from names the one that holds the published files")
    paths = [str(p.relative_to(source)) for p in sorted(source.rglob("*")) if p.is_file()]
    files, archives = (matching(source, paths, patterns) for patterns in (benchmark.files, benchmark.pictures))
    sums = {p: {"sha256": sha256_of(source / p), "bytes": (source / p).stat().st_size}
            for p in dict.fromkeys(files + archives)}
    check_sums(folder, sums)
    rows, pictures = convert(benchmark, [source / p for p in files], [source / p for p in archives], folder)
    record = {"repository": benchmark.repository, "revision": revision, "licence": benchmark.licence,
              "files": sums, "rows": rows, "pictures": pictures,
              "sha256": sha256_of(folder / f"{benchmark.name}.jsonl")}
    write_whole(folder / "SOURCES.json", (json.dumps(record, indent=2) + "\n").encode())
    print(f"{benchmark.name}: {rows} rows, {pictures} pictures in {folder}")


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Fetches benchmarks for xreasoner eval.")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true", help="show what there is")
    parser.add_argument("--out", default="data", help="folder to write below (default: data)")
    parser.add_argument("--revision", default="main", help="of the hub's repository")
    parser.add_argument("--from", dest="published", metavar="FOLDER",
                        help="a folder that holds the published files; nothing is downloaded")
    chosen = parser.parse_args(arguments)
    known = {benchmark.name: benchmark for benchmark in BENCHMARKS}
    if chosen.list or not chosen.names:
        for b in BENCHMARKS:
            print(f"{b.name:16} {b.rows or '?':>6} rows  {b.repository} ({b.licence})")
        return 0
    try:
        for name in chosen.names:
            if name not in known:
                raise Failure(f'there is no benchmark "{name}"; there are {", ".join(known)}')
            fetch(known[name], chosen.out, chosen.revision, chosen.published)
    except (Failure, OSError, zipfile.BadZipFile) as error:
        print(f"fetch.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
