"""A release without a conductor: ``replay.py OPS.json PURPOSE,PURPOSE…`` does what was written down, in order, plainly.

Each child by ``subprocess.run``, each request by ``http.client``, each pause by ``time.sleep``. A child that ends with
another code than the conductor's did ends the script: then it would not be the same release any more.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit


def main() -> None:
    wanted = set(sys.argv[2].split(","))
    operations = [op for op in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")) if op["purpose"] in wanted]
    for op in operations:
        match op["do"]:
            case "run":
                run(op)
            case "get":
                get(op["url"], op["timeout"])
            case "sleep":
                time.sleep(op["seconds"])
            case "remove":
                shutil.rmtree(op["path"], ignore_errors=True)
            case "write":
                file = Path(op["path"])
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(op["text"], encoding="utf-8")


def run(op: dict) -> None:
    trees = [word.partition("=")[2] for word in op["argv"] if word.startswith("--work-tree=")]
    for folder in (op["cwd"], op["env"].get("HOME"), op["env"].get("TMPDIR"), *trees):
        if folder:
            os.makedirs(folder, exist_ok=True)
    fed = base64.b64decode(op["stdin"])
    given = {"input": fed} if fed else {"stdin": subprocess.DEVNULL}
    done = subprocess.run(
        op["argv"], cwd=op["cwd"], env=op["env"], timeout=op["timeout"], capture_output=True, check=False, **given
    )
    if done.returncode != op["code"]:
        said = done.stderr.decode(errors="replace")[-500:]
        sys.exit(f"{' '.join(op['argv'])[:300]} ended with {done.returncode}, not {op['code']}: {said}")


def get(url: str, timeout: float) -> None:
    parts = urlsplit(url)
    line = http.client.HTTPConnection(parts.netloc, timeout=timeout)
    line.request("GET", parts.path)
    line.getresponse().read()
    line.close()


if __name__ == "__main__":
    main()
