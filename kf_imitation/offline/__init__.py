"""The same stages over a file or bag: replay, report, measures."""
