"""Tests of fetch.py on small files made in the published schema: python3 -m unittest datasets/test_fetch.py

The hub is a server on this machine. Parquet tests skip where pyarrow is missing."""

import contextlib
import hashlib
import http.server
import io
import json
import sys
import tempfile
import threading
import unittest
import zipfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import fetch  # noqa: E402

try:
    import pyarrow
    import pyarrow.parquet
except ImportError:
    pyarrow = None

PNG = b"\x89PNG\r\n\x1a\n" + b"made"
JPEG = b"\xff\xd8\xff\xe0" + b"made"


def named(name, rows):
    found = [b for b in fetch.BENCHMARKS if b.name == name][0]
    return replace(found, rows=rows)


class Case(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.root = Path(self.temporary.name)
        self.published = self.root / "published"

    def put(self, path, data):
        path = self.published / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())

    def put_parquet(self, path, rows):
        (self.published / path).parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), self.published / path)

    def fetch(self, benchmark):
        with contextlib.redirect_stdout(io.StringIO()):
            fetch.fetch(benchmark, self.root / "out", "main", self.published)
        self.folder = self.root / "out" / benchmark.name
        lines = (self.folder / f"{benchmark.name}.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


@unittest.skipUnless(pyarrow, "pyarrow is not installed")
class Parquet(Case):
    def test_mmmu_pictures_become_files(self):
        row = {"id": "validation_Art_1", "question": "<image 1>?", "options": "['a', 'b']",
               "image_1": {"bytes": PNG, "path": "x.png"}, "image_2": None, "answer": "B",
               "question_type": "multiple-choice"}
        other = dict(row, id="validation_Art_2", image_1={"bytes": JPEG, "path": None},
                     image_2={"bytes": PNG, "path": None})
        self.put_parquet("Art/validation-00000-of-00001.parquet", [row, other])
        self.put_parquet("Music/validation-00000-of-00001.parquet", [dict(row, id="validation_Music_1")])
        rows = self.fetch(named("mmmu", 3))
        self.assertEqual([r["id"] for r in rows],
                         ["validation_Art_1", "validation_Art_2", "validation_Music_1"])
        self.assertEqual(rows[0]["image_1"], "images/validation_Art_1-image_1.png")
        self.assertIsNone(rows[0]["image_2"])
        self.assertEqual(rows[1]["image_1"], "images/validation_Art_2-image_1.jpg")
        self.assertEqual((self.folder / rows[1]["image_2"]).read_bytes(), PNG)
        self.assertEqual(rows[0]["options"], "['a', 'b']")
        record = json.loads((self.folder / "SOURCES.json").read_text())
        self.assertEqual((record["rows"], record["pictures"], len(record["files"])), (3, 4, 2))

    def test_the_decoded_picture_takes_the_place_of_its_path(self):
        self.put_parquet("data/testmini-00000-of-00001.parquet", [
            {"pid": "9", "question": "Sum?", "image": "images/9.jpg",
             "decoded_image": {"bytes": PNG, "path": "9.jpg"}, "choices": None, "precision": 1.0,
             "answer": "1.5", "metadata": {"skills": ["a"], "img_width": 3}}])
        rows = self.fetch(named("mathvista", 1))
        self.assertEqual(rows[0]["image"], "images/9.png")
        self.assertNotIn("decoded_image", rows[0])
        self.assertEqual(rows[0]["metadata"], {"skills": ["a"], "img_width": 3})

    def test_bare_bytes_and_lists(self):
        self.put_parquet("mmstar.parquet", [{"index": 0, "question": "Q\nOptions: A: x, B: y",
                                             "image": JPEG, "answer": "A", "more": [1, 2]}])
        rows = self.fetch(named("mmstar", 1))
        self.assertEqual(rows[0]["image"], "images/0.jpg")
        self.assertEqual(rows[0]["more"], [1, 2])

    def test_another_number_of_rows_is_an_error(self):
        self.put_parquet("main/test-00000-of-00001.parquet", [{"question": "Q", "answer": "#### 1"}])
        with self.assertRaisesRegex(fetch.Failure, "1 rows, where 1319 are published"):
            self.fetch(named("gsm8k", 1319))
        self.assertFalse((self.root / "out/gsm8k/gsm8k.jsonl").exists())

    def test_rows_with_the_same_id_do_not_share_a_picture(self):
        row = {"id": "a/b", "question": "Q", "image": {"bytes": PNG, "path": None}}
        self.put_parquet("vision/test-0.parquet", [row, row])
        with self.assertRaisesRegex(fetch.Failure, "a_b"):
            self.fetch(named("mmmu_pro_vision", 2))


class Files(Case):
    def test_several_files_keep_the_order_of_the_table(self):
        self.put("aime2025-II.jsonl", '{"question":"c","answer":"3"}\n')
        self.put("aime2025-I.jsonl", '{"question":"a","answer":"1"}\n\n{"question":"b","answer":"2"}')
        rows = self.fetch(named("aime_2025", 3))
        self.assertEqual([r["question"] for r in rows], ["a", "b", "c"])

    def test_pictures_of_an_archive(self):
        self.put("MM/test.jsonl", '{"id":"MM-1","question":"Q","images":["MM-1-a.jpeg"]}\n')
        with zipfile.ZipFile(self.published / "images.zip", "w") as archive:
            archive.writestr("images/MM-1-a.jpeg", JPEG)
            archive.writestr("__MACOSX/images/._MM-1-a.jpeg", b"x")
            archive.writestr("images/read.me", b"x")
        rows = self.fetch(named("medxpertqa_mm", 1))
        self.assertEqual(rows[0]["images"], ["MM-1-a.jpeg"])
        self.assertEqual([p.name for p in (self.folder / "images").iterdir()], ["MM-1-a.jpeg"])

    def test_an_archive_that_leads_elsewhere(self):
        self.put("MM/test.jsonl", '{"id":"MM-1"}\n')
        with zipfile.ZipFile(self.published / "images.zip", "w") as archive:
            archive.writestr("images/../../evil.png", PNG)
        with self.assertRaisesRegex(fetch.Failure, "refuses the name"):
            self.fetch(named("medxpertqa_mm", 1))

    def test_rows_within_an_archive(self):
        self.published.mkdir()
        with zipfile.ZipFile(self.published / "data_clean.zip", "w") as archive:
            archive.writestr("data_clean/questions/US/test.jsonl", '{"question":"Q","answer_idx":"E"}\n')
            archive.writestr("data_clean/questions/US/train.jsonl", '{"question":"no"}\n')
        self.assertEqual(self.fetch(named("medqa_5", 1))[0]["question"], "Q")

    def test_rows_and_pictures_of_one_archive(self):
        self.published.mkdir()
        row = '[{"question_id":"S_1","image_path":"Images/S/x.png","option_A":"a"}]'
        with zipfile.ZipFile(self.published / "OmniMedVQA.zip", "w") as archive:
            archive.writestr("OmniMedVQA/QA_information/Open-access/S.json", row)
            archive.writestr("OmniMedVQA/QA_information/Restricted-access/T.json", row)
            archive.writestr("OmniMedVQA/Images/S/x.png", PNG)
        self.assertEqual(len(self.fetch(named("omnimedvqa", 1))), 1)
        self.assertTrue((self.folder / "images/S/x.png").exists())

    def test_rows_by_id_and_broken_rows(self):
        self.assertEqual(fetch.rows_of_json('{"7": {"q": "x"}, "8": {"q": "y"}}', "f"),
                         [{"id": "7", "q": "x"}, {"id": "8", "q": "y"}])
        self.assertEqual(fetch.rows_of_json('[{"q": 1}]', "f"), [{"q": 1}])
        with self.assertRaisesRegex(fetch.Failure, "f:2: not JSON"):
            fetch.rows_of_json('{"q": 1}\n{"q": \n', "f")

    def test_a_place_without_the_files(self):
        with self.assertRaisesRegex(fetch.Failure, "published: is no folder; --from names"):
            self.fetch(named("math_500", 1))
        self.published.mkdir()
        with self.assertRaisesRegex(fetch.Failure, "published: no file matches test.jsonl"):
            self.fetch(named("math_500", 1))

    def test_a_changed_file_is_refused(self):
        self.put("test.jsonl", '{"problem":"P","answer":"1"}\n')
        self.fetch(named("math_500", 1))
        self.put("test.jsonl", '{"problem":"P","answer":"2"}\n')
        with self.assertRaisesRegex(fetch.Failure, "has changed since"):
            self.fetch(named("math_500", 1))


class Hub(http.server.BaseHTTPRequestHandler):
    files, sums = {}, {}

    def do_GET(self):
        path = self.path
        if path.startswith("/api/datasets/HuggingFaceH4/MATH-500/tree/main"):
            body = json.dumps([{"type": "directory", "path": "data"}] +
                              [{"type": "file", "path": p, "lfs": {"oid": s}} for p, s in self.sums.items()])
        else:
            body = self.files.get(path.replace("/datasets/HuggingFaceH4/MATH-500/resolve/main/", ""))
        self.send_response(200 if body is not None else 404)
        self.end_headers()
        self.wfile.write((body or "").encode())

    def log_message(self, *ignored):
        pass


class Downloads(Case):
    def setUp(self):
        super().setUp()
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        before, fetch.HUB = fetch.HUB, f"http://127.0.0.1:{server.server_port}"
        self.addCleanup(setattr, fetch, "HUB", before)
        text = '{"problem":"P","answer":"1"}\n'
        Hub.files = {"test.jsonl": text}
        Hub.sums = {"test.jsonl": hashlib.sha256(text.encode()).hexdigest()}

    def download(self):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            fetch.fetch(named("math_500", 1), self.root, "main", None)

    def test_a_download(self):
        self.download()
        self.download()
        self.assertTrue((self.root / "math_500/published/test.jsonl").exists())
        self.assertTrue((self.root / "math_500/math_500.jsonl").exists())

    def test_a_damaged_download(self):
        Hub.sums = {"test.jsonl": "0" * 64}
        with self.assertRaisesRegex(fetch.Failure, "where the hub states"):
            self.download()

    def test_a_missing_file(self):
        Hub.files = {}
        with self.assertRaisesRegex(fetch.Failure, "404"):
            self.download()


if __name__ == "__main__":
    unittest.main()
