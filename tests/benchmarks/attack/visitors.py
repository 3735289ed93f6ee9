"""Many visitors of one dashboard at once: every page answers each of them, within bounds of memory."""

import asyncio
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path

import psutil
from kills import TRAIN, timed
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect

AT_ONCE = 200
PAGES = ("forecast", "train", "theory", "variants", "outliers", "memory", "suite")


async def _visit(port: int, page: str) -> str:
    """Open one page as a browser does, and wait for its end: "finished", or what went wrong."""
    url = f"ws://127.0.0.1:{port}/_stcore/stream"
    # Browsers send no pings of their own, and wait while 200 pages are made by two cores.
    options = {"max_size": None, "open_timeout": 120, "ping_interval": None}
    options["origin"] = f"http://127.0.0.1:{port}"
    async with connect(url, subprotocols=["streamlit"], **options) as socket_:
        message = BackMsg()
        message.rerun_script.page_name = page
        await socket_.send(message.SerializeToString())
        while True:
            data = await asyncio.wait_for(socket_.recv(), 300)
            answer = ForwardMsg()
            answer.ParseFromString(data)
            if answer.WhichOneof("type") == "script_finished":
                code = answer.script_finished
                return "finished" if code == ForwardMsg.FINISHED_SUCCESSFULLY else "other end"
            if answer.delta.new_element.WhichOneof("type") == "exception":
                return "exception"


async def _all(port: int, visitors: int) -> Counter[str]:
    pages = [PAGES[number % len(PAGES)] for number in range(visitors)]
    ends = await asyncio.gather(*(_visit(port, page) for page in pages), return_exceptions=True)
    return Counter(end if isinstance(end, str) else repr(end)[:200] for end in ends)


def attack(rounds: int, seed: int, csv: Path, scratch: Path) -> dict[str, int]:
    """Send 200 visitors at once, as often as it takes for so many; the memory of the server is told."""
    timed(["train", csv, *TRAIN, "--max-steps", "2", "--output", scratch / "runs" / "one"], scratch)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "stanhop_app.cli", "dashboard", "--no-browser"]
    server = subprocess.Popen(
        [*command, "--port", str(port), "--runs", str(scratch / "runs")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ},
    )  # fmt: skip
    counts = Counter[str]()
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2).close()
                break
            except OSError:
                time.sleep(0.2)
        process, memory = psutil.Process(server.pid), []
        for first in range(0, rounds, AT_ONCE):
            counts += asyncio.run(_all(port, min(AT_ONCE, rounds - first)))
            memory.append(process.memory_info().rss // 2**20)
            print(f"{first + AT_ONCE} visitors, {memory[-1]} MB", flush=True)
        counts["MB after the first 200"], counts["MB at the end"] = memory[0], memory[-1]
    finally:
        server.terminate()
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            counts["still there after 60 s"] += 1
            server.kill()
            server.wait()
    return dict(counts)
