"""Hold what this app uses of Frappe against what a checkout of Frappe defines.

Nothing is imported or run: both are read. `python -m scripts.frappe_api PATH_TO_FRAPPE` prints what is missing there or
takes other arguments, and ends with 1 if there is any; `--notes` also prints what that version does not know and does
without. A use that the app guards itself (`except ImportError`, `hasattr`) is not reported.
"""
