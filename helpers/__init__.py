"""The small module that the lessons import. One name a tool; each module below says more about its own."""

from helpers.auth import BearerAuth, InsecureAddress, NotSignedIn
from helpers.errors import HelperError
from helpers.exchange import NothingRaised, expect, short, show_exchange
from helpers.exercises import NoSuchExercise, check, hint, progress
from helpers.frames import (
    FrameError,
    decode_frame,
    read_picture,
    show_film,
    show_frame,
    show_frames,
    show_slider,
    show_strip,
)
from helpers.lesson import Lesson, LessonError, start_lesson
from helpers.multipart import (
    MalformedBody,
    MissingBoundary,
    MultipartError,
    MultipartRelatedStream,
    NotMultipart,
    Part,
    TruncatedBody,
    WrongBoundary,
    encode_multipart_related,
    iter_parts,
    parts_of,
)
from helpers.plots import show_plot
from helpers.samples import make_messy_folder, make_pictures
from helpers.service import EmulatorDidNotStart, EmulatorProcess
from helpers.session import LargeBlocks, LessonSession, PatientDataGuard, ServiceUnreachable
from helpers.studies import make_instance, make_studies, uid_of_instance, uid_of_series, uid_of_study
from helpers.transfer import DownloadReport, TransferError, UploadReport, download_study, upload_folder

__all__ = [
    "BearerAuth",
    "DownloadReport",
    "EmulatorDidNotStart",
    "EmulatorProcess",
    "FrameError",
    "HelperError",
    "InsecureAddress",
    "LargeBlocks",
    "Lesson",
    "LessonError",
    "LessonSession",
    "MalformedBody",
    "MissingBoundary",
    "MultipartError",
    "MultipartRelatedStream",
    "NoSuchExercise",
    "NotMultipart",
    "NotSignedIn",
    "NothingRaised",
    "Part",
    "PatientDataGuard",
    "ServiceUnreachable",
    "TransferError",
    "TruncatedBody",
    "UploadReport",
    "WrongBoundary",
    "check",
    "decode_frame",
    "download_study",
    "encode_multipart_related",
    "expect",
    "hint",
    "iter_parts",
    "make_instance",
    "make_messy_folder",
    "make_pictures",
    "make_studies",
    "parts_of",
    "progress",
    "read_picture",
    "short",
    "show_exchange",
    "show_film",
    "show_frame",
    "show_frames",
    "show_plot",
    "show_slider",
    "show_strip",
    "start_lesson",
    "uid_of_instance",
    "uid_of_series",
    "uid_of_study",
    "upload_folder",
]
