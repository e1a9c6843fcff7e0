#!/usr/bin/env python3
"""Makes golden/python_text.json: what Python's strings, numbers and difflib give, on which official
judges are built. Standard library only, Python 3.11; the seed is fixed."""

import difflib
import json
import random
from pathlib import Path

random.seed(7)
WORDS = ("lung", "cancer", "the image", "shows", "Glaucoma.", "no", "é", "肺", "a", "CT scan", "fundus", "-", "X-ray")


def text(words):
    return " ".join(random.choice(WORDS) for _ in range(words))


ratios = []
for size in [0, 1, 2, 3, 5, 8, 20, 40, 60, 120] * 6:
    a, b = text(random.randint(0, 6)), text(size)
    if random.random() < 0.3 and b:
        at = random.randrange(len(b))
        a = b[at:at + random.randint(1, 30)]
    ratios.append([a, b, difflib.SequenceMatcher(None, a, b).ratio()])

rounds = []
for _ in range(200):
    value = random.choice([random.uniform(-1000, 1000), random.randint(-99, 99) / 8, random.uniform(-1, 1) / 1000,
                           random.randint(-5, 5), random.uniform(1e14, 1e17), 10.0 ** random.randint(-8, 22)])
    places = random.choice([1, 2])
    rounds.append([float(value), places, str(round(float(value), places))])

floats = []
for item in ["1", " 1.5\n", "+2", "-.5", "5.", ".", "", "1e5", "1E+05", "1_000", "1__0", "_1", "1_", "0x10", "1,000",
             "inf", "-Infinity", "nan", "infin", "1 000", "--1", "1e", "e5", "\u00a07", "1.5.2", "1e1_0", "1_.5"]:
    try:
        floats.append([item, repr(float(item))])
    except ValueError:
        floats.append([item, None])

PIECES = [" ", "\t", "\u00a0", "\u2003", "\n", "x", "Ä", "ǅ", "Σ", "'", ".", "7", "_", "\x1c"]
strips = []
for _ in range(60):
    item = "".join(random.choice(PIECES) for _ in range(random.randint(0, 8)))
    lower = "".join(c.lower() for c in item)
    strips.append([item, item.strip(), lower, len(item.split())])

out = {"ratios": ratios, "rounds": rounds, "floats": floats, "strips": strips}
Path(__file__).with_name("python_text.json").write_text(json.dumps(out, ensure_ascii=False, indent=0) + "\n")
