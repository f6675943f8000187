"""Charts of a report as SVG: they print sharply, need no script, and look the same in an e-mail's attachment.

The pages of the panel draw theirs with a library. A report has a line or bars for the days of a month, and a table with
the same figures beside it.
"""

from collections.abc import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 190, 76, 28, 10

#: A day's label, and its value; ``None`` where it is not known.
Points = Sequence[tuple[str, float | None]]


def line_chart(points: Points, title: str, unit: str) -> SafeString:
    """Return a line through the known values; where one is missing, the line is interrupted, and a
    value between two missing ones is a dot."""
    place = _scale([value for _, value in points if value is not None])
    pieces: list[str] = []
    piece: list[str] = []
    for number, (_, value) in enumerate(points):
        if value is None:
            pieces, piece = [*pieces, " ".join(piece)], []
        else:
            piece.append(f"{_x(number, len(points)):.1f},{place(value):.1f}")
    pieces.append(" ".join(piece))
    lines = format_html_join(
        "", '<polyline class="chart-line" points="{}"/>', ((piece,) for piece in pieces if " " in piece)
    )
    alone = format_html_join(
        "",
        '<circle class="chart-bar" cx="{}" cy="{}" r="4"/>',
        (piece.split(",") for piece in pieces if piece and " " not in piece),
    )
    return _chart(points, title, unit, place, lines + alone)


def bar_chart(points: Points, title: str, unit: str) -> SafeString:
    """Return a bar for each known value, from zero."""
    place = _scale([0.0, *(value for _, value in points if value is not None)])
    width = max(1.0, (WIDTH - LEFT) / max(1, len(points)) * 0.7)
    bars = format_html_join(
        "",
        '<rect class="chart-bar" x="{}" y="{}" width="{}" height="{}"/>',
        (
            (
                f"{_x(number, len(points)) - width / 2:.1f}",
                f"{min(place(value), place(0.0)):.1f}",
                f"{width:.1f}",
                f"{abs(place(0.0) - place(value)):.1f}",
            )
            for number, (_, value) in enumerate(points)
            if value is not None
        ),
    )
    return _chart(points, title, unit, place, bars)


class _scale:  # noqa: N801 - used as a function
    """Places a value on the vertical axis."""

    def __init__(self, values: Sequence[float]) -> None:
        self.low, self.high = (min(values), max(values)) if values else (0.0, 0.0)
        if self.low == self.high:
            self.low, self.high = self.low - (abs(self.low) or 1) * 0.1, self.high + (abs(self.high) or 1) * 0.1

    def __call__(self, value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (self.high - value) / (self.high - self.low)


def _x(number: int, count: int) -> float:
    return LEFT + (WIDTH - LEFT) * (number + 0.5) / max(1, count)


def _chart(points: Points, title: str, unit: str, place: _scale, drawn: SafeString) -> SafeString:
    if not any(value is not None for _, value in points):
        return format_html('<p class="muted">{}: no figures in this period.</p>', title)
    levels = (place.high, (place.high + place.low) / 2, place.low)
    grid = format_html_join(
        "",
        '<line class="chart-grid" x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="{}" text-anchor="end">{}</text>',
        (
            (
                LEFT,
                WIDTH,
                f"{place(level):.1f}",
                f"{place(level):.1f}",
                LEFT - 6,
                f"{place(level) + 5:.1f}",
                _short(level),
            )
            for level in levels
        ),
    )
    shown = range(0, len(points), max(1, len(points) // 6))
    labels = format_html_join(
        "",
        '<text x="{}" y="{}" text-anchor="middle">{}</text>',
        ((f"{_x(number, len(points)):.1f}", HEIGHT - 8, points[number][0]) for number in shown),
    )
    return format_html(
        '<figure class="chart"><figcaption>{title} <span class="muted">{unit}</span></figcaption>'
        '<svg viewBox="0 0 {width} {height}" role="img" aria-label="{title}. The table has the same figures.">'
        "{grid}{drawn}{labels}</svg></figure>",
        title=title,
        unit=unit,
        width=WIDTH,
        height=HEIGHT,
        grid=grid,
        drawn=drawn,
        labels=labels,
    )


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
