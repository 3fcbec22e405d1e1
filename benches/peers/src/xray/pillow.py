"""One reading of Pillow: subject, workers, repeat, whether as drafts, where the thumbnails go, files. Prints seconds."""
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import nullcontext

from PIL import Image

signal.alarm(170)


def image_resize(path):
    with Image.open(path) as image:
        if draft == "true":
            image.draft("L", (64, 64))
        if image.mode != "L":
            image = image.convert("L")
        return image.resize((64, 64)).tobytes()


subject, workers, repeat, draft, place, *files = sys.argv[1:]
pools = {"cpython_threads": ThreadPoolExecutor, "cpython_processes": ProcessPoolExecutor}
start = time.perf_counter()
with pools[subject](int(workers)) if subject in pools else nullcontext() as pool:
    thumbnails = list((pool.map if pool else map)(image_resize, files * int(repeat)))
print(time.perf_counter() - start)
with open(place, "wb") as out:
    out.write(b"".join(thumbnails[: len(files)]))
