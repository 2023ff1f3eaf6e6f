"""Make a bucket, the one thing that the object-store client cannot do."""

import asyncio
import urllib.error
import urllib.request
from datetime import timedelta

import obstore
from obstore.store import S3Store

from de_platform.pipeline.errors import Unavailable
from de_platform.services.filesystem.s3_settings import S3Settings

_TIMEOUT_SECONDS = 5
_LOCATION = (
    '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
)
_CONFLICT = 409
"""It is there already: another process was faster."""


async def create_bucket(store: S3Store, settings: S3Settings) -> None:
    """Create the bucket of these settings unless it is there. Raises Unavailable, also when that is not allowed."""
    url = await obstore.sign_async(store, "PUT", "", timedelta(minutes=1))
    body = _LOCATION.format(region=settings.region).encode() if settings.needs_location else b""
    await asyncio.to_thread(_put, url, body, settings.bucket)


def _put(url: str, body: bytes, bucket: str) -> None:
    request = urllib.request.Request(url, data=body, method="PUT")  # noqa: S310 - http or https, from the settings
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):  # noqa: S310
            return
    except urllib.error.HTTPError as error:
        with error:
            if error.code != _CONFLICT:
                raise Unavailable("file system", f"bucket {bucket} cannot be made: {error}") from error
    except OSError as error:
        raise Unavailable("file system", f"bucket {bucket} cannot be made: {error}") from error
