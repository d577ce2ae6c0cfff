"""Tables in Markdown, for the pages that people read."""


def markdown_table(header: list[str], rows: list[list]) -> str:
    """Return a Markdown table; numbers are aligned right and grouped by thousands."""
    shown = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *shown, strict=True)]
    right = [any(isinstance(row[i], int) for row in rows) for i in range(len(header))]

    def line(cells: list[str]) -> str:
        aligned = [
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(cells, widths, right, strict=True)
        ]
        return f"| {' | '.join(aligned)} |"

    rule = [
        "-" * (width + 1) + (":" if number else "-")
        for width, number in zip(widths, right, strict=True)
    ]
    return "\n".join([line(header), f"|{'|'.join(rule)}|", *map(line, shown)])
