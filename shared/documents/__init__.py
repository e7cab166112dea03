"""Official papers (公文): described as data, printed as DOCX and PDF with Chinese fonts and a QR code.

    paper = Paper(title="问题交办单", number="〔2026〕第0001号", addressee="环卫所", …)
    content = await press.print(paper, Format.PDF)

The same paper gives the same bytes, on any machine and in any year, as long as the libraries stay the same: dates
inside a file are the paper's own, and nothing of the host gets in. The layout follows GB/T 9704-2012 (A4, type
area, sizes of letters) as far as a form with a table can.
"""

from shared.documents.paper import Link, Paper, Row
from shared.documents.pdf import to_pdf
from shared.documents.press import Format, Press
from shared.documents.word import to_docx

__all__ = ["Format", "Link", "Paper", "Press", "Row", "to_docx", "to_pdf"]
