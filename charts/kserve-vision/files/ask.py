"""Wait until a model is ready, send it a picture, and print what it says. Runs in the transformer's image."""

from __future__ import annotations

import http.client
import io
import sys
import time
import urllib.parse

from PIL import Image

PATIENCE_S = 30.0


def main() -> int:
    """Take the address and the seconds to wait from the command line."""
    address, seconds = sys.argv[1], float(sys.argv[2])
    if not wait(address, "/v2/health/ready", seconds):
        return 1
    status, body = ask(address, "POST", "/predict", drawn_picture())
    sys.stdout.write(f"/predict answers {status}: {body[:2000]}\n")
    return 0 if status == http.HTTPStatus.OK else 1


def wait(address: str, path: str, seconds: float) -> bool:
    """Ask until the answer is 200, for so many seconds; say what the last one was."""
    deadline = time.monotonic() + seconds
    while True:
        status, body = ask(address, "GET", path)
        if status == http.HTTPStatus.OK:
            return True
        if time.monotonic() > deadline:
            sys.stderr.write(f"{address}{path} is not ready after {seconds:.0f} s: {status or ''} {body[:500]}\n")
            return False
        time.sleep(1)


def ask(address: str, method: str, path: str, picture: bytes | None = None) -> tuple[int, str]:
    """The status and body of an answer; 0 and the reason where there is none."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(address).netloc, timeout=PATIENCE_S)
    try:
        connection.request(method, path, picture, {"Content-Type": "image/jpeg"} if picture else {})
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)
    finally:
        connection.close()


def drawn_picture() -> bytes:
    """A JPEG of 320x240 pixels, from dark to light."""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((320, 240)).convert("RGB").save(file, "JPEG")
    return file.getvalue()


if __name__ == "__main__":
    sys.exit(main())
