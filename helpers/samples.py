"""Synthetic files for lessons: folders of many files, and pictures of every kind. No patient is in them.

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     paths = make_folder(folder, files=3)
...     print(*(path.relative_to(folder).as_posix() for path in paths))
study-1/series-1/00001.dcm study-2/series-1/00002.dcm study-3/series-1/00003.dcm
"""

from pathlib import Path

from helpers.errors import HelperError

# sample_dcms is a folder without __init__.py; the root of the repository is on the path wherever helpers is.
from sample_dcms.make_synthetic import BROKEN, make_film, make_folder, study_uids, synthetic_uid

__all__ = [
    "BROKEN",
    "NoSuchPicture",
    "make_film",
    "make_folder",
    "make_messy_folder",
    "make_pictures",
    "study_uids",
    "synthetic_uid",
]


class NoSuchPicture(HelperError, KeyError):
    """There is no picture of that name."""

    __str__ = Exception.__str__  # a KeyError would put its message in quotes


def make_pictures(*names: str) -> dict[str, bytes]:
    """The DICOM files of these names: "ct", "key", "palette", "rgb", "ybr", "film" …; all of them without a name.

    sample_dcms/make_pictures.py draws them, the same on every run. Raises NoSuchPicture.

    >>> files = make_pictures("key", "film")
    >>> [(name, content[128:132]) for name, content in files.items()]
    [('key', b'DICM'), ('film', b'DICM')]
    """
    # Imported here, since lessons without pictures of this kind start sooner.
    from sample_dcms import make_pictures as drawing

    unknown = [name for name in names if name not in drawing.PICTURES]
    if unknown:
        raise NoSuchPicture(f"there is no picture {', '.join(unknown)}. There are: {', '.join(drawing.PICTURES)}.")
    return drawing.make(names or drawing.PICTURES)


def make_messy_folder(folder: str | Path) -> list[Path]:
    """Write the files of sample_dcms/make_messy.py below `folder`: good ones, copies, broken ones; returns their paths.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     paths = make_messy_folder(folder)
    >>> len(paths), paths[-1].name
    (12, 'notes.dcm')
    """
    from sample_dcms import make_messy

    return make_messy.make_folder(folder)
