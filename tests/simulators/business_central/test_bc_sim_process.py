"""The simulator as a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from simulators.business_central.__main__ import main


def test_it_tells_where_it_listens_in_one_line_and_in_a_file(tmp_path: Path) -> None:
    seed, ready = tmp_path / "seed.json", tmp_path / "ready.json"
    seed.write_text(json.dumps({"companies": [{"name": "Second", "currency": "USD"}]}), encoding="utf-8")
    command = [sys.executable, "-m", "simulators.business_central", "--cert-dir", str(tmp_path / "certs")]
    command += ["--seed-file", str(seed), "--ready-file", str(ready), "--long-operation-seconds", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert json.loads(ready.read_text(encoding="utf-8")) == told
        assert set(told) == {"api_base", "authority", "ca_bundle", "admin"}
        assert Path(told["ca_bundle"]).read_text(encoding="utf-8").startswith("-----BEGIN CERTIFICATE-----")
        assert httpx.get(f"{told['admin']}/dump/Second").is_success
        process.terminate()
        assert process.wait(10) == 0


def test_without_a_place_for_its_certificates_it_has_one_as_long_as_it_runs() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "simulators.business_central"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        bundle = Path(json.loads(process.stdout.readline())["ca_bundle"])
        assert bundle.exists()
        process.terminate()
        assert process.wait(10) == 0
    assert not bundle.exists()


def test_it_refuses_options_that_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--certs", "here"])
    assert "--certs" in capsys.readouterr().err
