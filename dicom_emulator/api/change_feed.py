"""The change feed: GET /changefeed and /changefeed/latest (conformance statement, change feed)."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from dicom_emulator.api.parameters import Parameters
from dicom_emulator.api.transaction import Call, Transaction
from dicom_emulator.archive import change_feed
from dicom_emulator.archive.change_feed import Window
from dicom_emulator.archive.ticks import NoTimeZone, parse_time
from dicom_emulator.blocking import look_up, run_blocking
from dicom_emulator.errors import BadRequest, InvalidParameter
from dicom_emulator.versions import Version
from dicom_emulator.wire.responses import ServiceJson


@dataclass(frozen=True)
class FeedParameters:
    window: Window
    metadata: bool


def bind_list(request: Request, version: Version) -> FeedParameters:
    parameters = Parameters(request)
    offset = parameters.number("Offset", 0, 0, 2**63 - 1)
    limit = parameters.number("Limit", version.feed_default_limit, 1, version.feed_max_limit)
    metadata = parameters.flag("IncludeMetadata", True)
    if not version.feed_by_time:
        return FeedParameters(Window(after=offset, up_to=min(offset + limit, 2**63 - 1)), metadata)
    start, end = bind_time(parameters, "StartTime", Window.start), bind_time(parameters, "EndTime", Window.end)
    if end <= start:
        raise BadRequest("The start time must occur strictly before the end time.")
    return FeedParameters(Window(start=start, end=end, limit=limit, offset=offset), metadata)


def bind_time(parameters: Parameters, name: str, default: int) -> int:
    text = next(iter(parameters.values(name)), None)
    if text is None:
        return default
    try:
        return parse_time(text)
    except NoTimeZone:
        raise InvalidParameter(name, "Date and time value must specify a time zone.") from None
    except (ValueError, OverflowError):
        raise InvalidParameter(name, "The value is not a date and time of ISO 8601.") from None


async def list_events(call: Call) -> Response:
    window, metadata = call.parameters.window, call.parameters.metadata
    events = await run_blocking(lambda: change_feed.events(call.archive.index.reader, window, metadata))
    return ServiceJson(f"[{','.join(events)}]")


def bind_latest(request: Request, version: Version) -> bool:
    return Parameters(request).flag("IncludeMetadata", True)


async def latest_event(call: Call) -> Response:
    event = await look_up(lambda: change_feed.latest(call.archive.index.reader, call.parameters))
    return Response(status_code=204) if event is None else ServiceJson(event)


LIST = Transaction(list_events, action="read", bind=bind_list)
LATEST = Transaction(latest_event, action="read", bind=bind_latest)
