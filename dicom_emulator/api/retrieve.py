"""WADO-RS: studies, series, instances, frames and metadata (PS3.18 §10.4; conformance statement, Retrieve)."""

from collections.abc import Iterator, Sequence
from html import escape
from itertools import islice

from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless
from starlette.requests import Request
from starlette.responses import Response

from dicom_emulator.api.parameters import whole_number
from dicom_emulator.api.transaction import Call, Transaction
from dicom_emulator.archive import StoredInstance
from dicom_emulator.blocking import look_up, run_blocking
from dicom_emulator.codec_process import CodecCrashed
from dicom_emulator.dicom.transcode import CannotTranscode, transcode_file, transcode_frames
from dicom_emulator.errors import BadRequest, InvalidParameter, NotAcceptable, NotFound
from dicom_emulator.extent import LARGEST_IN_MEMORY, Extent, Piece, length_of, spool
from dicom_emulator.versions import Version
from dicom_emulator.wire.accept import Choice, Offer, choose
from dicom_emulator.wire.responses import DICOM_JSON, Body, multipart, single

NOT_ACCEPTABLE = "The request headers are not acceptable"
NO_TRANSCODING = "The specified transcoding is not supported."
SEVERAL_INSTANCES = (
    "Transcoding is not supported when multiple instances are matched by the request. "
    "Consider asking for the stored transfer syntax with transfer-syntax=*."
)
BAD_FRAMES = (
    "The specified frames value is not valid. At least one frame must be present, "
    "and all requested frames must have value greater than 0."
)
ORIGINAL = "*"
FILE_SYNTAXES = frozenset({ORIGINAL, str(ExplicitVRLittleEndian), str(JPEG2000Lossless)})
FRAME_SYNTAXES = frozenset({ORIGINAL, str(ExplicitVRLittleEndian)})
DICOM, OCTETS, JPEG_2000 = "application/dicom", "application/octet-stream", "image/jp2"

# What can be asked for, what is sent, in which transfer syntax unless the client names one, and which it may name.
FILES_IN_PARTS = (
    Offer(DICOM, DICOM, str(ExplicitVRLittleEndian), FILE_SYNTAXES, multipart=True, answered_multipart=True),
    Offer("*/*", DICOM, ORIGINAL, FILE_SYNTAXES, multipart=True, answered_multipart=True),
    Offer("*/*", DICOM, ORIGINAL, FILE_SYNTAXES, multipart=False, answered_multipart=True),
)
INSTANCE = (
    *FILES_IN_PARTS,
    Offer(DICOM, DICOM, str(ExplicitVRLittleEndian), FILE_SYNTAXES, multipart=False, answered_multipart=False),
)
JP2_SYNTAXES = frozenset({str(JPEG2000Lossless)})
FRAMES = (
    Offer(OCTETS, OCTETS, str(ExplicitVRLittleEndian), FRAME_SYNTAXES, multipart=False, answered_multipart=False),
    Offer(OCTETS, OCTETS, str(ExplicitVRLittleEndian), FRAME_SYNTAXES, multipart=True, answered_multipart=True),
    Offer(JPEG_2000, JPEG_2000, str(JPEG2000Lossless), JP2_SYNTAXES, multipart=True, answered_multipart=True),
    Offer("*/*", OCTETS, ORIGINAL, FRAME_SYNTAXES, multipart=True, answered_multipart=True),
    Offer("*/*", OCTETS, ORIGINAL, FRAME_SYNTAXES, multipart=False, answered_multipart=True),
)


def chosen(call: Call, offers: tuple[Offer, ...]) -> Choice:
    choice = choose(call.accept, offers)
    if choice is None:
        raise NotAcceptable(NOT_ACCEPTABLE)
    return choice


def wants_original(call: Call) -> bool:
    """Whether the version before the first bulk update is asked for."""
    return call.request.headers.get("msdicom-request-original", "").lower() == "true"


async def found(call: Call, identifiers: tuple[str, ...], original: bool = False) -> list[StoredInstance]:
    """The instances that the path names. Raises NotFound."""
    run = look_up if len(identifiers) == 3 else run_blocking
    instances = await run(call.archive.instances, call.partition.key, *identifiers, original=original)
    if not instances:
        raise NotFound(call.level)
    return instances


async def retrieve_instances(call: Call) -> Response:
    """GET a study, a series or an instance."""
    identifiers = call.identifiers()
    choice = chosen(call, INSTANCE if len(identifiers) == 3 else FILES_IN_PARTS)
    instances = await found(call, identifiers, wants_original(call))
    if len(instances) > 1 and choice.transfer_syntax != ORIGINAL:
        raise NotAcceptable(SEVERAL_INSTANCES)
    if as_stored(instances[0], choice):
        bodies: Iterator[Body] = (
            labelled(choice, instance.transfer_syntax, Extent(instance.path, 0, instance.size))
            for instance in instances
        )
    else:
        check_size(call, instances[0])
        bodies = iter([await transcoded(call, instances[0], choice)])
    return multipart(bodies) if choice.multipart else single(next(bodies))


def as_stored(instance: StoredInstance, choice: Choice) -> bool:
    return choice.transfer_syntax in {ORIGINAL, instance.transfer_syntax}


def labelled(choice: Choice, transfer_syntax: str, *pieces: Piece) -> Body:
    return Body(f"{choice.media_type}; transfer-syntax={transfer_syntax}", pieces)


def check_size(call: Call, instance: StoredInstance) -> None:
    """Refuse to convert what is too large. Raises NotAcceptable."""
    limit = call.service.settings.max_transcode_size
    if instance.size > limit:
        raise NotAcceptable(
            f"The instance has more than {limit} bytes, the limit for transcoding. "
            "Consider asking for the stored transfer syntax with transfer-syntax=*."
        )


async def transcoded(call: Call, instance: StoredInstance, choice: Choice) -> Body:
    try:
        content = await call.service.codecs.run(
            transcode_file, instance.path, instance.transfer_syntax, choice.transfer_syntax
        )
    except (CannotTranscode, CodecCrashed):
        raise NotAcceptable(NO_TRANSCODING) from None
    return labelled(choice, choice.transfer_syntax, *await spooled(call, [content]))


async def spooled(call: Call, pieces: Sequence[Piece]) -> Sequence[Piece]:
    """The same pieces; many bytes among them are moved from memory to a file, for the client may take its time."""
    if length_of(piece for piece in pieces if not isinstance(piece, Extent)) <= LARGEST_IN_MEMORY:
        return pieces
    return await run_blocking(spool, pieces, call.archive.files.new_incoming())


RETRIEVE = Transaction(retrieve_instances, action="read")


def bind_frames(request: Request, version: Version) -> list[int]:
    numbers = []
    for text in request.path_params["frames"].split(","):
        number = whole_number(text, bits=32)
        if number is None:
            raise InvalidParameter("frames", f"Unable to parse value '{escape(text)}' as Int32.")
        numbers.append(number)
    return numbers


async def retrieve_frames(call: Call) -> Response:
    """GET frames, in the order asked for, repetitions included."""
    identifiers = call.identifiers()
    numbers: list[int] = call.parameters
    if min(numbers) < 1:
        raise BadRequest(BAD_FRAMES)
    choice = chosen(call, FRAMES)
    if not choice.multipart and len(numbers) > 1:
        raise BadRequest(
            "More than one frame cannot be sent as a single part; "
            'ask for multipart/related; type="application/octet-stream".'
        )
    (instance,) = await found(call, identifiers)
    frames = instance.frames
    if frames is None or max(numbers) > frames.count:
        raise NotFound("frame")
    different = list(dict.fromkeys(numbers))  # a path may name a frame thousands of times
    if not as_stored(instance, choice):
        check_size(call, instance)
        transfer_syntax = choice.transfer_syntax
        try:
            found_frames = await call.service.codecs.run(
                transcode_frames, instance.path, frames, different, instance.transfer_syntax, transfer_syntax
            )
        except (CannotTranscode, CodecCrashed):
            raise NotAcceptable(NO_TRANSCODING) from None
    else:
        transfer_syntax = instance.transfer_syntax
        run = look_up if frames.in_whole_bytes else run_blocking
        found_frames = await run(frames.frames, instance.path, different)
    pieces = iter(await spooled(call, [piece for frame in found_frames for piece in frame]))
    by_number = {
        number: list(islice(pieces, len(frame))) for number, frame in zip(different, found_frames, strict=True)
    }
    bodies = [labelled(choice, transfer_syntax, *by_number[number]) for number in numbers]
    return multipart(bodies) if choice.multipart else single(bodies[0])


RETRIEVE_FRAMES = Transaction(retrieve_frames, action="read", bind=bind_frames)


async def retrieve_metadata(call: Call) -> Response:
    """GET everything but the bulk of the data, as DICOM JSON, with an ETag that follows each change."""
    identifiers = call.identifiers()
    run = look_up if len(identifiers) == 3 else run_blocking
    watermarks, objects = await run(
        call.archive.metadata, call.partition.key, *identifiers, original=wants_original(call)
    )
    if not watermarks:
        raise NotFound(call.level)
    etag = f"{watermarks[0]}" if len(identifiers) == 3 else f"{max(watermarks)}-{len(watermarks)}"
    if call.request.headers.get("if-none-match", "").lower() == etag:
        return Response(status_code=304)
    objects[0] = b"[" + objects[0]
    objects[-1] += b"]"
    response = single(Body(DICOM_JSON, tuple(await spooled(call, [b",".join(objects)]))))
    response.headers["ETag"] = etag
    return response


RETRIEVE_METADATA = Transaction(retrieve_metadata, action="read", answers_dicom_json=True)
