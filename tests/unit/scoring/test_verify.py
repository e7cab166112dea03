"""The verifier's command line: by itself, without servers, settings or the parts that know them."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local import tools
from services.scoring.cli import verify
from shared.signing import Signer, new_key, public_key, signed
from tests.unit.scoring.months import SIGNER
from tests.unit.scoring.test_archive import edited, ended, lines_of, sample

SERVERS = ("pymongo", "motor", "aiokafka", "bson", "fastapi", "uvicorn", "pydantic_settings")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The verifier in a process of its own, with nothing in its environment."""
    return _run([sys.executable, "-m", "services.scoring", "verify", *arguments], {})


def _run(program: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        program, check=False, cwd=tools.ROOT, env=environment, capture_output=True, text=True, timeout=60
    )


def kept(folder: Path, content: bytes, name: str = "month.jsonl") -> str:
    file = folder / name
    file.write_bytes(content)
    return str(file)


def test_it_runs_with_nothing_in_its_environment(tmp_path: Path) -> None:
    done = run(kept(tmp_path, sample()), "--key", SIGNER.public)
    assert (done.returncode, done.stderr) == (0, "")
    chinese, english = done.stdout.splitlines()
    assert chinese.startswith("一致：2026-11，3 个单位，台账 ")
    assert "签名有效" in chinese
    assert english.startswith("equal: 2026-11, 3 units")


def test_it_imports_nothing_that_knows_a_server(tmp_path: Path) -> None:
    file = kept(tmp_path, sample())
    program = f"""
import runpy, sys
sys.argv = ["scoring", "verify", {file!r}]
try:
    runpy.run_module("services.scoring", run_name="__main__", alter_sys=True)
except SystemExit as end:
    assert end.code == 0, end.code
print([name for name in {SERVERS!r} if name in sys.modules])
"""
    done = _run([sys.executable, "-c", program], {})
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr


def test_a_row_that_differs_is_named_by_unit_and_number(tmp_path: Path) -> None:
    done = run(kept(tmp_path, edited("huaxing", 3, {"points": "0.4"})))
    assert (done.returncode, done.stdout) == (1, "")
    chinese, english = done.stderr.splitlines()
    assert "单位 huaxing，台账第 3 号" in chinese
    assert "unit huaxing, row 3" in english


def test_a_packed_export_is_read_whatever_its_name(tmp_path: Path) -> None:
    assert run(kept(tmp_path, gzip.compress(sample()), "month.bin")).returncode == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        b"not json\n",
        b'{"hello":1}\n',
        b"\x1f\x8b",
        b"\x1f\x8b\x08\x00 not gzip at all",
        gzip.compress(sample())[:-20],
        sample()[:-1],
        sample()[: len(sample()) // 2],
        gzip.compress(b"\x00" * 50_000_000),
        gzip.compress(b"[" * 5_000_000),
        sample().replace(b'"version":1}\n', b'"version":2}\n', 1),
    ],
    ids=[
        *("empty", "zip", "text", "object", "magic only", "broken gzip", "cut gzip", "no last line end", "half"),
        *("bomb", "deep bomb", "version"),
    ],
)
def test_what_is_no_export_is_refused_without_a_traceback(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify.main([kept(tmp_path, content)]) == 2
    text = capsys.readouterr()
    assert (text.out, len(text.err.splitlines())) == ("", 2)


def test_a_missing_file_and_an_unusable_key_are_no_differences(tmp_path: Path) -> None:
    assert verify.main([str(tmp_path / "nowhere")]) == 2
    assert verify.main([str(tmp_path)]) == 2
    assert verify.main([kept(tmp_path, sample()), "--key", "AAAA"]) == 2


def test_another_key_is_a_difference(tmp_path: Path) -> None:
    assert verify.main([kept(tmp_path, sample()), "--key", Signer.of(new_key()).public]) == 1


def test_without_a_key_the_reader_is_told_to_compare_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main([kept(tmp_path, sample())]) == 0
    assert SIGNER.public in capsys.readouterr().out


def test_what_a_file_of_strangers_says_does_not_steer_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = lines_of(edited("huaxing", 3, {"unit": "\x1b[2J\n" + "x" * 1000}))
    assert verify.main([kept(tmp_path, ended(lines[:-1]))]) == 1
    text = capsys.readouterr().err
    assert "\x1b" not in text
    assert all(len(line) < 600 for line in text.splitlines())


def test_the_key_may_be_given_in_base64_pem_or_a_file(tmp_path: Path) -> None:
    pem = tmp_path / "seal.pub"
    pem.write_text(SIGNER.pem())
    month = kept(tmp_path, sample())
    for key in (SIGNER.public, SIGNER.pem(), str(pem)):
        assert verify.main([month, "--key", key]) == 0
    assert public_key(SIGNER.pem()) == SIGNER.public
    assert signed(SIGNER.public, b"seal", SIGNER.sign(b"seal"))
    assert not signed(SIGNER.public, b"another", SIGNER.sign(b"seal"))
    assert not signed("nonsense", b"seal", "nonsense")


def test_memory_does_not_grow_with_a_bomb(tmp_path: Path) -> None:
    """A gigabyte of nothing in a megabyte: refused at its first line."""
    packed = io.BytesIO()
    with gzip.GzipFile("", "wb", fileobj=packed, compresslevel=1) as file:
        piece = b" " * (1 << 20)
        for _ in range(256):
            file.write(piece)
    assert len(packed.getvalue()) < 4 << 20
    bomb = kept(tmp_path, packed.getvalue())
    program = f"ulimit -v 600000; exec {sys.executable} -m services.scoring verify {bomb}"
    done = _run(["bash", "-c", program], {"PATH": os.defpath})
    assert done.returncode == 2, done.stderr
