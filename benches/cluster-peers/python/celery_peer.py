"""Celery over Redis, three workers of one process each. Without gossip, events and heartbeats: as quick as it gets."""

import os
import subprocess
import sys

import celery
from celery.result import ResultSet

url = os.environ["PEERS_URL"]
app = celery.Celery("celery_peer", broker=url, backend=url)
# A worker takes some ahead.
app.conf.worker_prefetch_multiplier = 64


@app.task
def echo(value):
    return value


def trip(value):
    return echo.delay(value).get(timeout=60)


def run_all(values):
    return ResultSet([echo.delay(value) for value in values]).join_native(timeout=600)


def start_worker(number):
    options = ["--pool", os.environ.get("PEERS_CELERY_POOL", "solo"), "--concurrency", "1", "--loglevel", "ERROR"]
    options += ["--without-gossip", "--without-mingle", "--without-heartbeat", "--hostname", f"peer{number}@%h"]
    command = [sys.executable, "-m", "celery", "--app", "celery_peer", "worker", *options]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    import celery_peer
    import reading

    workers = [start_worker(number) for number in range(3)]
    try:
        reading.serve(celery_peer.trip, celery_peer.trip, celery_peer.run_all)
    finally:
        for worker in workers:
            worker.kill()
