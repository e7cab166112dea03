"""`python -m services.scoring verify FILE [--key PUBLIC_KEY]`: recompute an exported month, without any server.

Exit code 0: everything is equal; 1: something differs, and what comes first is named; 2: the file is no export, or
cannot be read.
"""

from __future__ import annotations

import argparse
import gzip
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, cast

from services.scoring.domain.archive import LINE_LIMIT, Difference, Differs, NotAnArchive, Verified, verify
from shared.signing import public_key, signed

EQUAL, DIFFERENT, NO_EXPORT = 0, 1, 2
_GZIP = b"\x1f\x8b"
_SHOWN = 200
"""Characters of a value that are shown: it may be anything."""
_NO_EXPORT = {
    "format": ("不是考核导出文件", "this is no export of a scoring period"),
    "version": ("导出文件的版本无法识别", "the export has a version that this program does not read"),
    "truncated": ("文件不完整（被截断）", "the file is incomplete: its end is missing"),
    "too-large": ("文件超出限制", "the file is larger than anything that an export could be"),
}
_WHAT = {
    "line": ("这一行不是应有的写法", "the line is not one that belongs here"),
    "digest": ("结束行与内容不符", "the last line does not fit those before it"),
    "after-the-end": ("结束行之后还有内容", "there is something after the last line"),
    "rules": ("考核规则与封存时不同", "the rules are not those that were sealed"),
    "scheme": ("测评体系与封存时不同", "the scheme is not the one that was sealed"),
    "standings": ("成绩表与封存时不同", "the standings are not those that were sealed"),
    "standing": ("成绩缺少、重复或次序不对", "a standing is missing, there twice or out of order"),
    "seal": ("封存记录缺少或被改动", "the seal is missing or was changed"),
    "seal-chain": ("封存记录与上月不衔接", "the seal does not follow that of the month before"),
    "seal-hash": ("封存记录的哈希不符", "the seal does not have the hash that it must have"),
    "signature": ("签名无效", "the signature is not valid"),
    "key": ("不是用指定的公钥签名的", "it was not signed with the key that was given"),
    "misplaced": ("台账缺行或次序不对", "a row is missing or out of order"),
    "does-not-follow": ("与上一行的哈希不衔接", "the row does not follow the one before"),
    "edited": ("内容与哈希不符，被改动", "the row was edited: it does not have the hash that it must have"),
    "put-in": ("封存之后多出的行", "the row was not there when the period was frozen"),
    "cut-off": ("台账末尾缺行", "rows are missing at the end of the ledger"),
    "reverses": ("冲销与原行不符", "what takes a row back does not fit the row"),
    "rule": ("规则不在规则库中或尚未生效", "the rule is not in the book, or was not in force"),
    "cap": ("封顶与规则不符", "the cap is not that of the rule"),
}
_VALUE = ("与重新计算的结果不同", "is not what it is when computed again")


def main(arguments: Sequence[str]) -> int:
    """Verify a file as the command line says; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        key = None if options.key is None else _key(options.key)
    except (OSError, ValueError) as error:
        return _say(NO_EXPORT, "公钥无法识别", f"the key cannot be used: {error}")
    try:
        with options.file.open("rb") as file, _unpacked(file) as plain:
            found = verify(_lines(plain), signed, key)
    except NotAnArchive as fault:
        return _say(NO_EXPORT, *_NO_EXPORT[fault.what])
    except Differs as fault:
        return _say(DIFFERENT, *_sentences(fault.difference))
    except (OSError, EOFError, zlib.error) as error:
        return _say(NO_EXPORT, "文件无法读取", f"the file cannot be read: {error}")
    return _say(EQUAL, *_summary(found, trusted=key is not None))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.scoring verify", description=__doc__)
    parser.add_argument("file", type=Path, metavar="FILE", help="an exported period, gzip or not")
    parser.add_argument("--key", help="the office's public key: base64, PEM, or a file with one of them")
    return parser


def _key(given: str) -> str:
    looks_like_one = "PUBLIC KEY" in given or not Path(given).is_file()
    return public_key(given if looks_like_one else Path(given).read_text(encoding="ascii"))


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    packed = file.read(len(_GZIP)) == _GZIP
    file.seek(0)
    return cast(IO[bytes], gzip.open(file)) if packed else file


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Lines with their ends, long ones in pieces."""
    while line := file.readline(LINE_LIMIT):
        yield line


def _sentences(difference: Difference) -> tuple[str, str]:
    known = difference.what in _WHAT
    chinese, english = _WHAT[difference.what] if known else _VALUE
    named = "" if known else f"{difference.what} "
    where_zh, where_en = [f"第 {difference.line} 行"], [f"line {difference.line}"]
    for value, zh, en in (
        (_shown(difference.unit), "单位 {}", "unit {}"),
        (difference.number, "台账第 {} 号", "row {}"),
        (_shown(difference.period), "{}", "period {}"),
    ):
        if value:
            where_zh.append(zh.format(value))
            where_en.append(en.format(value))
    values_zh = values_en = ""
    if difference.expected or difference.found:
        expected, found = _shown(difference.expected), _shown(difference.found)
        values_zh, values_en = f"（应为 {expected}，实为 {found}）", f" (must be {expected}, is {found})"
    return (
        f"不一致：{'，'.join(where_zh)}：{named}{chinese}{values_zh}",
        f"different: {', '.join(where_en)}: {named}{english}{values_en}",
    )


def _shown(text: str) -> str:
    """What may come from a file of strangers: short, and without what would steer a terminal."""
    return "".join(letter if letter.isprintable() else "�" for letter in text[:_SHOWN])


def _summary(found: Verified, *, trusted: bool) -> tuple[str, str]:
    chinese = f"一致：{found.period}，{found.units} 个单位，台账 {found.rows} 行，{found.months} 个月"
    english = f"equal: {found.period}, {found.units} units, {found.rows} rows of ledgers, {found.months} months"
    if found.seal is None:
        return f"{chinese}；已冻结，尚未封存", f"{english}; frozen, not sealed yet"
    proof = f"{found.seal.hash[:16]}…"
    if trusted:
        return f"{chinese}；封存 {proof}，签名有效", f"{english}; seal {proof}, signed with the key that was given"
    return (
        f"{chinese}；封存 {proof}，签名与文件内公钥 {found.seal.key} 相符，请与公布的公钥核对",
        f"{english}; seal {proof}, signed with the key in the file: compare it with the published one (--key)",
    )


def _say(code: int, chinese: str, english: str) -> int:
    out = sys.stdout if code == EQUAL else sys.stderr
    out.write(f"{chinese}\n{english}\n")
    return code
