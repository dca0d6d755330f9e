"""Import policies and outcomes from CSV files."""

from motorisk.pipelines.importing.run import ImportResult, Progress, import_file, import_files

__all__ = ["ImportResult", "Progress", "import_file", "import_files"]
