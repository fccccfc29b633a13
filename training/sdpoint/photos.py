"""Preprocessing of photographs of any size; the service does the same (`src/image/decode.ts`).

The picture is rotated as EXIF says, converted to sRGB, blended with white where it is transparent, and resized so that
its shorter side has a given length. Then the centred square is cropped.
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
    """A data set with a wrong layout or content; the message says where and what to do."""


def opened(path: str | Path) -> Image.Image:
    """Read a picture as RGB (see `on_white`). Raises DataError if it cannot be read."""
    try:
        return on_white(Image.open(path))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as a picture: {error}") from error


def seen(path: str | Path, data: DataConfig) -> Image.Image:
    """Read a picture, preprocessed for evaluation: size x size.

    Raises DataError if it cannot be read, or if data.resize is 0 and it has another size.
    """
    image = opened(path)
    if data.resize:
        return cut(image, data.size, data.resize, data.kernel)
    if image.size != (data.size, data.size):
        width, height = image.size
        raise DataError(f"{path} is {width}x{height}; this network takes {data.size}x{data.size}")
    return image


def on_white(image: Image.Image) -> Image.Image:
    """Convert to upright sRGB; transparent parts are blended with white (`alpha: white` in the manifest)."""
    image = ImageOps.exif_transpose(image)
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I;16"):  # 16-bit grey, which `convert` would clip
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")
    return _in_srgb(image, profile).convert("RGB")


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert colours by the embedded ICC profile; without a valid profile the picture is returned as it is."""
    if not profile:
        return image
    try:
        own, srgb = ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, own, srgb, outputMode="RGB") or image
    except (ImageCms.PyCMSError, OSError):  # also a profile for another colour mode than the picture's
        return image


def cut(image: Image.Image, size: int, resize: int, kernel: str) -> Image.Image:
    """Resize to a shorter side of `resize` pixels, then crop the centred square of `size` pixels; size <= resize."""
    width, height = image.size
    scale = resize / min(width, height)
    whole = (max(resize, round(width * scale)), max(resize, round(height * scale)))
    left, top = ((side - resize + 1) // 2 + (resize - size) // 2 for side in whole)
    return image.resize(whole, KERNELS[kernel]).crop((left, top, left + size, top + size))
