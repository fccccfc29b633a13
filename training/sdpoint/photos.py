"""Photographs of any size -> what a network sees. The service does the same (`src/image/decode.ts`).

Turned as EXIF says, colours to sRGB, transparency flattened on white, the shorter side resized, a centred square cut
out.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from sdpoint.config import DataConfig

KERNELS = {
    "linear": Image.Resampling.BILINEAR,
    "cubic": Image.Resampling.BICUBIC,  # Catmull-Rom, as libvips has it
    "lanczos3": Image.Resampling.LANCZOS,
}


class DataError(ValueError):
    """The data set is not laid out or filled as expected; the message says where and what to do."""


def opened(path: str | Path) -> Image.Image:
    """RGB, as `on_white`. Raises DataError if it cannot be read."""
    try:
        return on_white(Image.open(path))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as a picture: {error}") from error


def seen(path: str | Path, data: DataConfig) -> Image.Image:
    """What evaluation shows the network. Raises DataError, also if it should have the right size and has not."""
    image = opened(path)
    if data.resize:
        return cut(image, data.size, data.resize, data.kernel)
    if image.size != (data.size, data.size):
        width, height = image.size
        raise DataError(f"{path} is {width}x{height}; this network takes {data.size}x{data.size}")
    return image


def on_white(image: Image.Image) -> Image.Image:
    """RGB in sRGB, upright (`alpha` of the manifest's resize rule is `white`)."""
    image = ImageOps.exif_transpose(image)
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I;16"):  # grey of 16 bits, which `convert` would clip
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")
    return _in_srgb(image, profile).convert("RGB")


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """By its own colour profile, as wide-gamut cameras embed one; without one, or a broken one, as it is."""
    if not profile:
        return image
    try:
        own, srgb = ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, own, srgb, outputMode="RGB") or image
    except (ImageCms.PyCMSError, OSError):  # also if it is for another kind of picture than it lies in
        return image


def cut(image: Image.Image, size: int, resize: int, kernel: str) -> Image.Image:
    """The centred square of `size` pixels, of the picture whose shorter side is `resize` pixels; size <= resize."""
    width, height = image.size
    scale = resize / min(width, height)
    whole = (max(resize, round(width * scale)), max(resize, round(height * scale)))
    left, top = ((side - resize + 1) // 2 + (resize - size) // 2 for side in whole)
    return image.resize(whole, KERNELS[kernel]).crop((left, top, left + size, top + size))
