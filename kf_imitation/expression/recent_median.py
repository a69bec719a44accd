"""The median of what was seen of late, without sorting anew."""

from bisect import bisect_left, insort
from collections import deque

import numpy as np
from numpy.typing import NDArray


class RecentMedian:
    """Keeps the last rows, and every column of them sorted: a frame costs no sorting."""

    def __init__(self, columns: int, kept: int) -> None:
        """Start empty.

        Args:
            columns: of a row.
            kept: rows at most.
        """
        self._kept = kept
        self._rows: deque[list[float]] = deque()
        self._columns: list[list[float]] = [[] for _ in range(columns)]

    def __len__(self) -> int:
        """Return how many rows are kept."""
        return len(self._rows)

    def push(self, row: NDArray[np.float64]) -> None:
        """Take a row; NaN is not known."""
        if len(self._rows) == self._kept:
            for column, value in zip(self._columns, self._rows.popleft(), strict=True):
                if value == value:
                    del column[bisect_left(column, value)]
        values = row.tolist()
        self._rows.append(values)
        for column, value in zip(self._columns, values, strict=True):
            if value == value:
                insort(column, value)

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many values of each column are known."""
        return np.array([len(column) for column in self._columns])

    def medians(self) -> NDArray[np.float64]:
        """Return the median of each column, NaN where nothing is known."""
        return np.array([_median(column) for column in self._columns])

    def clear(self) -> None:
        """Forget all rows."""
        self._rows.clear()
        for column in self._columns:
            column.clear()


def _median(column: list[float]) -> float:
    middle = len(column) // 2
    if len(column) % 2:
        return column[middle]
    return (column[middle - 1] + column[middle]) / 2 if column else np.nan
