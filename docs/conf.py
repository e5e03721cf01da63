"""Sphinx's settings for the site. docs/build.py lays out the pages that it reads."""

project = "Learn DICOMweb with Python"
html_title = project
language = "en"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["**/.ipynb_checkpoints"]
default_role = "code"

nb_execution_mode = "off"  # the outputs are those that the tests compared
myst_heading_anchors = 3
myst_enable_extensions = ["attrs_block"]
suppress_warnings = [
    "mystnb.unknown_mime_type",
    "myst.xref_ambiguous",
]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
add_module_names = False

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
copybutton_exclude = ".linenos, .gp, .go"
