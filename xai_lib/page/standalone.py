"""One page in one file: style and pictures inline, so that it opens anywhere, without a server or a network."""

import base64
import io
from html import escape
from pathlib import Path

from matplotlib.figure import Figure

from xai_lib import files

_FRAME = Path(__file__).with_name("standalone.html")


def write(file: Path, title: str, *parts: str) -> Path:
    """Write HTML parts under a heading as one page; folders are made where they are missing. Returns the file."""
    page = _FRAME.read_text(encoding="utf-8").replace("{title}", escape(title)).replace("{parts}", "\n".join(parts))
    files.write_bytes(file, page.encode())
    return file


def png(figure: Figure) -> bytes:
    """A figure as the bytes of a PNG file."""
    with io.BytesIO() as drawn:
        figure.savefig(drawn, format="png", dpi=110, bbox_inches="tight")
        return drawn.getvalue()


def picture(content: bytes, caption: str, alt: str) -> str:
    """The bytes of a PNG file with a caption, and words for those who do not see it."""
    image = f'<img alt="{escape(alt)}" src="data:image/png;base64,{base64.b64encode(content).decode()}">'
    return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"
