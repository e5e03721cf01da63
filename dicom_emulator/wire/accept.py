"""Accept headers: taking them apart and choosing among what a resource offers (RFC 9110 §12.5.1, PS3.18 §8.7)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# A parameter's value may hold "/" without quotes: clients write type=application/dicom, and the service takes it.
PARAMETER = re.compile(rf'\s*;\s*(?:(?P<name>{TOKEN})\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s;,"]+)))?\s*')
MEDIA_TYPE = re.compile(rf"\s*(?P<type>{TOKEN}/{TOKEN})\s*")


class Unreadable(ValueError):
    """The header does not follow the grammar."""


@dataclass(frozen=True)
class MediaRange:
    """One media type with its parameters: names in lower case, values without quotes."""

    type: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def quality(self) -> float:
        try:
            return float(self.parameters.get("q", 1))
        except ValueError:
            raise Unreadable(f"q={self.parameters['q']}") from None


@lru_cache  # clients send few different ones
def parse_media_ranges(header: str) -> tuple[MediaRange, ...]:
    """The media ranges of a comma-separated header, in its order. Raises Unreadable.

    >>> first, second = parse_media_ranges('multipart/related; type="image/jp2", */*;q=0.5')
    >>> first
    MediaRange(type='multipart/related', parameters={'type': 'image/jp2'})
    >>> second.type, second.quality
    ('*/*', 0.5)
    """
    ranges, position = [], 0
    while position < len(header):
        match = MEDIA_TYPE.match(header, position)
        if not match:
            raise Unreadable(header)
        media_type, position, parameters = match["type"].lower(), match.end(), {}
        while position < len(header) and header[position] == ";":
            match = PARAMETER.match(header, position)
            assert match  # a lone ";" matches, too
            if match["name"]:
                value = match["bare"] if match["quoted"] is None else re.sub(r"\\(.)", r"\1", match["quoted"])
                parameters[match["name"].lower()] = value
            position = match.end()
        ranges.append(MediaRange(media_type, parameters))
        if position < len(header):
            if header[position] != ",":
                raise Unreadable(header)
            position += 1
    return tuple(ranges)


@lru_cache  # clients send few different ones
def accepts_dicom_json(header: str | None) -> bool:
    """Whether DICOM JSON may be sent. `application/json` will do; no header at all will not."""
    try:
        ranges = parse_media_ranges(header or "")
    except Unreadable:
        return False
    return any(media.type in {"application/dicom+json", "application/json", "application/*", "*/*"} for media in ranges)


@dataclass(frozen=True)
class Offer:
    """A form in which a resource can be had.

    `asked` is the media type a client asks with, `sent` the one each part or the single body gets.
    """

    asked: str
    sent: str
    default_transfer_syntax: str
    transfer_syntaxes: frozenset[str]
    multipart: bool  # the client asks for multipart/related; type=asked
    answered_multipart: bool


@dataclass(frozen=True)
class Choice:
    """What will be sent: media type, transfer syntax ("*": as stored), and whether in parts."""

    media_type: str
    transfer_syntax: str
    multipart: bool


def choose(header: str | None, offers: Sequence[Offer]) -> Choice | None:
    """What to send for an Accept header, or None where nothing on offer is acceptable.

    The highest q wins, then the order of the header; but "*" as transfer syntax, asked for with the same q, beats a
    named one, since it never costs a conversion.
    """
    try:
        ranges = sorted(parse_media_ranges(header or ""), key=lambda media: -media.quality)
    except Unreadable:
        return None
    # An oddity of the service: after a first multipart/related, the other ranges count as wishes for parts, too.
    all_multipart = (header or "").strip().lower().startswith("multipart/related")
    best: Choice | None = None
    best_quality = 0.0
    for media in ranges:
        choice = fit(media, offers, all_multipart or media.type == "multipart/related")
        if choice is None or media.quality == 0:
            continue
        if best is None or (
            choice.transfer_syntax == "*" and best.transfer_syntax != "*" and media.quality >= best_quality
        ):
            best, best_quality = choice, media.quality
    return best


def fit(media: MediaRange, offers: Iterable[Offer], multipart: bool) -> Choice | None:
    asked = media.type
    if multipart and (media.type == "multipart/related" or "type" in media.parameters):
        asked = media.parameters.get("type", "").lower()
    for offer in offers:
        if (offer.asked, offer.multipart) == (asked, multipart):
            wanted = media.parameters.get("transfer-syntax", offer.default_transfer_syntax).lower()
            if wanted in offer.transfer_syntaxes:
                return Choice(offer.sent, wanted, offer.answered_multipart)
    return None
