"""Records from files: `files.csv(...)`, `files.json(...)` and `files.xml(...)` are sources."""

from qalipsis.plugins.files.spec import CsvSource, JsonSource, XmlSource, csv, json, xml

__all__ = ["CsvSource", "JsonSource", "XmlSource", "csv", "json", "xml"]
