"""Synthetic files for lessons: what sample_dcms/make_synthetic.py makes, importable from everywhere.

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     paths = make_folder(folder, files=3)
...     print(*(path.relative_to(folder).as_posix() for path in paths))
study-1/series-1/00001.dcm study-2/series-1/00002.dcm study-3/series-1/00003.dcm
"""

# sample_dcms is a folder without __init__.py; the root of the repository is on the path wherever helpers is.
from sample_dcms.make_synthetic import BROKEN, make_film, make_folder, study_uids, synthetic_uid

__all__ = ["BROKEN", "make_film", "make_folder", "study_uids", "synthetic_uid"]
