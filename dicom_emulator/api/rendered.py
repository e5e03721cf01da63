"""Rendered pictures: .../rendered of an instance or a frame (PS3.18 §10.4.1.1.3; conformance statement, Retrieve)."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from dicom_emulator.api.parameters import Parameters
from dicom_emulator.api.retrieve import BAD_FRAMES, NOT_ACCEPTABLE, bind_frames, check_size, found, spooled
from dicom_emulator.api.transaction import Call, Transaction
from dicom_emulator.codec_process import CodecCrashed
from dicom_emulator.dicom.pixels import CannotDecode, draw
from dicom_emulator.errors import BadRequest, InvalidParameter, NotAcceptable, NotFound
from dicom_emulator.versions import Version
from dicom_emulator.wire.accept import Unreadable, parse_media_ranges
from dicom_emulator.wire.responses import Body, single

SEVERAL_RANGES = "The request contains multiple accept headers, which is not supported."
CANNOT_DRAW = "An error was encountered when attempting to convert the dicom file into an image"


@dataclass(frozen=True)
class RenderParameters:
    frame: int
    quality: int


def bind_rendered(request: Request, version: Version) -> RenderParameters:
    frame = 1
    if "frames" in request.path_params:
        frame, *others = bind_frames(request, version)
        if others:
            raise InvalidParameter("frame", "One frame can be rendered at a time.")
    # Any number is bound; the handler says which are good.
    quality = Parameters(request).number("quality", 100, -(2**31), 2**31 - 1)
    return RenderParameters(frame, quality)


def media_type_of(accept: str | None) -> str:
    """What the one media range asks for; JPEG without a header. Raises NotAcceptable."""
    if not accept:
        return "image/jpeg"
    try:
        ranges = parse_media_ranges(accept)
    except Unreadable:
        raise NotAcceptable(NOT_ACCEPTABLE) from None
    if len(ranges) > 1:
        raise NotAcceptable(SEVERAL_RANGES)
    if ranges[0].type not in {"image/jpeg", "image/png"}:
        raise NotAcceptable(NOT_ACCEPTABLE)
    return ranges[0].type


async def retrieve_rendered(call: Call) -> Response:
    identifiers = call.identifiers()
    parameters: RenderParameters = call.parameters
    if parameters.frame < 1:
        raise BadRequest(BAD_FRAMES)
    if not 1 <= parameters.quality <= 100:
        raise BadRequest("Image quality must be between 1 and 100 inclusive")
    media_type = media_type_of(call.accept)
    (instance,) = await found(call, identifiers)
    frames = instance.frames
    if frames is None or parameters.frame > frames.count:
        raise NotFound("frame")
    check_size(call, instance)
    try:
        picture = await call.service.codecs.run(draw, instance.path, parameters.frame, media_type, parameters.quality)
    except (CannotDecode, CodecCrashed):
        raise NotAcceptable(CANNOT_DRAW) from None
    return single(Body(media_type, tuple(await spooled(call, [picture]))))


RETRIEVE_RENDERED = Transaction(retrieve_rendered, action="read", bind=bind_rendered)
