"""The service over HTTP and the policy inside LiteLLM's router: a real client, a real restart, no network."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import bandits
from simulate import cli

ROOT = Path(__file__).resolve().parents[1]
QUESTIONS = ("read the sign", "area of the circle", "count the apples", "total on the bill")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A policy that was trained on questions, as the bytes of its file."""
    place = tmp_path_factory.mktemp("exported")
    rng = np.random.default_rng(0)
    lines = ["question,dataset,small_correct,large_correct,small_cost,large_cost"]
    for row in range(120):
        hard = row % 4 == 1
        lines.append(f"{QUESTIONS[row % 4]} {row},all,{int(not hard)},{int(rng.random() < 0.9)},0.001,0.004")
    (place / "table.csv").write_text("\n".join(lines) + "\n")
    given = ["--policy", "ucb1", "--policy", "linucb,alpha=0.3,prior=1", "--seeds", "2", "-q"]
    done = CliRunner().invoke(cli, [*given, "--data", f"{place}/table.csv", "--out", f"{place}/run"])
    assert done.exit_code == 0, done.output
    words = ["export", f"{place}/run", "--policy", "linucb,alpha=0.3,prior=1", "--out", f"{place}/policy.npz"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    return (place / "policy.npz").read_bytes()


class Client:
    """The service in a process of its own, and a client."""

    def __init__(self, path: Path, save_every: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        words = [sys.executable, str(ROOT / "examples" / "serve.py"), str(path), "--port", str(self.port)]
        self.process = subprocess.Popen(
            [*words, "--save-every", str(save_every)], env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        for _ in range(600):
            try:
                self.get("/health")
                return
            except OSError:
                assert self.process.poll() is None, "the service has ended"
                time.sleep(0.05)
        raise AssertionError("the service does not answer")

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return json.load(answer)

    def post(self, path: str, told: Any) -> Any:
        data = told if isinstance(told, bytes) else json.dumps(told).encode()
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data)
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def stop(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        self.process.wait(20)


def test_the_service_chooses_learns_and_survives_a_kill_and_a_restart(
    exported: bytes, tmp_path: Path
) -> None:
    pytest.importorskip("starlette", reason='needs pip install "routebandit[serve]"')
    pytest.importorskip("uvicorn", reason='needs pip install "routebandit[serve]"')
    path = tmp_path / "policy.npz"
    path.write_bytes(exported)
    before = int(bandits.load(path).learned["pulls"].sum())
    client = Client(path, save_every=3)
    try:
        got = [client.post("/choose", {"text": question}) for question in QUESTIONS]
        assert {one["model"] for one in got} <= {"small", "large"}
        only = client.post("/choose", {"text": "a sign", "available": ["large"]})
        assert only["model"] == "large" and only["choice"]["available"] == ["large"]
        for one in got:
            assert "heard" in client.post(
                "/feedback", {"choice": one["choice"], "utility": 1.0, "cost": 0.001}
            )
        assert client.get("/health")["saved"] is False  # three are on disk, the fourth is not
        code, told = client.post("/feedback", {"choice": got[0]["choice"], "utility": 1.0})
        assert code == 422 and "was heard already" in told["error"]
        for wrong in ({"utility": 1.0}, {"choice": only["choice"], "utility": 7}, b"{", [1], {"choice": {}}):
            code, told = client.post("/feedback", wrong)
            assert code == 422 and "\n" not in told["error"]
        assert client.post("/choose", {"question": "?"})[0] == 422
    finally:
        client.stop(signal.SIGKILL)
    assert int(bandits.load(path).learned["pulls"].sum()) == before + 3
    client = Client(path, save_every=100)
    try:
        assert client.post("/feedback", {"choice": only["choice"], "utility": 0.0, "cost": 0.004}) == {
            "heard": 1
        }
    finally:
        client.stop(signal.SIGTERM)
    assert int(bandits.load(path).learned["pulls"].sum()) == before + 4  # written when it was asked to stop
    assert [p.name for p in tmp_path.iterdir()] == ["policy.npz"]


def test_the_policy_routes_inside_litellm(exported: bytes, tmp_path: Path) -> None:
    """In a process of its own: LiteLLM changes warnings and logging of the one that imports it."""
    if importlib.util.find_spec("litellm") is None:
        pytest.skip('LiteLLM is not installed: pip install "routebandit[litellm]"')
    path = tmp_path / "policy.npz"
    path.write_bytes(exported)
    code = """
import asyncio, sys
sys.path.insert(0, sys.argv[2])
import litellm_router as example
import bandits
policy = bandits.load(sys.argv[1])
mocked = {n: {"model": f"openai/{n}", "api_key": "none", "mock_response": n} for n in policy.settings.models}
router, strategy = example.routed(policy, mocked)
def ask(text, name):
    message = [{"role": "system", "content": "short"}, {"role": "user", "content": text}]
    return dict(model=example.GROUP, messages=message, metadata={"request": name})
for number, text in enumerate(["read the sign 4", "area of the circle 9"] * 5):
    before = policy.choose(text).model
    words = ask(text, str(number))
    if number % 2:
        answer = router.completion(**words)
    else:
        answer = asyncio.run(router.acompletion(**words))
    assert answer.choices[0].message.content == before, (answer, before)
    strategy.judged(str(number), utility=1.0, cost=0.001)
assert not strategy.choices
print("learned", int(policy.learned["pulls"].sum()))
"""
    words = [sys.executable, "-W", "ignore", "-c", code, str(path), str(ROOT / "examples")]
    env = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-1500:]
    assert done.stdout.splitlines()[-1] == f"learned {int(bandits.load(path).learned['pulls'].sum()) + 10}"
