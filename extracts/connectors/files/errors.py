"""What can be wrong with the rows of a file, and with a file as a whole."""

from __future__ import annotations

from agnes_site.core.errors import InvalidInputError


class FileUnusableError(InvalidInputError):
    """A file is not what its name or its settings say, or is damaged as a whole."""

    code = "file_unusable"
    hint = "Replace the file, or correct the format in the settings of the table."


class RowError(InvalidInputError):
    """A row of a file cannot be read, or does not fit the columns."""

    code = "row_invalid"
    hint = "Correct the file, or let the settings of the table set such rows aside (bad_rows)."


class TooManyBadRowsError(InvalidInputError):
    """More rows of a table cannot be read than its settings allow to set aside."""

    code = "bad_rows_too_many"
    hint = "Correct the file or the settings of the table; max_bad_rows is how many are allowed."


class TableSettingsError(InvalidInputError):
    """The settings of a table do not fit its files."""

    code = "table_settings_invalid"
    hint = "Correct the settings of the table."
