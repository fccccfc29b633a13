"""What openapi.yaml cannot tell Schemathesis: what a picture is, and which budgets can be met."""

import struct
import zlib
from base64 import b64decode

import schemathesis
from hypothesis import strategies as st


def png(width: int, height: int, rgb: tuple[int, int, int]) -> bytes:
    """A picture of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + bytes(rgb) * width) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


side = st.integers(1, 40)
pictures = st.builds(png, side, side, st.tuples(*[st.integers(0, 255)] * 3)) | st.just(
    b64decode("R0lGODlhAQABAIABAP///wAAACwAAAAAAQABAAACAkQBADs=")  # a GIF of one pixel
)
for media in ["image/*", "application/octet-stream"]:
    schemathesis.openapi.media_type(media, pictures)

# Each can be met on an idle host, so whatever is refused for its budget is a finding.
share = st.integers(700, 1000).map(lambda thousandths: f"{thousandths / 1000:g}")
members = st.one_of(
    share.map("cost={}".format),
    st.integers(500_000, 10**12).map("flops={}".format),
    st.integers(10_000, 3_600_000).map("latency={}".format),
    st.integers(1, 500).map(lambda thousandths: f"accuracy={thousandths / 1000:g}"),
    st.sampled_from(["strict", "strict=?1", "strict=?0"]),
)
schemathesis.openapi.format("inference-budget", st.lists(members, min_size=1, max_size=5).map(", ".join))


@schemathesis.hook.apply_to(path="/classify", method="POST")
def before_call(ctx, case, kwargs) -> None:
    """An instance that is named may cost more than the budget allows (422)."""
    if is_valid(case) and "cost=" in case.headers.get("Inference-Budget", ""):
        case.query.pop("instance", None)


def is_valid(case) -> bool:
    return case.meta is not None and case.meta.generation.mode.is_positive


def pixels(count: int) -> dict:
    return {"name": "image", "shape": [count, 1, 2, 3], "datatype": "UINT8", "data": list(range(6 * count))}


@schemathesis.hook.apply_to(path_regex="/infer$", method="POST")
def before_call(ctx, case, kwargs) -> None:  # noqa: F811
    """The parts of a valid request for inference depend on each other, which JSON Schema cannot say."""
    if not is_valid(case):
        return
    headers = case.headers
    headers.pop("Inference-Header-Content-Length", None)
    if case.media_type == "application/octet-stream":
        headers["Inference-Header-Content-Length"] = "0"  # the body is one picture
    elif isinstance(case.body, dict) and len(case.body.get("id") or "") % 2 == 0:
        # Every second request, so that those with any data still come.
        parameters = {"budget_cost": 0.9, "binary_data_output": len(case.body) % 2 == 0}
        case.body = {**case.body, "inputs": [pixels(len(case.body))], "parameters": parameters}
        case.body.pop("outputs", None)
        headers.pop("Inference-Budget", None)


@schemathesis.check
class EveryPathAnswers:
    """What is refused tests little: each operation has to be accepted at least once."""

    def __init__(self):
        self.asked = set()
        self.answered = set()

    def after_response(self, ctx, response, case):
        self.asked.add(case.operation.label)
        if response.status_code == 200:
            self.answered.add(case.operation.label)

    def after_run(self, ctx):
        never = sorted(self.asked - self.answered)
        assert not never, f"no request was answered with 200: {never}"
